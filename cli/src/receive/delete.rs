//! Deletes what is in the pushed folders and was not announced, if the pusher asks for it and the user allows it.
//!
//! Only folders of the push are looked into; DIR itself is not one. Links are removed and never followed, and a
//! folder of another user is left alone.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{statat, unlinkat, AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::folder::Folder;
use super::notes;
use super::session::Session;
use crate::output;
use crate::transfer::entry::Kind;
use crate::transfer::path::{is_part_name, DEEPEST};
use crate::units::plural;

impl Session {
    /// Deletes what was not announced, unless an entry failed: a missing entry may then be a mistake.
    pub(super) fn delete(&self) {
        if self.is_incomplete() {
            notes::note("nothing is deleted, because not all of the push arrived");
            return;
        }
        let announced: HashSet<&Path> = self.entries.iter().map(|entry| &*entry.path).collect();
        let mut deleted = 0;
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Folder)
        {
            let deleting = self.folder.open_folder(&entry.path).and_then(|at| {
                for name in names(&at)? {
                    let name = OsStr::from_bytes(&name);
                    let path = entry.path.join(name);
                    if !announced.contains(&*path) && !is_part_name(name.as_bytes()) {
                        remove(&self.folder, &at, name, 0, &mut deleted)?;
                    }
                }
                Ok(())
            });
            if let Err(error) = deleting {
                self.report_failure(entry, &format!("cannot delete what is in it: {error}"));
            }
        }
        if deleted > 0 {
            let what = plural(deleted, "entry", "entries");
            notes::note(&format!("deleted {what} that {} did not push", self.peer));
        }
    }
}

fn names(at: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let entries = Dir::read_from(at)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
    let names: Result<Vec<Vec<u8>>, Errno> = names.collect();
    let is_real = |name: &Vec<u8>| name != b"." && name != b"..";
    Ok(names?.into_iter().filter(is_real).collect())
}

/// Removes something with all that is below it.
fn remove(
    folder: &Folder,
    at: &OwnedFd,
    name: &OsStr,
    depth: usize,
    deleted: &mut u64,
) -> io::Result<()> {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut flags = AtFlags::empty();
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        if depth == DEEPEST {
            let text = format!("{} is nested too deeply", output::harmless(name.as_bytes()));
            return Err(io::Error::other(text));
        }
        let inner = folder.enter(at, name)?;
        for name in names(&inner)? {
            remove(folder, &inner, OsStr::from_bytes(&name), depth + 1, deleted)?;
        }
        flags = AtFlags::REMOVEDIR;
    }
    unlinkat(at, name, flags)?;
    *deleted += 1;
    Ok(())
}
