//! Decides what is needed of an entry, by what exists at its place.

use std::io;

use super::folder::{Folder, Walk};
use super::mark::Mark;
use super::place::There;
use super::rules::Rules;
use crate::transfer::checksums::resumable;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::message::Want;

/// What exists at the place of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub there: There,
    /// Whether a push brought it.
    pub brought: Mark,
    /// The size of the unfinished file of an earlier push.
    pub left: u64,
}

pub fn find(
    folder: &Folder,
    walk: &mut Walk<'_>,
    entry: &Entry,
    rules: Rules,
) -> io::Result<Found> {
    let place = match walk.place(&entry.path) {
        Ok(place) => place,
        // Its folder will be created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found {
                there: There::Nothing,
                brought: Mark::NotOurs,
                left: 0,
            })
        }
        Err(error) => return Err(error),
    };
    if entry.kind == Kind::Link {
        if let Some(state) = place.link_to(entry.target())? {
            // The exact time of another program's link cannot be guessed by a peer that guesses its target.
            let is_brought = state.1 == entry.modified || folder.knows_link(&entry.path, state);
            let there = match is_brought || rules.compare {
                true => There::SameLink,
                false => There::Special,
            };
            return Ok(Found {
                there,
                brought: Mark::NotOurs,
                left: 0,
            });
        }
    }
    let (there, mut brought) = place.there()?;
    if let There::File { size, modified, .. } = there {
        brought = folder.brought(brought, &entry.path, (size, modified));
    }
    let left = place.left()?;
    Ok(Found {
        there,
        brought,
        left,
    })
}

/// Returns `None` if something else has its name and must stay.
pub fn wanted(entry: &Entry, found: Found, rules: Rules) -> Option<Want> {
    let content = Want::Content {
        have: resumable(found.left, entry.size),
    };
    match (entry.kind, found.there) {
        (_, There::Nothing) if entry.kind == Kind::File => Some(content),
        (Kind::Link, There::SameLink) => Some(Want::Nothing),
        (Kind::Link, There::Nothing) => Some(Want::Content { have: 0 }),
        (Kind::Link, There::File { .. } | There::Special) if rules.force => {
            Some(Want::Content { have: 0 })
        }
        (Kind::Folder, There::Nothing | There::Folder) => Some(Want::Nothing),
        (Kind::File, There::File { size, modified, .. }) => {
            // Of another program's file the pusher learns only that the name exists.
            let may_tell = found.brought == Mark::Ours || rules.compare;
            // An earlier push set this time after it had verified the content.
            if may_tell && (size, modified) == (entry.size, entry.modified) {
                Some(Want::Nothing)
            } else if rules.replaces_files() {
                Some(content)
            } else {
                (may_tell && size == entry.size).then_some(Want::Comparison)
            }
        }
        (Kind::File, There::Special) if rules.force => Some(content),
        _ => None,
    }
}

/// As [`wanted`], for another name of the file `first`. A name that a push brought is kept if it `is_same`, and
/// otherwise linked again if the content is equal. A file that no push brought stays as it is.
pub fn name_wanted(
    first: &Entry,
    found: Found,
    rules: Rules,
    is_same: impl FnOnce(&Entry) -> bool,
) -> Option<Want> {
    let make = Some(Want::Content { have: 0 });
    let There::File { size, modified, .. } = found.there else {
        let is_free = found.there == There::Nothing;
        let is_replaced = found.there == There::Special && rules.force;
        return make.filter(|_| is_free || is_replaced);
    };
    let is_brought = found.brought == Mark::Ours;
    let may_tell = is_brought || rules.compare;
    let is_equal = (size, modified) == (first.size, first.modified);
    if rules.replaces_files() && !(may_tell && is_equal) {
        // `first` is replaced, or is not known to be equal.
        return make;
    }
    if !may_tell || size != first.size {
        return None;
    }
    match is_brought {
        true if is_same(first) => Some(Want::Nothing),
        false if is_equal => Some(Want::Nothing),
        // The content is compared after `first` has arrived.
        _ => make,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::PIECE;

    fn found(there: There, brought: Mark, left: u64) -> Found {
        Found {
            there,
            brought,
            left,
        }
    }

    fn file(size: u64, seconds: i64) -> There {
        There::File {
            size,
            modified: (seconds, 0),
            mode: 0o644,
        }
    }

    fn want(found: Found, force: bool) -> Option<Want> {
        let rules = Rules {
            force,
            ..Rules::default()
        };
        wanted(&Entry::of_size(10 * PIECE), found, rules)
    }

    fn content(have: u64) -> Option<Want> {
        Some(Want::Content { have })
    }

    #[test]
    fn what_is_there_is_not_wanted_again_and_not_overwritten() {
        let want = |there, left, force| want(found(there, Mark::Ours, left), force);
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
    fn of_what_others_put_there_nothing_is_told() {
        for brought in [Mark::NotOurs, Mark::Unsupported] {
            for (size, seconds) in [(10 * PIECE, 100), (10 * PIECE, 99), (PIECE, 100), (0, 0)] {
                // The answer does not depend on the file.
                let found = found(file(size, seconds), brought, 0);
                assert_eq!(want(found, false), None);
                assert_eq!(want(found, true), content(0));
            }
            let rules = Rules {
                compare: true,
                ..Rules::default()
            };
            let want = |there| wanted(&Entry::of_size(10 * PIECE), found(there, brought, 0), rules);
            assert_eq!(want(file(10 * PIECE, 100)), Some(Want::Nothing));
            assert_eq!(want(file(10 * PIECE, 99)), Some(Want::Comparison));
            assert_eq!(want(file(PIECE, 99)), None);
        }
    }
}
