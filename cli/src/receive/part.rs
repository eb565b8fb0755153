//! The unfinished content of a file, under its own name beside the place.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    flock, fstat, openat, renameat, renameat_with, unlinkat, AtFlags, FileType, FlockOperation,
    Mode, OFlags, RenameFlags, Stat,
};
use rustix::io::Errno;

use super::mark::{self, Mark};
use super::place::{is_regular, Place};
use crate::transfer::path::other_part_name;

const PART: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
/// Retries when another program takes a name meanwhile.
const TRIES: u32 = 16;

/// An unfinished file.
pub struct Part {
    pub file: Arc<File>,
    pub name: PathBuf,
    /// An earlier push left it.
    pub is_kept: bool,
    /// A later push will find it under this name.
    pub is_found_again: bool,
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
