//! The entries of a push: where each is here, and its name at the receiver.

use std::borrow::Cow;
use std::collections::{hash_map, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use super::lost_metadata::LostMetadata;
use super::place::{beside, Identity, Opener, Place, Root};
use super::selection::Selection;
use super::walk::{walk, Found, Visit};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, harmless};
use crate::transfer::entry::{Entry, Kind, More, MOST_ENTRIES};
use crate::transfer::extensions::Extensions;
use crate::transfer::holes;
use crate::transfer::path::check_path;

/// The unit of st_blocks (stat(2)).
const BLOCK: u64 = 512;

pub struct Tree {
    /// In the order of creation: a folder before its content, and links at the end.
    pub entries: Vec<Entry>,
    /// The index of the first link.
    pub first_link: usize,
    /// The place of each entry.
    pub(super) places: Vec<Place>,
    roots: Vec<Root>,
    /// For each root, the prefix of its entries' paths at the receiver.
    pub(super) bases: Vec<PathBuf>,
    /// Links that were found, which may lead outside.
    pub(super) links: Vec<(Entry, Place)>,
    /// For each root that keeps its name, its parent folder. Links may lead from one such root to another beside
    /// it.
    pub(super) beside: Vec<Option<PathBuf>>,
    opener: Opener,
    /// The first entry of each file that has several names.
    names: HashMap<Identity, u32>,
    /// Metadata that is not copied.
    pub lost_metadata: LostMetadata,
    /// The number of skipped entries: links, devices, unreadable files.
    pub left_out: u64,
    /// The exit code of the first one that should have been copied.
    pub left_out_as: Exit,
}

impl Tree {
    pub fn read(
        paths: &[PathBuf],
        name: Option<&Path>,
        dereference: bool,
        selection: &Selection,
    ) -> Result<Self, Failure> {
        let mut tree = Self {
            entries: Vec::new(),
            first_link: 0,
            places: Vec::new(),
            roots: Vec::new(),
            bases: Vec::new(),
            links: Vec::new(),
            names: HashMap::new(),
            lost_metadata: LostMetadata::default(),
            beside: Vec::new(),
            opener: Opener::default(),
            left_out: 0,
            left_out_as: Exit::Done,
        };
        for path in paths {
            tree.add(path, name, dereference, selection)?;
        }
        tree.check_list(selection);
        tree.first_link = tree.entries.len();
        tree.keep_links(paths);
        let mut names = HashSet::new();
        let twice = tree.entries.iter().find(|entry| !names.insert(&entry.path));
        if let Some(twice) = twice {
            let text = format!(
                "two of the paths have the same name at the receiver: {}",
                twice.shown()
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        if tree.entries.len() > MOST_ENTRIES {
            let text = format!("a push may have at most {MOST_ENTRIES} files and folders");
            return Err(Failure::new(Exit::Refused, text).advise("push the folders one by one"));
        }
        Ok(tree)
    }

    /// Adds a path of the command line. A link there is followed.
    fn add(
        &mut self,
        path: &Path,
        name: Option<&Path>,
        dereference: bool,
        selection: &Selection,
    ) -> Result<(), Failure> {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failed,
                format!("cannot read {}: {error}", shown(path)),
            )
        };
        let (root, fd, stat) = Root::open(path, dereference).map_err(|error| {
            let is_name = path.components().count() == 1 && !self.roots.is_empty();
            match error.kind() {
                // The user may have meant the last word as a peer.
                io::ErrorKind::NotFound if is_name => Failure::new(
                    Exit::Failed,
                    format!("\"{}\" is neither a file here nor the address of a peer", shown(path)),
                )
                .advise("a peer is an IPv6 address as `dcf-tb discover` prints it; leave it out if there is only one"),
                _ => cannot(&error),
            }
        })?;
        let base = match name.map(Path::to_owned).or_else(|| base(path)) {
            Some(base) => base,
            None => fs::canonicalize(path)
                .ok()
                .and_then(|path| path.file_name().map(PathBuf::from))
                .ok_or_else(|| cannot(&"it has no name; append `/.` to copy its content"))?,
        };
        self.roots.push(root);
        self.beside.push(beside(path, &base));
        self.bases.push(base);
        let mut adding = Adding {
            tree: self,
            path,
            selection,
        };
        walk(fd.as_fd(), &stat, dereference, &mut adding);
        Ok(())
    }

    /// Everything that a list names must exist.
    fn check_list(&mut self, selection: &Selection) {
        let links = self.links.iter().map(|(entry, _)| entry);
        let names: HashSet<&Path> = self.entries.iter().chain(links).map(|e| &*e.path).collect();
        let is_absent = |listed: &&Path| {
            let mut bases = self.bases.iter();
            !bases.any(|base| names.contains(&*base.join(listed)))
        };
        let absent: Vec<PathBuf> = selection
            .listed()
            .filter(is_absent)
            .map(Path::to_owned)
            .collect();
        for path in absent {
            self.fail(
                &path,
                "it is listed, but was not found or is excluded",
                Exit::Failed,
            );
        }
    }

    /// Opens a file if it is still the one that was announced. The caller compares its size and time.
    pub fn open(&self, index: u32) -> io::Result<File> {
        let place = self.places[index as usize];
        let path = &self.entries[index as usize].path;
        let below = path.strip_prefix(&self.bases[place.root as usize]);
        let below = below.unwrap_or(path);
        self.opener.open(&self.roots, place, below)
    }

