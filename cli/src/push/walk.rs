//! Walks the folders to push by their descriptors. Each is opened relative to its parent, and links are followed
//! only if the user asked for it. So whatever a local program swaps meanwhile, the walk stays below the path that
//! was named.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{fstat, openat, readlinkat, statat, AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::place::{not_followed, reopen, Identity};

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Something that the walk found.
pub struct Found<'a> {
    /// Relative to the named path; empty for that path itself.
    pub below: &'a Path,
    pub stat: &'a Stat,
    /// The target, if it is a link that is not followed.
    pub target: Option<&'a [u8]>,
    /// Its folder and its name there, or itself with an empty name.
    pub at: (BorrowedFd<'a>, &'a OsStr),
    /// Whether links are followed.
    pub dereference: bool,
}

impl Found<'_> {
    /// Opens a file for reading, if it is still the one that was found.
    pub fn open(&self) -> io::Result<File> {
        let (at, name) = self.at;
        if name.is_empty() {
            return reopen(&at.try_clone_to_owned()?, Identity::of(self.stat));
        }
        let flags = match self.dereference {
            true => OFlags::PATH | OFlags::CLOEXEC,
            false => OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        };
        reopen(
            &openat(at, name, flags, Mode::empty())?,
            Identity::of(self.stat),
        )
    }
}

/// Receives what the walk finds.
pub trait Visit {
    /// Returns whether to enter it, if it is a folder.
    fn found(&mut self, found: &Found<'_>) -> bool;
    /// Something could not be read.
    fn failed(&mut self, below: &Path, error: &io::Error);
}

/// Walks an open folder (`O_PATH` is enough) whose metadata is `stat`.
pub fn walk(root: BorrowedFd<'_>, stat: &Stat, dereference: bool, visit: &mut impl Visit) {
    let mut walk = Walk {
        dereference,
        within: Vec::new(),
        visit,
    };
    let below = PathBuf::new();
    let goes_on = walk.visit.found(&Found {
        below: &below,
        stat,
        target: None,
        at: (root, OsStr::new("")),
        dereference,
    });
    if goes_on && is_folder(stat) {
        // By the descriptor, because the name may mean something else by now.
        walk.folder(root, OsStr::new("."), Identity::of(stat), &below);
    }
}

struct Walk<'a, V> {
    dereference: bool,
    /// The folders above the current one. A link to one of them would be an endless loop.
    within: Vec<Identity>,
    visit: &'a mut V,
}

impl<V: Visit> Walk<'_, V> {
    fn folder(&mut self, parent: BorrowedFd<'_>, name: &OsStr, was: Identity, below: &Path) {
        let opened = self.open(parent, name, was);
        let read = opened.and_then(|folder| Ok((names(&folder)?, folder)));
        let (names, folder) = match read {
            Ok(read) => read,
            Err(error) => return self.visit.failed(below, &error),
        };
        self.within.push(was);
        for name in names {
            let below = below.join(&name);
            if let Err(error) = self.entry(&folder, &name, &below) {
                self.visit.failed(&below, &error);
            }
        }
        self.within.pop();
    }

    fn open(&self, parent: BorrowedFd<'_>, name: &OsStr, was: Identity) -> io::Result<OwnedFd> {
        let flags = match self.dereference {
            true => FOLDER,
            false => FOLDER | OFlags::NOFOLLOW,
        };
        let folder = openat(parent, name, flags, Mode::empty()).map_err(not_followed)?;
        was.check(&folder, &fstat(&folder)?)?;
        Ok(folder)
    }

    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, below: &Path) -> io::Result<()> {
        let mut stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if is_link && self.dereference {
            stat = statat(folder, name, AtFlags::empty())?;
        }
        let is_folder = is_folder(&stat);
        let identity = Identity::of(&stat);
        if is_folder && self.within.contains(&identity) {
            return Err(io::Error::other(
                "the link leads to one of its own parent folders",
            ));
        }
        let target = match is_link && !self.dereference {
            true => Some(readlinkat(folder, name, Vec::new())?),
            false => None,
        };
        let goes_on = self.visit.found(&Found {
            below,
            stat: &stat,
            target: target.as_deref().map(CStr::to_bytes),
            at: (folder.as_fd(), name),
            dereference: self.dereference,
        });
        if is_folder && goes_on {
            self.folder(folder.as_fd(), name, identity, below);
        }
        Ok(())
    }
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The names in a folder, sorted.
fn names(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
