//! From what is announced and what is there to what is wanted.

use std::collections::HashSet;
use std::io;

use rustix::io::Errno;

use super::folder::{Folder, There};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::message::Want;
use crate::transfer::missing;
use crate::transfer::sums::resumable;
use crate::transfer::trouble::{Result, Trouble};
use crate::units::bytes;

/// Names that are given in a refusal; the rest is counted.
const NAMED: usize = 3;

/// What is wanted of each entry. Folders are made; nothing else is changed, and nothing is when one of the
/// files may not be overwritten or there is no room.
pub fn plan(folder: &Folder, entries: &[Entry], force: bool) -> Result<Vec<Want>> {
    let mut paths = HashSet::new();
    if let Some(twice) = entries.iter().find(|entry| !paths.insert(&entry.path)) {
        return Err(Trouble::protocol(format!(
            "{} is announced twice",
            twice.shown()
        )));
    }
    let mut in_the_way = Vec::new();
    let mut wants = Vec::with_capacity(entries.len());
    let mut other_mode = Vec::new();
    for entry in entries {
        let there = there(folder, entry).map_err(|error| cannot_use(entry, &error))?;
        let want = wanted(entry, there, force);
        if want == Some(Want::Nothing) && differs(folder, entry, there.0) {
            other_mode.push((entry, there.0));
        }
        if want.is_none() {
            in_the_way.push(entry.shown());
        }
        wants.push(want.unwrap_or(Want::Nothing));
    }
    if !in_the_way.is_empty() {
        return Err(Trouble::Fatal(exists(&in_the_way)));
    }
    let needed = missing(entries, &wants);
    let free = folder
        .free()
        .map_err(|error| failed("the folder", &error))?;
    if needed > free {
        let text = format!(
            "the disk is too full: {} are needed, and {} are free",
            bytes(needed),
            bytes(free)
        );
        return Err(Failure::new(Exit::DiskFull, text).into());
    }
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Folder) {
        let made = folder.make(&entry.path, entry.mode, force);
        made.map_err(|error| cannot_use(entry, &error))?;
    }
    for (entry, seen) in other_mode {
        let place = folder.place(&entry.path);
        if let Err(error) = place.and_then(|place| place.permit(seen, entry.mode)) {
            output::note(&format!(
                "{}: cannot set its permissions: {error}",
                entry.shown()
            ));
        }
    }
    Ok(wants)
}

/// Whether a file that is there has other permissions than those that come along.
fn differs(folder: &Folder, entry: &Entry, there: There) -> bool {
    matches!(there, There::File { mode, .. } if mode != folder.granted(entry.mode))
}

/// What is at the place of an entry, and how much of it an earlier push left.
fn there(folder: &Folder, entry: &Entry) -> io::Result<(There, u64)> {
    match folder.place(&entry.path) {
        Ok(place) => Ok((place.there()?, place.left()?)),
        // Its folder is one of those to be made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((There::Nothing, 0)),
        Err(error) => Err(error),
    }
}

/// `None`: something else is in its place and must stay.
fn wanted(entry: &Entry, (there, left): (There, u64), force: bool) -> Option<Want> {
    let content = Want::Content {
        have: resumable(left, entry.size),
    };
    match (entry.kind, there) {
        (_, There::Nothing) if entry.kind == Kind::File => Some(content),
        (Kind::Folder, There::Nothing | There::Folder) => Some(Want::Nothing),
        (Kind::File, There::File { size, modified, .. }) => {
            // As it was left by an earlier push: it got its time when all of it had been checked.
            if (size, modified) == (entry.size, entry.modified) {
                Some(Want::Nothing)
            } else if force {
                Some(content)
            } else {
                (size == entry.size).then_some(Want::Comparison)
            }
        }
        (Kind::File, There::Special) if force => Some(content),
        _ => None,
    }
}

fn exists(names: &[String]) -> Failure {
    let mut list = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED {
        list.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    Failure::new(
        Exit::Exists,
        format!(
            "{list} exist{} already, with other content: nothing was changed \
             (`dcf-tb receive --force` overwrites)",
            if names.len() == 1 { "s" } else { "" }
        ),
    )
}

/// A folder that is a link, a file that is a folder, no permission.
fn cannot_use(entry: &Entry, error: &io::Error) -> Trouble {
    failed(&entry.shown(), error)
}

/// Sorts what the file system said.
pub fn failed(what: &str, error: &io::Error) -> Trouble {
    let (exit, why) = match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => (Exit::DiskFull, "the disk is full"),
        Some(Errno::FBIG) => (
            Exit::DiskFull,
            "the file system has no room for so large a file",
        ),
        Some(Errno::EXIST) => (Exit::Exists, "it exists already"),
        Some(Errno::NOTDIR | Errno::LOOP) => (
            Exit::Refused,
            "a link or a file is where a folder should be",
        ),
        _ => return Failure::new(Exit::Failed, format!("{what}: {error}")).into(),
    };
    Failure::new(exit, format!("{what}: {why}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::PIECE;

    fn entry(size: u64) -> Entry {
        Entry {
            kind: Kind::File,
            mode: 0o644,
            modified: (100, 0),
            size,
            path: "x".into(),
        }
    }

    #[test]
    fn what_is_there_is_not_wanted_again_and_not_overwritten() {
        let file = |size, seconds| There::File {
            size,
            modified: (seconds, 0),
            mode: 0o644,
        };
        let want = |there, left, force| wanted(&entry(10 * PIECE), (there, left), force);
        let content = |have| Some(Want::Content { have });
        assert_eq!(want(There::Nothing, 0, false), content(0));
        assert_eq!(want(There::Nothing, PIECE + 1, false), content(PIECE));
        assert_eq!(want(file(10 * PIECE, 100), 0, false), Some(Want::Nothing));
        assert_eq!(want(file(10 * PIECE, 99), 0, false), Some(Want::Comparison));
        assert_eq!(want(file(10 * PIECE, 99), 0, true), content(0));
        assert_eq!(want(file(PIECE, 100), 0, false), None);
        assert_eq!(want(file(PIECE, 100), 0, true), content(0));
        for force in [false, true] {
            assert_eq!(want(There::Folder, 0, force), None);
        }
        assert_eq!(want(There::Special, 0, false), None);
        assert_eq!(want(There::Special, 0, true), content(0));
    }

    #[test]
    fn names_in_the_way_are_counted() {
        let names: Vec<String> = (0..5).map(|number| format!("f{number}")).collect();
        assert!(exists(&names)
            .text
            .starts_with("f0, f1, f2 and 2 more exist already"));
        assert!(exists(&names[..1]).text.starts_with("f0 exists already"));
    }
}