    /// The entries for a receiver that granted these extensions. Indices are the same for all receivers.
    pub fn announced(&self, extensions: Extensions) -> Cow<'_, [Entry]> {
        let all = match extensions.has(Extensions::LINKS) {
            true => &self.entries[..],
            false => &self.entries[..self.first_link],
        };
        let has_names = all.iter().any(|entry| entry.kind == Kind::HardLink);
        if extensions.has(Extensions::HARD_LINKS) || !has_names {
            return Cow::Borrowed(all);
        }
        // Without hard links, it gets a copy under each name.
        let copy = |entry: &Entry| match entry.first() {
            Some(first) => Entry {
                path: entry.path.clone(),
                ..self.entries[first as usize].clone()
            },
            None => entry.clone(),
        };
        Cow::Owned(all.iter().map(copy).collect())
    }

    /// Returns the earlier entry of the same file; if there is none, records `next` as the first.
    fn first_name(&mut self, stat: &Stat, next: u32) -> Option<u32> {
        if stat.st_nlink < 2 {
            return None;
        }
        match self.names.entry(Identity::of(stat)) {
            hash_map::Entry::Occupied(first) => Some(*first.get()),
            hash_map::Entry::Vacant(none) => {
                none.insert(next);
                None
            }
        }
    }

    /// Skips a kind of file that is not copied.
    pub(super) fn skip(&mut self, path: &Path, why: &str) {
        output::note(&format!("skipped {}: {why}", shown(path)));
        self.left_out += 1;
    }

    /// Skips a file that should be copied, and cannot be.
    fn fail(&mut self, path: &Path, why: &str, exit: Exit) {
        output::error(&format!("skipped {}: {why}", shown(path)));
        if self.left_out_as == Exit::Done {
            self.left_out_as = exit;
        }
        self.left_out += 1;
    }
}

/// The walk below one path.
struct Adding<'a> {
    tree: &'a mut Tree,
    path: &'a Path,
    selection: &'a Selection,
}

impl Adding<'_> {
    /// The path of something, for the user.
    fn place(&self, below: &Path) -> PathBuf {
        match below.as_os_str().is_empty() {
            true => self.path.to_owned(),
            false => self.path.join(below),
        }
    }

    fn root(&self) -> usize {
        self.tree.roots.len() - 1
    }
}

impl Visit for Adding<'_> {
    fn found(&mut self, found: &Found<'_>) -> bool {
        let Found {
            below,
            stat,
            target,
            ..
        } = found;
        let base = &self.tree.bases[self.root()];
        let name = match below.as_os_str().is_empty() {
            true => base.clone(),
            false => base.join(below),
        };
        if name.as_os_str().is_empty() {
            return true;
        }
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !self.selection.has(&name, below, is_folder) {
            return false;
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            _ => {
                let place = self.place(below);
                self.tree.skip(&place, "it is neither a file nor a folder");
                return false;
            }
        };
        if let Err(why) = check_path(name.as_os_str().as_bytes()) {
            let place = self.place(below);
            let why = format!("its name is not allowed: {why}");
            self.tree.fail(&place, &why, Exit::Refused);
            return false;
        }
        let place = Place {
            root: self.root() as u32,
            identity: Identity::of(stat),
        };
        let mut entry = entry(kind, name, stat);
        if let Some(target) = target {
            entry.more = More::Target((*target).into());
            self.tree.links.push((entry, place));
        } else {
            self.tree.lost_metadata.count(found);
            if kind == Kind::File {
                let next = self.tree.entries.len() as u32;
                match self.tree.first_name(stat, next) {
                    Some(first) => {
                        entry.kind = Kind::HardLink;
                        entry.size = 0;
                        entry.more = More::First(first);
                    }
                    None => entry.more = sparse(found),
                }
            }
            self.tree.places.push(place);
            self.tree.entries.push(entry);
        }
        // Stop at one entry too many.
        self.tree.entries.len() + self.tree.links.len() <= MOST_ENTRIES
    }

    fn failed(&mut self, below: &Path, error: &io::Error) {
        let place = self.place(below);
        let why = format!("cannot be read: {error}");
        self.tree.fail(&place, &why, Exit::Failed);
    }
}

fn entry(kind: Kind, path: PathBuf, stat: &Stat) -> Entry {
    Entry {
        kind,
        mode: (stat.st_mode & 0o777) as u16,
        modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
        size: match kind {
            Kind::File => stat.st_size as u64,
            _ => 0,
        },
        path,
        more: More::Nothing,
    }
}

/// The amount of data of a file that may have holes.
fn sparse(found: &Found<'_>) -> More {
    let (size, blocks) = (found.stat.st_size as u64, found.stat.st_blocks as u64);
    if blocks.saturating_mul(BLOCK) >= size {
        return More::Nothing;
    }
    // It may be compressed instead. An unreadable file is reported when it is to be sent.
    let data = found.open().and_then(|file| holes::data(&file, size));
    match data {
        Ok(data) if data < size => More::Data(data),
        _ => More::Nothing,
    }
}

/// The name of a path at the receiver; `DIR/.` has none. `None`: the path has no last component (`..`, `/`).
fn base(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if bytes == b"." || bytes.ends_with(b"/.") || bytes.ends_with(b"/./") || bytes == b"./" {
        return Some(PathBuf::new());
    }
    path.file_name().map(PathBuf::from)
}

fn shown(path: &Path) -> String {
    harmless(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests;
