//! The place of one file: its folder, its name, and the name of its unfinished content.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    flock, fstat, openat, renameat, renameat_with, statat, unlinkat, AtFlags, FileType,
    FlockOperation, Mode, OFlags, RenameFlags, Stat,
};
use rustix::io::Errno;

use super::mark::{self, Mark};
use super::metadata;
use crate::transfer::path::other_part_name;

const PART: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
const EXISTING: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
const OWNER_WRITES: u16 = 0o200;
/// Retries when another program takes a name meanwhile.
const TRIES: u32 = 16;

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

/// An unfinished file.
pub struct Part {
    pub file: Arc<File>,
    pub name: PathBuf,
    /// An earlier push left it.
    pub is_kept: bool,
    /// A later push will find it under this name.
    pub is_found_again: bool,
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn lock(file: &OwnedFd) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => io::Error::other("another program is receiving this file"),
        other => other.into(),
    })
}

impl Place {
    /// Whether it is a file that only this user, or root, can have written.
    fn is_private(&self, stat: &Stat) -> bool {
        is_regular(stat)
            && stat.st_nlink == 1
            && stat.st_uid == self.user
            && stat.st_mode & 0o022 == 0
    }

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
    fn open(&self, name: &Path, flags: OFlags) -> io::Result<Option<(OwnedFd, Stat)>> {
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

    /// Opens the unfinished file of an earlier push, if nobody else can have changed it.
    fn open_kept(&self) -> io::Result<Option<(OwnedFd, Stat)>> {
        // Never open a file that others can write.
        if !self
            .stat(&self.part)?
            .is_some_and(|stat| self.is_private(&stat))
        {
            return Ok(None);
        }
        let opened = self.open(&self.part, PART)?;
        Ok(opened.filter(|(file, stat)| {
            self.is_private(stat) && mark::is_part(file, stat) != Mark::NotOurs
        }))
    }

    /// The size of the unfinished file of an earlier push.
    pub fn left(&self) -> io::Result<u64> {
        Ok(self.open_kept()?.map_or(0, |(_, stat)| stat.st_size as u64))
    }

    /// Opens the unfinished file or creates it. Only one process can have it.
    pub fn open_part(&self) -> io::Result<Part> {
        for _ in 0..TRIES {
            if let Some((kept, stat)) = self.open_kept()? {
                lock(&kept)?;
                // Before the lock was taken, it may have been renamed or removed.
                let still = self.stat(&self.part)?.is_some_and(|now| {
                    (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino) && self.is_private(&now)
                });
                if still {
                    return Ok(self.part_of(kept, self.part.clone(), true));
                }
                continue;
            }
            match self.begin(&self.part) {
                Err(Errno::EXIST) => {}
                begun => return Ok(self.part_of(begun?, self.part.clone(), false)),
            }
            if !self.clear()? {
                break;
            }
        }
        // The name belongs to something that can neither be resumed nor removed.
        for _ in 0..TRIES {
            let mut random = [0; 8];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
            let name = other_part_name(self.name.as_os_str(), u64::from_ne_bytes(random));
            match self.begin(&name) {
                Err(Errno::EXIST) => {}
                begun => return Ok(self.part_of(begun?, name, false)),
            }
        }
        Err(io::Error::other(
            "cannot create the unfinished file: another program takes every name that is tried",
        ))
    }

    fn part_of(&self, file: OwnedFd, name: PathBuf, is_kept: bool) -> Part {
        Part {
            is_found_again: name == self.part,
            file: Arc::new(file.into()),
            name,
            is_kept,
        }
    }

    /// Creates a file that no other process has open or can open.
    fn begin(&self, name: &Path) -> rustix::io::Result<OwnedFd> {
        let (flags, mode) = (
            PART | OFlags::CREATE | OFlags::EXCL,
            Mode::RUSR | Mode::WUSR,
        );
        let file = openat(&*self.folder, name, flags, mode)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        mark::part(&file);
        Ok(file)
    }

    /// Removes what has the name of the unfinished file and cannot be resumed, if it is this user's. Returns
    /// whether the name may be free now.
    fn clear(&self) -> io::Result<bool> {
        let Some(stat) = self.stat(&self.part)? else {
            return Ok(true);
        };
        let is_ours = stat.st_uid == self.user;
        if !is_ours || FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(false);
        }
        if let Some((file, _)) = self.open(&self.part, PART)? {
            lock(&file)?;
        }
        match unlinkat(&*self.folder, &self.part, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::PERM | Errno::ACCESS | Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub fn remove_part(&self, part: &Part) {
        // On failure it stays.
        let _ = unlinkat(&*self.folder, &part.name, AtFlags::empty());
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

    /// Renames the complete file into place. Without `force` it never replaces another. Returns whether the file
    /// is marked.
    pub fn finish(
        &self,
        part: &Part,
        mode: u16,
        modified: (i64, u32),
        force: bool,
    ) -> io::Result<bool> {
        let is_marked = self.settle(&part.file, mode, modified)?;
        let (folder, name) = (&*self.folder, &part.name);
        let (stat, named) = (fstat(&part.file)?, self.stat(name)?);
        let same = |named: Stat| (named.st_dev, named.st_ino) == (stat.st_dev, stat.st_ino);
        if !named.is_some_and(same) {
            return Err(io::Error::other(
                "another program replaced or removed the unfinished file",
            ));
        }
        if force {
            renameat(folder, name, folder, &self.name)?;
            return Ok(is_marked);
        }
        match renameat_with(folder, name, folder, &self.name, RenameFlags::NOREPLACE) {
            // Without support for RENAME_NOREPLACE there is a race between the check and the rename.
            Err(Errno::INVAL | Errno::NOSYS) => match self.stat(&self.name)? {
                None => renameat(folder, name, folder, &self.name)?,
                Some(_) => return Err(Errno::EXIST.into()),
            },
            other => other?,
        }
        Ok(is_marked)
    }
}
