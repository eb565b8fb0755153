//! The folder that files are received into, and nothing outside of it.
//!
//! Every path is walked one component after the other, each opened relative to the one before it and
//! without following a link (O_NOFOLLOW, O_DIRECTORY): whatever a peer names, and whatever a local
//! program swaps meanwhile, the result lies below the folder.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    flock, fstat, fstatvfs, mkdirat, open, openat, renameat, renameat_with, statat, unlinkat,
    AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat,
};
use rustix::io::Errno;

use super::metadata::{self, Made};
use crate::transfer::entry::part_name;

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);
const PART: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// What the owner of a folder may do while it is filled.
const OWNERS: u16 = 0o700;

/// The folder.
pub struct Folder {
    root: OwnedFd,
    /// What permissions new files do not get (umask(2)).
    withheld: Mode,
    /// The folders that pushes made.
    made: Made,
}

/// Where a file is to be: its folder, open, and its names in it.
pub struct Place {
    folder: OwnedFd,
    name: PathBuf,
    part: PathBuf,
    withheld: Mode,
}

/// What is at a place already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    Nothing,
    File {
        size: u64,
        modified: (i64, u32),
        mode: u16,
    },
    Folder,
    /// A link, a device, a pipe, a socket.
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

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        // The user's own word may be a link.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = open(path, flags, Mode::empty())?;
        // It can only be read by setting it; no other thread makes files yet.
        let withheld = rustix::process::umask(Mode::empty());
        rustix::process::umask(withheld);
        Ok(Self {
            root,
            withheld,
            made: Made::default(),
        })
    }

    /// Bytes that are free for this user.
    pub fn free(&self) -> io::Result<u64> {
        let stat = fstatvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn walk(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for name in path.components() {
            folder = openat(&folder, name.as_os_str(), FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }

    /// The folder that a path is in, and its last name.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.walk(parent)?, name))
    }

    pub fn place(&self, path: &Path) -> io::Result<Place> {
        let (folder, name) = self.parent(path)?;
        Ok(Place {
            folder,
            name: name.into(),
            part: part_name(name),
            withheld: self.withheld,
        })
    }

    /// Makes a folder, unless it is there. Its owner can write into it whatever `mode` says; it gets its own
    /// permissions by [`Folder::settle`]. With `open_up` one that is there is made writable, too.
    pub fn make(&self, path: &Path, mode: u16, open_up: bool) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match mkdirat(&parent, name, Mode::from_raw_mode((mode | OWNERS).into())) {
            Ok(()) => {
                self.made.remember(&parent, name);
                Ok(())
            }
            // Whatever is there has to be a folder, and no link to one.
            Err(Errno::EXIST) => {
                let there = openat(&parent, name, FOLDER, Mode::empty())?;
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

    /// Gives a folder its time and permissions, when all is in it. One that no push made keeps its
    /// permissions, unless `force`.
    pub fn settle(
        &self,
        path: &Path,
        mode: u16,
        modified: (i64, u32),
        force: bool,
    ) -> io::Result<()> {
        let folder = self.walk(path)?;
        let stat = fstat(&folder)?;
        metadata::set_time(&folder, modified)?;
        let there = metadata::permissions(&stat);
        // A push that broke left it like this: its receiver may not be the one that made it.
        let is_unfinished = there == self.granted(mode | OWNERS);
        match is_unfinished || force || self.made.has(&folder) {
            true => metadata::set_mode(&folder, self.granted(mode)),
            false => Ok(()),
        }
    }

    /// What is left of permissions when the umask is taken away.
    pub fn granted(&self, mode: u16) -> u16 {
        granted(mode, self.withheld)
    }
}

fn granted(mode: u16, withheld: Mode) -> u16 {
    (Mode::from_raw_mode(mode.into()) - withheld).bits() as u16
}

impl Place {
    fn look(&self, name: &Path) -> io::Result<There> {
        let stat = match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(There::Nothing),
            Err(error) => return Err(error.into()),
        };
        Ok(There::of(&stat))
    }

    /// What has the file's own name.
    pub fn there(&self) -> io::Result<There> {
        self.look(&self.name)
    }

    /// Bytes that an earlier push left.
    pub fn left(&self) -> io::Result<u64> {
        match self.look(&self.part)? {
            There::File { size, .. } => Ok(size),
            _ => Ok(0),
        }
    }

    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Opens the file that is there, for comparing it.
    pub fn open_existing(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat(&self.folder, &self.name, flags, Mode::empty())?.into())
    }

    /// Opens the unfinished file, or begins it. Only one process has it at a time.
    pub fn open_part(&self) -> io::Result<File> {
        let mode = Mode::RUSR | Mode::WUSR;
        let part = openat(&self.folder, &self.part, PART | OFlags::CREATE, mode)?;
        let stat = fstat(&part)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(io::Error::other(
                "what has the name of the unfinished file is no file of its own",
            ));
        }
        flock(&part, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => io::Error::other("another program is receiving this file"),
            other => other.into(),
        })?;
        Ok(part.into())
    }

    pub fn remove_part(&self) {
        // At worst it stays.
        let _ = unlinkat(&self.folder, &self.part, AtFlags::empty());
    }

    /// Has the names in its folder on the disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    /// Gives a file its permissions and its time.
    pub fn settle(&self, file: &File, mode: u16, modified: (i64, u32)) -> io::Result<()> {
        metadata::set_mode(file, granted(mode, self.withheld))?;
        metadata::set_time(file, modified)
    }

    /// Gives a file that is there, and is the one that was looked at, its permissions.
    pub fn permit(&self, seen: There, mode: u16) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, &self.name, flags, Mode::empty())?;
        match There::of(&fstat(&file)?) == seen {
            true => metadata::set_mode_of_path(&file, granted(mode, self.withheld)),
            false => Err(io::Error::other("it changed meanwhile")),
        }
    }

    /// Puts the finished file in its place, in one step. Without `force` it never replaces another.
    pub fn finish(
        &self,
        part: &File,
        mode: u16,
        modified: (i64, u32),
        force: bool,
    ) -> io::Result<()> {
        self.settle(part, mode, modified)?;
        if force {
            renameat(&self.folder, &self.part, &self.folder, &self.name)?;
            return Ok(());
        }
        let (folder, flags) = (&self.folder, RenameFlags::NOREPLACE);
        match renameat_with(folder, &self.part, folder, &self.name, flags) {
            // A file system that cannot: then there is a moment between looking and renaming.
            Err(Errno::INVAL | Errno::NOSYS) => match self.there()? {
                There::Nothing => Ok(renameat(folder, &self.part, folder, &self.name)?),
                _ => Err(Errno::EXIST.into()),
            },
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("in")).unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        let folder = Folder::open(&directory.path().join("in")).unwrap();
        (directory, folder)
    }

    #[test]
    fn links_are_never_followed() {
        let (directory, folder) = folder();
        symlink("../out", directory.path().join("in/link")).unwrap();
        assert!(folder.make(Path::new("link/x"), 0o755, true).is_err());
        assert!(folder.make(Path::new("link"), 0o755, true).is_err());
        assert!(folder.place(Path::new("link/x")).is_err());
        symlink("../../out/target", directory.path().join("in/.x.dcf-part")).unwrap();
        let place = folder.place(Path::new("x")).unwrap();
        assert!(place.open_part().is_err());
        symlink("../out", directory.path().join("in/y")).unwrap();
        let place = folder.place(Path::new("y")).unwrap();
        assert_eq!(place.there().unwrap(), There::Special);
        assert!(place.open_existing().is_err());
        assert_eq!(
            fs::read_dir(directory.path().join("out")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_file_gets_its_place_in_one_step_and_replaces_none() {
        let (directory, folder) = folder();
        folder.make(Path::new("a"), 0o555, false).unwrap();
        folder.make(Path::new("a"), 0o555, false).unwrap();
        let place = folder.place(Path::new("a/x")).unwrap();
        let mut part = place.open_part().unwrap();
        assert!(place.open_part().is_err(), "one at a time");
        part.write_all(b"new").unwrap();
        assert_eq!(place.left().unwrap(), 3);
        place.finish(&part, 0o640, (1_000_000, 7), false).unwrap();
        let there = There::File {
            size: 3,
            modified: (1_000_000, 7),
            mode: 0o640,
        };
        assert_eq!(place.there().unwrap(), there);

        let part = place.open_part().unwrap();
        let error = place.finish(&part, 0o640, (1, 0), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        place.finish(&part, 0o640, (1, 0), true).unwrap();
        assert_eq!(fs::read(directory.path().join("in/a/x")).unwrap(), b"");
    }

    #[test]
    fn a_hard_link_is_no_unfinished_file() {
        let (directory, folder) = folder();
        let other = directory.path().join("out/precious");
        fs::write(&other, "precious").unwrap();
        fs::hard_link(&other, directory.path().join("in/.x.dcf-part")).unwrap();
        assert!(folder.place(Path::new("x")).unwrap().open_part().is_err());
    }
}
