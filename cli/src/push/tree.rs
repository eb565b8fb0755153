//! What is to be copied: each file and folder, where it is here, and what it is called over there.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::exit::{Exit, Failure};
use crate::output::{self, harmless};
use crate::transfer::entry::{check_path, Entry, Kind, MOST_ENTRIES};

pub struct Tree {
    /// In the order in which they are made: a folder before what is in it.
    pub entries: Vec<Entry>,
    /// Where each is.
    pub places: Vec<PathBuf>,
    /// What was left out: links, devices, what cannot be read.
    pub left_out: u64,
}

impl Tree {
    pub fn read(paths: &[PathBuf], dereference: bool) -> Result<Self, Failure> {
        let mut tree = Self {
            entries: Vec::new(),
            places: Vec::new(),
            left_out: 0,
        };
        for path in paths {
            tree.add(path, dereference)?;
        }
        let mut names = HashSet::new();
        let twice = tree.entries.iter().find(|entry| !names.insert(&entry.path));
        if let Some(twice) = twice {
            let text = format!("two of the paths would become {}", twice.shown());
            return Err(Failure::new(Exit::Usage, text));
        }
        if tree.entries.len() > MOST_ENTRIES {
            let text = format!("one push takes {MOST_ENTRIES} files and folders at most");
            return Err(Failure::new(Exit::Refused, text).advise("push the folders one by one"));
        }
        Ok(tree)
    }

    /// What a word of the command line means. A link there is followed, as its user sees through it.
    fn add(&mut self, path: &Path, dereference: bool) -> Result<(), Failure> {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failed,
                format!("cannot read {}: {error}", shown(path)),
            )
        };
        fs::metadata(path).map_err(|error| cannot(&error))?;
        let base = match base(path) {
            Some(base) => base,
            None => fs::canonicalize(path)
                .ok()
                .and_then(|path| path.file_name().map(PathBuf::from))
                .ok_or_else(|| cannot(&"it has no name; `/.` behind it copies what is in it"))?,
        };
        let walk = WalkDir::new(path)
            .follow_links(dereference)
            .follow_root_links(true)
            .sort_by_file_name();
        for found in walk {
            let found = match found {
                Ok(found) => found,
                Err(error) if error.depth() == 0 => return Err(cannot(&error)),
                Err(error) => {
                    self.leave_out(error.path().unwrap_or(path), &error.to_string());
                    continue;
                }
            };
            let below = found.path().strip_prefix(path).unwrap_or(Path::new(""));
            let name = match below.as_os_str().is_empty() {
                true => base.clone(),
                false => base.join(below),
            };
            if name.as_os_str().is_empty() {
                continue;
            }
            // The walk looks at the link itself also where it goes on behind it.
            let metadata = match found.depth() {
                0 => fs::metadata(path).map_err(|error| error.to_string()),
                _ => found.metadata().map_err(|error| error.to_string()),
            };
            match metadata {
                Ok(metadata) => self.found(found.path(), name, &metadata),
                Err(error) => self.leave_out(found.path(), &error),
            }
        }
        Ok(())
    }

    fn found(&mut self, place: &Path, name: PathBuf, metadata: &Metadata) {
        let kind = if metadata.is_dir() {
            Kind::Folder
        } else if metadata.is_file() {
            Kind::File
        } else if metadata.is_symlink() {
            return self.leave_out(place, "a link (--dereference copies what it points to)");
        } else {
            return self.leave_out(place, "neither a file nor a folder");
        };
        if let Err(why) = check_path(name.as_os_str().as_bytes()) {
            return self.leave_out(place, &format!("its name would be refused: {why}"));
        }
        self.entries.push(Entry {
            kind,
            mode: (metadata.mode() & 0o777) as u16,
            modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
            size: match kind {
                Kind::File => metadata.len(),
                Kind::Folder => 0,
            },
            path: name,
        });
        self.places.push(place.to_owned());
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        output::note(&format!("left out {}: {why}", shown(path)));
        self.left_out += 1;
    }
}

/// What the name of a path is over there; `DIR/.` has none. `None`: the path does not say (`..`, `/`).
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
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("d/empty")).unwrap();
        fs::write(at("d/file"), "12345").unwrap();
        fs::write(at("d/.x.dcf-part"), "").unwrap();
        symlink("file", at("d/link")).unwrap();
        symlink("d", at("other")).unwrap();
        directory
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.entries
            .iter()
            .map(|entry| entry.path.to_str().unwrap())
            .collect()
    }

    #[test]
    fn names_are_those_of_cp() {
        let directory = tree();
        let read = |name: &str, follow| Tree::read(&[directory.path().join(name)], follow).unwrap();
        let plain = read("d", false);
        assert_eq!(names(&plain), ["d", "d/empty", "d/file"]);
        assert_eq!(plain.left_out, 2);
        assert_eq!(plain.entries[2].size, 5);
        assert_eq!(names(&read("d/.", false)), ["empty", "file"]);
        assert_eq!(
            names(&read("d/", true)),
            ["d", "d/empty", "d/file", "d/link"]
        );
        assert_eq!(
            names(&read("other", false)),
            ["other", "other/empty", "other/file"]
        );
        assert_eq!(names(&read("d/file", false)), ["file"]);
        assert_eq!(names(&read("d/empty/..", false))[0], "d");
    }

    #[test]
    fn two_of_one_name_are_a_mistake() {
        let directory = tree();
        let paths = [directory.path().join("d"), directory.path().join("d")];
        let failure = Tree::read(&paths, false).err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        let nothing = Tree::read(&[directory.path().join("nothing")], false)
            .err()
            .unwrap();
        assert_eq!(nothing.exit, Exit::Failed);
    }
}
