//! Which files pushes brought: an extended attribute tells, on the file itself.
//!
//! A peer may learn whether a file has the content that it pushes, and only of files that pushes brought:
//! all others are somebody's who never agreed to that. The attribute names the inode, the size and the
//! time of the file, so that a copy of the file, or one that was changed, does not count. A pusher cannot set
//! it, and another user of this machine can set it only on files that he can write.

use std::os::fd::AsFd;

use rustix::fs::{fgetxattr, fsetxattr, fstat, Stat, XattrFlags};
use rustix::io::Errno;

const NAME: &str = "user.dcf-tb";
/// Longer than any value of ours.
const LONGEST: usize = 128;

/// What a file's attribute says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Ours,
    NotOurs,
    /// The file system has no such attributes.
    Unsupported,
}

fn of_part(stat: &Stat) -> String {
    format!("part {}", stat.st_ino)
}

fn of_file(stat: &Stat) -> String {
    format!(
        "file {} {} {}.{:09}",
        stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec
    )
}

fn compare(file: impl AsFd, wanted: &str) -> Mark {
    let mut value = [0; LONGEST];
    match fgetxattr(file, NAME, &mut value[..]) {
        Ok(length) if value[..length] == *wanted.as_bytes() => Mark::Ours,
        Err(Errno::OPNOTSUPP) => Mark::Unsupported,
        _ => Mark::NotOurs,
    }
}

/// Says whether it could be marked: without a mark it counts as somebody else's.
fn set(file: impl AsFd, value: &str) -> bool {
    fsetxattr(file, NAME, value.as_bytes(), XattrFlags::empty()).is_ok()
}

/// Marks an unfinished file.
pub fn part(file: impl AsFd) -> bool {
    fstat(&file).is_ok_and(|stat| set(&file, &of_part(&stat)))
}

/// Whether an unfinished file is one that a push began.
pub fn is_part(file: impl AsFd, stat: &Stat) -> Mark {
    compare(file, &of_part(stat))
}

/// Marks a file that a push brought, when it has its size and time, and can still be written: the
/// kernel asks for the permission to write it.
pub fn file(file: impl AsFd) -> bool {
    fstat(&file).is_ok_and(|stat| set(&file, &of_file(&stat)))
}

/// Whether a file is one that a push brought, and as the push left it.
pub fn is_file(file: impl AsFd, stat: &Stat) -> Mark {
    compare(file, &of_file(stat))
}
