//! The receiver's folder. No path leads outside of it.
//!
//! Paths are opened one component at a time, relative to the previous one and without following links
//! (O_NOFOLLOW, O_DIRECTORY). So whatever a peer names, and whatever a local program swaps meanwhile, the result
//! is below the folder.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{fstat, fstatvfs, mkdirat, open, openat, Mode, OFlags};
use rustix::io::Errno;

use super::identity;
use super::known::{Known, State};
use super::mark::Mark;
use super::metadata::{self, Made};
use super::place::{granted, Place, There};
use super::presence::{is_read_only, Presence};
use crate::handshake::Identity;
use crate::transfer::path::part_name;

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);

/// The owner's permissions while a folder is filled.
const OWNERS: u16 = 0o700;

/// The receiver's folder, open.
pub struct Folder {
    presence: Presence,
    pub(super) root: Arc<OwnedFd>,
    /// The user that this program runs as.
    user: u32,
    /// The users whose folders are entered: this one, the owner of DIR, and root.
    trusted: [u32; 3],
    /// The umask: permissions that new files do not get.
    withheld: Mode,
    /// Files that pushes brought, where files cannot be marked.
    known: Known,
    /// Folders that pushes created.
    made: Made,
}

/// Caches the folder of the last path, because the next path is usually in the same one.
pub struct Walk<'a> {
    folder: &'a Folder,
    last: Option<(PathBuf, Arc<OwnedFd>)>,
}

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        // The user's own path may be a link.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = open(path, flags, Mode::empty())?;
        let owner = fstat(&root)?.st_uid;
        // The umask can only be read by setting it. No other thread creates files yet.
        let withheld = rustix::process::umask(Mode::empty());
        rustix::process::umask(withheld);
        let user = rustix::process::geteuid().as_raw();
        Ok(Self {
            root: Arc::new(root),
            presence: Presence::of(path)?,
            user,
            trusted: [user, owner, 0],
            withheld,
            known: Known::default(),
            made: Made::default(),
        })
    }

    /// The identity that this receiver sends to pushers.
    pub fn identity(&self) -> Identity {
        identity::of(&*self.root)
    }

    /// Free disk space for this user.
    pub fn free(&self) -> io::Result<u64> {
        let stat = fstatvfs(&*self.root)?;
        // Some file systems do not report it: ramfs, some of FUSE.
        if stat.f_blocks == 0 {
            return Ok(u64::MAX);
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether an error at a path affects the whole folder, so that every other entry would fail, too.
    pub fn concerns_all(&self, path: &Path, error: Errno) -> bool {
        match error {
            Errno::NOSPC | Errno::DQUOT => {
                // Another file system may be mounted below the folder.
                let device = |fd: &OwnedFd| fstat(fd).map(|stat| stat.st_dev);
                let here = self.parent(path).ok().and_then(|(at, _)| device(&at).ok());
                here.is_none() || here == device(&self.root).ok()
            }
            Errno::ROFS => self.is_read_only(),
            _ => false,
        }
    }

    /// Why receiving has become impossible, if the folder is no longer the one that the user named.
    pub fn lost(&self) -> Option<&'static str> {
        self.presence.lost(&*self.root)
    }

    pub fn is_read_only(&self) -> bool {
        is_read_only(&*self.root)
    }

    fn walk(&self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        let mut folder = Arc::clone(&self.root);
        for name in path.components() {
            folder = Arc::new(self.enter(&folder, name.as_os_str())?);
        }
        Ok(folder)
    }

    /// Opens a folder below, without following links.
    pub(super) fn open_folder(&self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        self.walk(path)
    }

    /// Whether a folder exists, without a link on the way.
    pub fn has_folder(&self, path: &Path) -> bool {
        self.walk(path).is_ok()
    }

    /// Opens a subfolder. Refuses one of another user, who may have put it there and could exchange everything in
    /// it.
    pub(super) fn enter(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        let folder = openat(parent, name, FOLDER, Mode::empty())?;
        let owner = fstat(&folder)?.st_uid;
        match self.trusted.contains(&owner) {
            true => Ok(folder),
            false => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "its folder belongs to another user (uid {owner}), who could replace files \
                     in it"
                ),
            )),
        }
    }

    /// The parent folder of a path, and its last component.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Arc<OwnedFd>, &'a OsStr)> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.walk(parent)?, name))
    }

    pub fn place(&self, path: &Path) -> io::Result<Place> {
        let (folder, name) = self.parent(path)?;
        Ok(self.place_in(folder, name))
    }

    fn place_in(&self, folder: Arc<OwnedFd>, name: &OsStr) -> Place {
        Place {
            folder,
            name: name.into(),
            part: part_name(name),
            withheld: self.withheld,
            user: self.user,
        }
    }

    pub fn walker(&self) -> Walk<'_> {
        Walk {
            folder: self,
            last: None,
        }
    }

    /// Whether a push brought a file, by its mark, or from memory where files have no marks.
    pub fn brought(&self, mark: Mark, path: &Path, state: State) -> Mark {
        match mark {
            Mark::Unsupported if self.known.is_known(path, state) => Mark::Ours,
            mark => mark,
        }
    }

    /// Remembers a file that a push brought and that could not be marked.
    pub fn remember(&self, path: &Path, place: &Place) {
        if let Ok((There::File { size, modified, .. }, _)) = place.there() {
            self.known.remember(path, (size, modified));
        }
    }

    /// Links cannot be marked.
    pub fn remember_link(&self, path: &Path, state: State) {
        self.known.remember(path, state);
    }

    pub fn knows_link(&self, path: &Path, state: State) -> bool {
        self.known.is_known(path, state)
    }

    /// Creates a folder, unless it exists. Its owner can write into it whatever `mode` says; [`Folder::settle`]
    /// sets its final permissions. With `open_up` an existing folder is made writable, too.
    pub fn make(&self, path: &Path, mode: u16, open_up: bool) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match mkdirat(&*parent, name, Mode::from_raw_mode((mode | OWNERS).into())) {
            Ok(()) => {
                self.made.remember(&*parent, name);
                Ok(())
            }
            // What exists must be a folder, not a link to one.
            Err(Errno::EXIST) => {
                let there = self.enter(&parent, name)?;
                let stat = fstat(&there)?;
                let mode = metadata::permissions(&stat);
                if mode & OWNERS != OWNERS && (open_up || self.made.has(&there)) {
                    metadata::set_mode(&there, mode | OWNERS)?;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the time and permissions of a folder when its content is complete. A folder that no push created
    /// keeps its permissions, unless `force`.
    pub fn settle(
        &self,
        path: &Path,
        mode: u16,
        modified: (i64, u32),
        force: bool,
    ) -> io::Result<()> {
        let folder = self.walk(path)?;
        let stat = fstat(&*folder)?;
        metadata::set_time(&*folder, modified)?;
        let there = metadata::permissions(&stat);
        // A push that broke may have left it in this state, and the receiver may have been restarted since.
        let is_unfinished = there == self.granted(mode | OWNERS);
        match is_unfinished || force || self.made.has(&*folder) {
            true => metadata::set_mode(&*folder, self.granted(mode)),
            false => Ok(()),
        }
    }

    /// Removes the umask from permissions.
    pub fn granted(&self, mode: u16) -> u16 {
        granted(mode, self.withheld)
    }
}

impl Walk<'_> {
    /// As [`Folder::place`], for many paths.
    pub fn place(&mut self, path: &Path) -> io::Result<Place> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let folder = match &self.last {
            Some((last, folder)) if last == parent => Arc::clone(folder),
            _ => {
                let folder = self.folder.walk(parent)?;
                self.last = Some((parent.to_owned(), Arc::clone(&folder)));
                folder
            }
        };
        Ok(self.folder.place_in(folder, name))
    }
}

#[cfg(test)]
mod tests;
