//! `dcf-tb receive --clean`: removes unfinished files that no push has continued for a day.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    flock, fstat, openat, statat, unlinkat, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags,
    Stat,
};

use super::folder::Folder;
use super::mark::{self, Mark};
use crate::output;
use crate::transfer::path::{is_part_name, DEEPEST};
use crate::units::{bytes, plural};

/// Older unfinished files are removed.
const OLD: Duration = Duration::from_secs(86_400);
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// The result of a search.
#[derive(Default)]
struct Found {
    removed: u64,
    bytes: u64,
    failed: u64,
}

/// Removes old unfinished files below a folder, and prints each. Returns whether all could be removed.
pub fn clean(folder: &Folder) -> bool {
    let mut found = Found::default();
    below(folder, &folder.root, Path::new(""), 0, &mut found);
    output::prose(&format!(
        "{} removed, {} freed",
        plural(found.removed, "unfinished file", "unfinished files"),
        bytes(found.bytes)
    ));
    found.failed == 0
}

fn below(folder: &Folder, at: &OwnedFd, path: &Path, depth: usize, found: &mut Found) {
    let names = Dir::read_from(at).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_owned()));
        names.collect::<Result<Vec<_>, rustix::io::Errno>>()
    });
    let names = match names {
        Ok(names) => names,
        Err(error) => return failed(path, &error.into(), found),
    };
    for name in names {
        let name = OsStr::from_bytes(name.as_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let path = path.join(name);
        let Ok(stat) = statat(at, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth < DEEPEST => match folder.enter(at, name) {
                Ok(inner) => below(folder, &inner, &path, depth + 1, found),
                Err(error) => failed(&path, &error, found),
            },
            FileType::RegularFile if is_part_name(name.as_bytes()) && is_old(&stat) => {
                match remove(at, name) {
                    Ok(true) => {
                        let size = stat.st_size as u64;
                        found.removed += 1;
                        found.bytes += size;
                        output::line(&format!("{} ({})", output::shown(&path), bytes(size)));
                    }
                    Ok(false) => {}
                    Err(error) => failed(&path, &error, found),
                }
            }
            _ => {}
        }
    }
}

fn failed(path: &Path, error: &io::Error, found: &mut Found) {
    found.failed += 1;
    output::error(&format!("cannot clean {}: {error}", output::shown(path)));
}

fn is_old(stat: &Stat) -> bool {
    let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    let age = SystemTime::now().duration_since(modified);
    age.is_ok_and(|age| age > OLD)
}

/// Removes an unfinished file, unless another program made it or is receiving it.
fn remove(at: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    let file = openat(at, name, FILE, Mode::empty())?;
    let stat = fstat(&file)?;
    let is_ours = mark::is_part(&file, &stat) != Mark::NotOurs;
    let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_ours || !is_free {
        return Ok(false);
    }
    unlinkat(at, name, AtFlags::empty())?;
    Ok(true)
}
