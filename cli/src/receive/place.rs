//! The place of one file: its folder, its name, and the name of its unfinished content.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{fstat, openat, statat, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::mark::{self, Mark};
use super::metadata;

const EXISTING: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
const OWNER_WRITES: u16 = 0o200;
/// Removes the umask from permissions.
pub fn granted(mode: u16, withheld: Mode) -> u16 {
    (Mode::from_raw_mode(mode.into()) - withheld).bits() as u16
}

/// The place of a file: its open folder, and its names there.
pub struct Place {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) name: PathBuf,
    pub(super) part: PathBuf,
    pub(super) withheld: Mode,
    /// The user that this program runs as.
    pub(super) user: u32,
}

/// What exists at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    Nothing,
    File {
        size: u64,
        modified: (i64, u32),
        mode: u16,
    },
    Folder,
    /// A link with the announced target.
    SameLink,
    /// Another link, a device, a pipe or a socket.
    Special,
}

impl There {
    pub fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::File {
                size: stat.st_size as u64,
                modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
                mode: metadata::permissions(stat),
            },
            FileType::Directory => Self::Folder,
            _ => Self::Special,
        }
    }
}

pub(super) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

impl Place {
    pub(super) fn stat(&self, name: &Path) -> io::Result<Option<Stat>> {
        match statat(&*self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn stat_of_name(&self) -> io::Result<Option<Stat>> {
        self.stat(&self.name)
    }

    /// Opens a regular file. Never opens a device or a pipe, because that alone can have side effects.
    pub(super) fn open(&self, name: &Path, flags: OFlags) -> io::Result<Option<(OwnedFd, Stat)>> {
        match self.stat(name)? {
            Some(stat) if is_regular(&stat) => {}
            _ => return Ok(None),
        }
        let file = match openat(&*self.folder, name, flags, Mode::empty()) {
            Ok(file) => file,
            // It is not accessible, or another program just replaced it.
            Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::WOULDBLOCK) => {
                return Ok(None)
            }
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        Ok(is_regular(&stat).then_some((file, stat)))
    }

    /// The entry with the final name, and whether a push brought it.
    pub fn there(&self) -> io::Result<(There, Mark)> {
        let Some(stat) = self.stat(&self.name)? else {
            return Ok((There::Nothing, Mark::NotOurs));
        };
        Ok(match self.open(&self.name, EXISTING)? {
            Some((file, stat)) => (There::of(&stat), mark::is_file(&file, &stat)),
            None => (There::of(&stat), Mark::NotOurs),
        })
    }

    /// Opens the existing file for a comparison; also returns whether a push brought it.
    pub fn open_existing(&self) -> io::Result<(File, Mark)> {
        let unreadable = || io::Error::other("the existing file cannot be read");
        let opened = self.open(&self.name, EXISTING)?;
        let (file, stat) = opened.ok_or_else(unreadable)?;
        let brought = mark::is_file(&file, &stat);
        Ok((file.into(), brought))
    }

    /// Writes the folder's names to the disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&*self.folder)?)
    }

    /// Sets the permissions and time of a file and marks it. Returns whether it could be marked.
    pub fn settle(&self, file: &File, mode: u16, modified: (i64, u32)) -> io::Result<bool> {
        let mode = granted(mode, self.withheld);
        metadata::set_time(file, modified)?;
        let mut is_marked = mark::file(file);
        if !is_marked && mode & OWNER_WRITES == 0 {
            // The kernel requires write permission to mark a file.
            metadata::set_mode(file, mode | OWNER_WRITES)?;
            is_marked = mark::file(file);
        }
        metadata::set_mode(file, mode)?;
        Ok(is_marked)
    }

    /// Sets the permissions of an existing file, if it is still the one that was checked.
    pub fn permit(&self, seen: There, mode: u16) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&*self.folder, &self.name, flags, Mode::empty())?;
        match There::of(&fstat(&file)?) == seen {
            true => metadata::set_mode_of_path(&file, granted(mode, self.withheld)),
            false => Err(io::Error::other("the file changed meanwhile")),
        }
    }
}
