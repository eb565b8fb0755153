//! Where an entry is, and how to open it later: only if it is still the file that the walk found.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{fstat, fstatfs, open, openat, FileType, FsWord, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::exit::Exit;

/// The file is not the one that was announced.
#[derive(Debug)]
pub struct Changed(&'static str);

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Changed {}

/// The error of a file that is not the one that was announced.
pub fn changed() -> io::Error {
    io::Error::other(Changed("it changed after it was announced"))
}

/// Converts an error of opening without following links.
pub fn not_followed(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => io::Error::other(Changed("it was replaced by a link")),
        other => other.into(),
    }
}

/// The exit code of a file that could not be opened.
pub fn exit_of(error: &io::Error) -> Exit {
    let is_changed = error.get_ref().is_some_and(|inner| inner.is::<Changed>());
    match is_changed || error.kind() == io::ErrorKind::NotFound {
        true => Exit::Damaged,
        false => Exit::Failed,
    }
}

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// A pipe in place of the file must not block, and a terminal must not become ours.
const CONTENT: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// The f_type of FUSE file systems (statfs(2)).
const FUSE: FsWord = 0x6573_5546;

/// Identifies a file or folder independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    /// Checks that a descriptor, with its `stat`, is the same file or folder.
    pub fn check(self, fd: impl AsFd, stat: &Stat) -> io::Result<()> {
        let now = Self::of(stat);
        if now == self {
            return Ok(());
        }
        // Many FUSE file systems assign a new inode number when the kernel has forgotten the file. Their owner
        // controls their content anyway.
        let renumbers = || fstatfs(fd).is_ok_and(|about| about.f_type == FUSE);
        if now.device == self.device && renumbers() {
            return Ok(());
        }
        Err(changed())
    }
}

/// A path on the command line.
#[derive(Debug)]
pub struct Root {
    named: PathBuf,
    identity: Identity,
    is_folder: bool,
    /// Whether links below it are followed.
    dereference: bool,
}

impl Root {
    /// Opens a path of the user with `O_PATH`. A link there is followed.
    pub fn open(named: &Path, dereference: bool) -> io::Result<(Self, OwnedFd, Stat)> {
        let fd = open(named, PATH, Mode::empty())?;
        let stat = fstat(&fd)?;
        let root = Self {
            named: named.to_owned(),
            identity: Identity::of(&stat),
            is_folder: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            dereference,
        };
        Ok((root, fd, stat))
    }

    fn open_again(&self) -> io::Result<OwnedFd> {
        let fd = open(&self.named, PATH, Mode::empty())?;
        self.identity.check(&fd, &fstat(&fd)?)?;
        Ok(fd)
    }
}

/// The parent folder of a path, if the path has the same name here and at the receiver.
pub fn beside(path: &Path, base: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(path).ok()?;
    let is_same = whole
        .file_name()
        .is_some_and(|name| Path::new(name) == base);
    is_same.then(|| whole.parent().map(Path::to_owned))?
}

/// The place of an entry: the index of its root, and the identity of what the walk found.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub root: u32,
    pub identity: Identity,
}

/// Opens files, and keeps the root open whose files are being sent.
#[derive(Debug, Default)]
pub struct Opener(Mutex<Option<(u32, Arc<OwnedFd>)>>);

impl Opener {
    /// Opens the file at a place, `below` the root. Checks its type, but not its size and time.
    pub fn open(&self, roots: &[Root], place: Place, below: &Path) -> io::Result<File> {
        let root = &roots[place.root as usize];
        if !root.is_folder {
            let found = root.open_again()?;
            return reopen_or(&found, place.identity, || found.try_clone());
        }
        let folder = self.root(roots, place.root)?;
        if root.dereference {
            let found = openat(&folder, below, PATH, Mode::empty())?;
            return reopen_or(&found, place.identity, || {
                Ok(openat(&folder, below, CONTENT, Mode::empty())?)
            });
        }
        checked(
            open_below(&folder, below).map_err(not_followed)?,
            place.identity,
        )
    }

    fn root(&self, roots: &[Root], number: u32) -> io::Result<Arc<OwnedFd>> {
        let mut open = self.0.lock().unwrap_or_else(|error| error.into_inner());
        match &*open {
            Some((is, fd)) if *is == number => Ok(Arc::clone(fd)),
            _ => {
                let fd = Arc::new(roots[number as usize].open_again()?);
                *open = Some((number, Arc::clone(&fd)));
                Ok(fd)
            }
        }
    }
}

/// Opens a path component by component, without following links.
fn open_below(root: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let name = below.file_name().ok_or(Errno::INVAL)?;
    let mut folder = None;
    for part in below.parent().into_iter().flat_map(Path::components) {
        let from = folder.as_ref().unwrap_or(root);
        let flags = PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        folder = Some(openat(from, part.as_os_str(), flags, Mode::empty())?);
    }
    let from = folder.as_ref().unwrap_or(root);
    openat(from, name, CONTENT | OFlags::NOFOLLOW, Mode::empty())
}

/// Opens `found` (`O_PATH`) for reading. It is checked first, because opening a device can have side effects.
pub fn reopen(found: &OwnedFd, identity: Identity) -> io::Result<File> {
    reopen_or(found, identity, || Err(Errno::NOENT.into()))
}

/// As [`reopen`], with a fallback for systems without /proc.
fn reopen_or(
    found: &OwnedFd,
    identity: Identity,
    without_proc: impl FnOnce() -> io::Result<OwnedFd>,
) -> io::Result<File> {
    let stat = fstat(found)?;
    is_file(&stat)?;
    identity.check(found, &stat)?;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = match open(path, CONTENT, Mode::empty()) {
        Err(Errno::NOENT) => without_proc()?,
        opened => opened?,
    };
    checked(file, identity)
}

fn checked(file: OwnedFd, identity: Identity) -> io::Result<File> {
    let stat = fstat(&file)?;
    is_file(&stat)?;
    identity.check(&file, &stat)?;
    Ok(file.into())
}

fn is_file(stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(changed()),
    }
}
