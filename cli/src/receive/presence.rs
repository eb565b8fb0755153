//! Checks that the folder is still the one that the user named. Its descriptor stays open, so files would
//! otherwise arrive in a folder that was moved away, or below a file system that was mounted later.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{fstat, fstatvfs, stat, FileType, Stat, StatVfsMountFlags};
use rustix::io::Errno;

/// The absolute path of the folder, because the working directory may be removed, too.
pub struct Presence(PathBuf);

impl Presence {
    pub fn of(path: &Path) -> io::Result<Self> {
        std::path::absolute(path).map(Self)
    }

    /// Why receiving has become impossible. The peer sees the reason, so it contains no path.
    pub fn lost(&self, folder: impl AsFd) -> Option<&'static str> {
        let here = fstat(folder).ok()?;
        if here.st_nlink == 0 {
            return Some("the receiver's folder was removed");
        }
        match stat(&self.0) {
            Ok(there) => other(&here, &there),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Some("the receiver's folder, or a folder above it, was renamed")
            }
            // The path cannot be checked; the open folder may still work.
            Err(_) => None,
        }
    }
}

fn other(here: &Stat, there: &Stat) -> Option<&'static str> {
    if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino) {
        return None;
    }
    Some(
        if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
            "the receiver's folder was replaced by something that is not a folder"
        } else if here.st_dev != there.st_dev {
            "a file system was mounted or unmounted at the receiver's folder; restart \
             the receiver"
        } else {
            "the receiver's folder was replaced by another one; restart the receiver"
        },
    )
}

/// Whether the file system is read-only.
pub fn is_read_only(folder: impl AsFd) -> bool {
    let about = fstatvfs(folder);
    about.is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn a_folder_that_is_not_the_same_any_more_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        fs::create_dir_all(&path).unwrap();
        let presence = Presence::of(&path).unwrap();
        let folder = File::open(&path).unwrap();
        let lost = || presence.lost(&folder).unwrap_or_default();
        assert_eq!(lost(), "");
        let moved = directory.path().join("moved");
        fs::rename(directory.path().join("a"), &moved).unwrap();
        assert!(lost().contains("renamed"), "{}", lost());
        fs::create_dir_all(&path).unwrap();
        assert!(lost().contains("replaced"), "{}", lost());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(lost().contains("not a folder"), "{}", lost());
        fs::remove_dir(moved.join("b")).unwrap();
        assert!(lost().contains("removed"), "{}", lost());
    }
}
