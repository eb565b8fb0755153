//! Which of the entries below the named paths are pushed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{harmless, shown};
use crate::transfer::entry::MOST_PATH_BYTES;

/// Everything is selected by default.
#[derive(Debug)]
pub struct Selection {
    patterns: Gitignore,
    /// Paths below the named ones, from `--files-from`.
    listed: Option<BTreeSet<PathBuf>>,
}

impl Selection {
    /// Patterns are in gitignore syntax. A path that an `include` matches is selected even if an `exclude` matches it.
    pub fn new(
        excludes: &[OsString],
        includes: &[OsString],
        list: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut builder = GitignoreBuilder::new("");
        // The last pattern that matches counts.
        let excludes = excludes.iter().map(|pattern| (pattern, ""));
        let includes = includes.iter().map(|pattern| (pattern, "!"));
        for (pattern, mark) in excludes.chain(includes) {
            let failed = |why: &dyn std::fmt::Display| {
                let pattern = harmless(pattern.as_bytes());
                Failure::new(
                    Exit::Usage,
                    format!("the pattern \"{pattern}\" is wrong: {why}"),
                )
                .advise("patterns are those of .gitignore")
            };
            let text = pattern.to_str().ok_or_else(|| failed(&"it is not UTF-8"))?;
            builder
                .add_line(None, &format!("{mark}{text}"))
                .map_err(|error| failed(&error))?;
        }
        let wrong = |error| Failure::new(Exit::Usage, format!("the patterns are wrong: {error}"));
        Ok(Self {
            patterns: builder.build().map_err(wrong)?,
            listed: list.map(read_list).transpose()?,
        })
    }

    /// Whether an entry is pushed. `name` is its path at the receiver, `below` that below the named path.
    pub fn has(&self, name: &Path, below: &Path, is_folder: bool) -> bool {
        let is_listed = match &self.listed {
            Some(listed) => is_listed(listed, below, is_folder),
            None => true,
        };
        is_listed && !self.patterns.matched(name, is_folder).is_ignore()
    }

    /// The listed paths.
    pub fn listed(&self) -> impl Iterator<Item = &Path> {
        self.listed.iter().flatten().map(PathBuf::as_path)
    }
}

/// Whether a path is listed, lies below a listed folder, or is a folder on the way to a listed path.
fn is_listed(listed: &BTreeSet<PathBuf>, below: &Path, is_folder: bool) -> bool {
    let is_below = below.ancestors().any(|path| listed.contains(path));
    // In the order of paths, those below a folder follow it.
    let next = listed.range(below.to_owned()..).next();
    is_below || is_folder && next.is_some_and(|next| next.starts_with(below))
}

/// Reads paths, one a line, or separated by NUL bytes as `find -print0` does.
fn read_list(path: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("cannot read {}: {why}", shown(path)))
    };
    let mut bytes = Vec::new();
    let most = MOST_PATH_BYTES as u64;
    let read = match path == Path::new("-") {
        true => io::stdin().take(most + 1).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        return Err(failed(&"it has more than 128 MiB of names"));
    }
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    let lines = bytes.split(|byte| *byte == separator);
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let path = Path::new(OsStr::from_bytes(line));
            // `find .` writes `./` in front.
            let path = path.strip_prefix(".").unwrap_or(path);
            let is_plain = |part| matches!(part, std::path::Component::Normal(_));
            match path.components().all(is_plain) && !path.as_os_str().is_empty() {
                true => Ok(path.components().collect()),
                false => Err(failed(&format!(
                    "\"{}\" is not a path below the pushed folder",
                    harmless(line)
                ))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn patterns_are_those_of_git() {
        let of = |excludes: &[&str], includes: &[&str]| {
            Selection::new(&words(excludes), &words(includes), None).unwrap()
        };
        let has = |selection: &Selection, path: &str, is_folder| {
            selection.has(Path::new(path), Path::new(path), is_folder)
        };
        let some = of(&["*.o", "target/", "/d/top"], &["keep.o"]);
        for (path, is_folder, is_pushed) in [
            ("d/a.o", false, false),
            ("d/keep.o", false, true),
            ("d/target", true, false),
            ("d/target", false, true),
            ("d/top", false, false),
            ("d/d/top", false, true),
            ("d/a.c", false, true),
        ] {
            assert_eq!(has(&some, path, is_folder), is_pushed, "{path}");
        }
        assert!(has(&of(&[], &[]), "x", false));
        let wrong = Selection::new(&words(&["a[z-a]"]), &[], None).unwrap_err();
        assert!(wrong.text.contains("\"a[z-a]\""), "{wrong:?}");
    }

    #[test]
    fn a_list_has_files_and_folders() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        for content in ["a/b\n./c\n\n", "a/b\0c\0"] {
            std::fs::write(&path, content).unwrap();
            let selection = Selection::new(&[], &[], Some(&path)).unwrap();
            for (below, is_folder, is_pushed) in [
                ("", true, true),
                ("a", true, true),
                ("a", false, false),
                ("a/b", false, true),
                ("a/b/deeper", false, true),
                ("a/x", false, false),
                ("c", false, true),
                ("d", true, false),
            ] {
                let below = Path::new(below);
                assert_eq!(
                    selection.has(below, below, is_folder),
                    is_pushed,
                    "{below:?}"
                );
            }
        }
        for wrong in ["/etc/passwd", "a/../b", "..", "."] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Selection::new(&[], &[], Some(&path)).is_err(), "{wrong}");
        }
    }
}
