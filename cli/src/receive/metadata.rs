//! Times and permissions of received files, and which folders pushes created.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rustix::fs::{
    chmod, fchmod, fstat, futimens, statx, AtFlags, FileType, Mode, Stat, StatxFlags, Timespec,
    Timestamps, UTIME_OMIT,
};

use crate::transfer::entry::MOST_ENTRIES;

const PERMISSIONS: u32 = 0o777;
/// Set-user-ID, set-group-ID and sticky. A folder may inherit set-group-ID and keeps these bits.
const SPECIAL: u32 = 0o7000;

pub fn permissions(stat: &Stat) -> u16 {
    (stat.st_mode & PERMISSIONS) as u16
}

/// Sets permissions, if they differ.
pub fn set_mode(file: impl AsFd, mode: u16) -> io::Result<()> {
    match changed(&fstat(&file)?, mode) {
        Some(mode) => Ok(fchmod(file, mode)?),
        None => Ok(()),
    }
}

/// As [`set_mode`], for a descriptor opened with O_PATH, because the user may be unable to read the file.
pub fn set_mode_of_path(file: &OwnedFd, mode: u16) -> io::Result<()> {
    match changed(&fstat(file)?, mode) {
        Some(mode) => Ok(chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)?),
        None => Ok(()),
    }
}

fn changed(stat: &Stat, mode: u16) -> Option<Mode> {
    let kept = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => stat.st_mode & SPECIAL,
        _ => 0,
    };
    let wanted = kept | u32::from(mode);
    (stat.st_mode & (SPECIAL | PERMISSIONS) != wanted).then(|| Mode::from_raw_mode(wanted))
}

/// Sets the modification time and keeps the access time.
pub fn set_time(file: impl AsFd, modified: (i64, u32)) -> io::Result<()> {
    Ok(futimens(file, &times(modified))?)
}

pub fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    }
}

/// Folders that pushes created, including pushes that broke. Their permissions follow the pusher's; the
/// permissions of other folders are their owner's choice.
#[derive(Default)]
pub struct Made(Mutex<HashSet<Identity>>);

/// Device, inode and creation time: an inode number is reused after its folder was removed.
type Identity = (u64, u64, i64, u32);

impl Made {
    fn made(&self) -> MutexGuard<'_, HashSet<Identity>> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// Remembers a folder that was just created. When the table is full, it starts anew.
    pub fn remember(&self, parent: impl AsFd, name: &OsStr) {
        // On failure the folder counts as another program's.
        let Ok(identity) = identity(parent, Path::new(name)) else {
            return;
        };
        let mut made = self.made();
        if made.len() >= MOST_ENTRIES {
            made.clear();
        }
        made.insert(identity);
    }

    pub fn has(&self, folder: impl AsFd) -> bool {
        identity(folder, Path::new("")).is_ok_and(|identity| self.made().contains(&identity))
    }
}

fn identity(folder: impl AsFd, name: &Path) -> io::Result<Identity> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let stat = statx(folder, name, flags, StatxFlags::INO | StatxFlags::BTIME)?;
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    let birth = stat.stx_btime;
    Ok((device, stat.stx_ino, birth.tv_sec, birth.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_folder_keeps_what_it_inherited_and_a_file_gets_nothing_special() {
        let directory = tempfile::tempdir().unwrap();
        let (folder, file) = (directory.path().join("d"), directory.path().join("f"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o2755)).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
        set_mode(File::open(&folder).unwrap(), 0o750).unwrap();
        set_mode(File::open(&file).unwrap(), 0o755).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o2750);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn only_the_folders_that_were_made_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let root = File::open(directory.path()).unwrap();
        for name in ["ours", "other"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let made = Made::default();
        made.remember(&root, OsStr::new("ours"));
        made.remember(&root, OsStr::new("nothing"));
        let open = |name: &str| File::open(directory.path().join(name)).unwrap();
        assert!(made.has(open("ours")));
        assert!(!made.has(open("other")));
        // The new folder may reuse the inode. Its creation time differs as soon as the clock has advanced.
        testkit::wait_until("another folder is told", testkit::GENEROUS, || {
            fs::remove_dir(directory.path().join("ours")).unwrap();
            fs::create_dir(directory.path().join("ours")).unwrap();
            !made.has(open("ours"))
        });
    }
}
