//! Whether the folder is still what the user named. It stays open, so that files would go on incoming in a
//! folder that was moved away, or below a file system that was mounted there since.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{fstat, fstatvfs, stat, FileType, Stat, StatVfsMountFlags};
use rustix::io::Errno;

/// The path of the folder, from the root: the working directory may go, too.
pub struct Presence(PathBuf);

impl Presence {
    pub fn of(path: &Path) -> io::Result<Self> {
        std::path::absolute(path).map(Self)
    }

    /// Why nothing can be received into the open folder any more. The peer reads it, too: it names no path.
    pub fn lost(&self, folder: impl AsFd) -> Option<&'static str> {
        let here = fstat(folder).ok()?;
        if here.st_nlink == 0 {
            return Some("the folder that is received into was removed");
        }
        match stat(&self.0) {
            Ok(there) => other(&here, &there),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Some("the folder that is received into was renamed, or a folder above it was")
            }
            // It cannot be looked at by its name; what is open may work on.
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
            "something that is no folder is where the folder that is received into was"
        } else if here.st_dev != there.st_dev {
            "a file system was mounted or unmounted at the folder that is received into; restart \
             the receiver"
        } else {
            "the folder that is received into was replaced by another one; restart the receiver"
        },
    )
}

/// Whether nothing can be written at all.
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
        assert!(lost().contains("no folder"), "{}", lost());
        fs::remove_dir(moved.join("b")).unwrap();
        assert!(lost().contains("removed"), "{}", lost());
    }
}
