//! Creates symbolic links: only relative ones that stay within the pushed folders.
//!
//! transfer/link.rs decides by the text of a link. Here the kernel checks, too: links that existed before the
//! push may lead elsewhere, and no pushed link may lead through one of them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    openat2, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat, utimensat, AtFlags,
    Mode, OFlags, RenameFlags, ResolveFlags,
};
use rustix::io::Errno;
use xxhash_rust::xxh3::xxh3_128;

use super::folder::Folder;
use super::known::State;
use super::metadata::times;
use super::outcome::Outcome;
use super::place::Place;
use super::session::Session;
use crate::exit::Exit;
use crate::output;
use crate::transfer::entry::Entry;
use crate::transfer::link::resolve;
use crate::transfer::path::PART;

/// Retries while another program renames folders on the way.
const TRIES: usize = 8;

/// Creates the link of an entry. A failure affects this link only.
pub fn make(session: &Session, place: &Place, entry: &Entry) -> Outcome {
    let target = entry.target().unwrap_or_default();
    let failed = |why: String| Outcome::Failed(Exit::Refused, why);
    // A folder of the push that could not be created may be a link, now or later.
    let is_folder = |path: &Path| session.folder.has_folder(path);
    if let Err(why) = resolve(&entry.path, target, is_folder) {
        return failed(why.to_owned());
    }
    if let Err(error) = session.folder.leads_within(&entry.path, target) {
        let target = output::harmless(target);
        return failed(format!("cannot create the link to \"{target}\": {error}"));
    }
    match place.link(target, entry.modified, session.rules.force) {
        Ok(()) => {
            if let Ok(Some(state)) = place.link_to(entry.target()) {
                session.folder.remember_link(&entry.path, state);
            }
            Outcome::Done
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Outcome::taken_meanwhile(),
        Err(error) => Outcome::Failed(Exit::Failed, format!("cannot create the link: {error}")),
    }
}

impl Folder {
    /// Checks that a link stays below the folder, as far as its target exists now.
    fn leads_within(&self, path: &Path, target: &[u8]) -> io::Result<()> {
        let from = path.parent().unwrap_or(Path::new(""));
        let whole = from.join(OsStr::from_bytes(target));
        let flags = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match openat2(
                &*self.root,
                &whole,
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                flags,
            ) {
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV) => {
                    return Err(io::Error::other(
                        "an existing link on its way leads outside of the folder",
                    ))
                }
                // The target does not exist or is not accessible; the text of the link was checked before.
                Err(
                    Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::NAMETOOLONG,
                )
                | Ok(_) => return Ok(()),
                Err(Errno::NOSYS) => {
                    return Err(io::Error::other(
                        "this kernel cannot check where it leads (Linux 5.6 or later can)",
                    ))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("folders on its way are being renamed"))
    }
}

impl Place {
    /// The length and time of the existing link, if it has this target.
    pub fn link_to(&self, target: Option<&[u8]>) -> io::Result<Option<State>> {
        let there = match readlinkat(&*self.folder, &self.name, Vec::new()) {
            Ok(there) => there,
            Err(Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if Some(there.as_bytes()) != target {
            return Ok(None);
        }
        let stat = statat(&*self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Some((
            there.as_bytes().len() as u64,
            (stat.st_mtime, stat.st_mtime_nsec as u32),
        )))
    }

    fn link(&self, target: &[u8], modified: (i64, u32), force: bool) -> io::Result<()> {
        self.put(force, |name| {
            symlinkat(OsStr::from_bytes(target), &*self.folder, name)?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            // Not every file system stores times of links.
            match utimensat(&*self.folder, name, &times(modified), flags) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    /// Creates something under a temporary name and renames it. Without `force` it never replaces anything.
    pub(super) fn put(
        &self,
        force: bool,
        make: impl Fn(&Path) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.temporary_name();
        let mut made = make(&temporary);
        if made == Err(Errno::EXIST) {
            // A receiver that was killed left it: no other program uses such a name.
            unlinkat(&*self.folder, &temporary, AtFlags::empty())?;
            made = make(&temporary);
        }
        let put = made
            .map_err(io::Error::from)
            .and_then(|()| self.rename(&temporary, force));
        // rename(2) does nothing if both names are links to the same file. If unlink fails, the next push removes
        // it.
        let _ = unlinkat(&*self.folder, &temporary, AtFlags::empty());
        put
    }

    fn rename(&self, from: &Path, force: bool) -> io::Result<()> {
        let folder = &*self.folder;
        if force {
            return Ok(renameat(folder, from, folder, &self.name)?);
        }
        match renameat_with(folder, from, folder, &self.name, RenameFlags::NOREPLACE) {
            // Without support for RENAME_NOREPLACE there is a race between the check and the rename.
            Err(Errno::INVAL | Errno::NOSYS) => match self.stat(&self.name)? {
                None => Ok(renameat(folder, from, folder, &self.name)?),
                Some(_) => Err(Errno::EXIST.into()),
            },
            other => Ok(other?),
        }
    }

    /// A temporary name, of the kind that no entry may have.
    fn temporary_name(&self) -> PathBuf {
        let hash = xxh3_128(self.name.as_os_str().as_bytes());
        PathBuf::from(format!(".{hash:032x}-link{PART}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{symlink, MetadataExt};

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("in/d")).unwrap();
        fs::create_dir_all(directory.path().join("out/d")).unwrap();
        let folder = Folder::open(&directory.path().join("in")).unwrap();
        (directory, folder)
    }

    #[test]
    fn the_kernel_sees_through_links_that_are_there() {
        let (directory, folder) = folder();
        let at = |name: &str| directory.path().join("in").join(name);
        symlink("../out", at("up")).unwrap();
        symlink(directory.path().join("out"), at("absolute")).unwrap();
        symlink("up", at("chain")).unwrap();
        symlink("d", at("within")).unwrap();
        symlink("round", at("round")).unwrap();
        let leads =
            |path: &str, target: &str| folder.leads_within(Path::new(path), target.as_bytes());
        for target in [
            "up",
            "up/d",
            "absolute",
            "chain/x",
            "within/../up",
            "up/nothing",
        ] {
            assert!(leads("l", target).is_err(), "{target}");
            assert!(leads("d/l", &format!("../{target}")).is_err(), "{target}");
        }
        for target in ["within", "d", "nothing", "nothing/x", "within/x", "round"] {
            leads("l", target).unwrap();
            leads("d/l", &format!("../{target}")).unwrap();
        }
    }

    #[test]
    fn a_link_replaces_nothing_without_force_and_no_folder_ever() {
        let (directory, folder) = folder();
        let at = |name: &str| directory.path().join("in").join(name);
        let link = |name: &str, force| {
            let place = folder.place(Path::new(name)).unwrap();
            place.link(b"target", (-5, 7), force)
        };
        fs::write(at("file"), "precious").unwrap();
        symlink("other", at("other")).unwrap();
        for name in ["file", "other", "d"] {
            let error = link(name, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert!(link("d", true).is_err());
        // A leftover of an earlier receiver does not matter.
        let left = folder.place(Path::new("new")).unwrap().temporary_name();
        symlink("left", at(left.to_str().unwrap())).unwrap();
        link("new", false).unwrap();
        link("file", true).unwrap();
        link("other", true).unwrap();
        for name in ["new", "file", "other"] {
            assert_eq!(fs::read_link(at(name)).unwrap(), Path::new("target"));
            let metadata = fs::symlink_metadata(at(name)).unwrap();
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-5, 7));
        }
        assert_eq!(fs::read_dir(at("")).unwrap().count(), 4);
    }
}
