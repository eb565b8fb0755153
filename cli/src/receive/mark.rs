//! Marks files that pushes brought, by an extended attribute.
//!
//! A peer may learn whether an existing file has the content that it pushes only if a push brought that file:
//! owners of other files never agreed to that. The attribute contains the inode, size and time of the file, so a
//! copy or a changed file does not count. A pusher cannot set it, and another local user can set it only on files
//! that they can write.

use std::os::fd::AsFd;

use rustix::fs::{fgetxattr, fsetxattr, fstat, Stat, XattrFlags};
use rustix::io::Errno;

const NAME: &str = "user.dcf-tb";
/// Longer than any value that we write.
const LONGEST: usize = 128;

/// The state of a file's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Ours,
    NotOurs,
    /// The file system does not support such attributes.
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

/// Returns whether the file could be marked; without a mark it counts as another program's.
fn set(file: impl AsFd, value: &str) -> bool {
    fsetxattr(file, NAME, value.as_bytes(), XattrFlags::empty()).is_ok()
}

/// Marks an unfinished file.
pub fn part(file: impl AsFd) -> bool {
    fstat(&file).is_ok_and(|stat| set(&file, &of_part(&stat)))
}

/// Whether a push started this unfinished file.
pub fn is_part(file: impl AsFd, stat: &Stat) -> Mark {
    compare(file, &of_part(stat))
}

/// Marks a complete file. Call it after size and time are set, and while the file is writable, which the kernel
/// requires.
pub fn file(file: impl AsFd) -> bool {
    fstat(&file).is_ok_and(|stat| set(&file, &of_file(&stat)))
}

/// Whether a push brought this file and it is unchanged since.
pub fn is_file(file: impl AsFd, stat: &Stat) -> Mark {
    compare(file, &of_file(stat))
}
