//! From what is announced and what is there to what is wanted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::fault::{self, Fault};
use super::folder::{Folder, Walk};
use super::hard_link;
use super::mark::Mark;
use super::notes;
use super::place::There;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::link::resolve;
use crate::transfer::message::Want;
use crate::transfer::needed;
use crate::transfer::sums::resumable;
use crate::transfer::trouble::{Result, Trouble};
use crate::units::bytes;

const READ_ONLY: &str = "the file system of the folder that is received into is read-only";
/// Names that are given in a refusal; the rest is counted.
const NAMED: usize = 3;

/// What the user of the receiver allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Files are overwritten.
    pub force: bool,
    /// Peers may learn which files have the content that they push, whoever put them there.
    pub compare: bool,
}

/// What is to be done about the entries of a push.
pub struct Plan {
    /// What is wanted of each.
    pub wants: Vec<Want>,
    /// Those that cannot be taken, and why: nothing is wanted of them.
    pub refused: Refused,
}

/// An exit code, and why. All that is in a folder has the folder's.
pub type Refusal = (Exit, Arc<str>);
/// By index.
pub type Refused = BTreeMap<u32, Refusal>;

/// Makes the plan. Folders are made; nothing else is changed, and nothing is when one of the
/// files may not be overwritten or there is no room.
pub fn plan(
    folder: &Folder,
    entries: &[Entry],
    rules: Rules,
    alive: &mut dyn FnMut() -> Result<()>,
) -> Result<Plan> {
    let mut paths = HashSet::new();
    if let Some(twice) = entries.iter().find(|entry| !paths.insert(&entry.path)) {
        return Err(Trouble::protocol(format!(
            "{} is announced twice",
            twice.shown()
        )));
    }
    check_links(entries)?;
    if let Some(lost) = folder.lost() {
        return Err(Failure::new(Exit::Failed, lost).into());
    }
    hard_link::check(entries)?;
    let mut in_the_way = Vec::new();
    let mut wants = Vec::with_capacity(entries.len());
    let mut refused = BTreeMap::new();
    let mut other_mode = Vec::new();
    let mut walk = folder.walker();
    for (entry, index) in entries.iter().zip(0_u32..) {
        alive()?;
        let found = find(folder, &mut walk, entry, rules);
        let found = found.map_err(|error| Fault::of(folder, entry, &error));
        let found = match found.and_then(|found| kinds_fit(entry, found)) {
            Ok(found) => found,
            Err(fault) => {
                refused.insert(index, refusal(fault)?);
                wants.push(Want::Nothing);
                continue;
            }
        };
        let want = match entry.first() {
            Some(first) => {
                let is_same = |first: &Entry| hard_link::is_same(folder, first, entry);
                name_wanted(&entries[first as usize], found, rules, is_same)
            }
            None => wanted(entry, found, rules),
        };
        let is_brought = found.brought == Mark::Ours;
        if want == Some(Want::Nothing) && is_brought && differs(folder, entry, found.there) {
            other_mode.push((entry, found.there));
        }
        if want.is_none() {
            in_the_way.push(entry.shown());
        }
        wants.push(want.unwrap_or(Want::Nothing));
    }
    if !in_the_way.is_empty() {
        return Err(Trouble::Fatal(exists(&in_the_way)));
    }
    if folder.is_read_only() && wants.iter().any(|want| *want != Want::Nothing) {
        return Err(Failure::new(Exit::Failed, READ_ONLY).into());
    }
    let needed = needed(entries, &wants);
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
    folders(
        folder,
        entries,
        rules.force,
        &mut wants,
        &mut refused,
        alive,
    )?;
    for (entry, seen) in other_mode {
        alive()?;
        let place = folder.place(&entry.path);
        if let Err(error) = place.and_then(|place| place.permit(seen, entry.mode)) {
            notes::note(&format!(
                "{}: cannot set its permissions: {error}",
                entry.shown()
            ));
        }
    }
    Ok(Plan { wants, refused })
}

/// The failure of one entry, if it is no more than that.
fn refusal(fault: Fault) -> Result<Refusal> {
    match fault {
        Fault::Entry(failure) => Ok((failure.exit, failure.text.into())),
        Fault::Push(trouble) => Err(trouble),
    }
}

/// A folder in the place of a file, or something else in the place of a folder, is never replaced.
fn kinds_fit(entry: &Entry, found: Found) -> std::result::Result<Found, Fault> {
    let why = match (entry.kind, found.there) {
        (Kind::File | Kind::Link | Kind::HardLink, There::Folder) => {
            "a folder of that name is there, and it is not replaced"
        }
        (Kind::Folder, There::File { .. } | There::Special) => {
            "something that is no folder has its name, and it is not replaced"
        }
        _ => return Ok(found),
    };
    Err(Fault::Entry(Failure::new(Exit::Exists, why)))
}

/// Makes the folders. Nothing is wanted of what would be in one that cannot be made.
fn folders(
    folder: &Folder,
    entries: &[Entry],
    force: bool,
    wants: &mut [Want],
    refused: &mut Refused,
    alive: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    // The folders that are not there, with what becomes of their content.
    let mut absent: HashMap<&Path, Refusal> = HashMap::new();
    for (entry, index) in entries.iter().zip(0_u32..) {
        alive()?;
        let above = entry.path.ancestors().skip(1);
        let within = match absent.is_empty() {
            true => None,
            false => above.filter_map(|path| absent.get(path)).next(),
        };
        if let Some(refusal) = within {
            // What is wrong with the folder says more than what follows from it.
            refused.insert(index, refusal.clone());
            wants[index as usize] = Want::Nothing;
            continue;
        }
        if entry.kind != Kind::Folder {
            continue;
        }
        if let Some(refusal) = refused.get(&index) {
            absent.insert(&entry.path, of_content(entry, refusal));
        } else if let Err(error) = folder.make(&entry.path, entry.mode, force) {
            let refusal = refusal(Fault::of(folder, entry, &error))?;
            absent.insert(&entry.path, of_content(entry, &refusal));
            refused.insert(index, refusal);
        }
    }
    Ok(())
}

fn of_content(entry: &Entry, (exit, why): &Refusal) -> Refusal {
    (*exit, format!("its folder {}: {why}", entry.shown()).into())
}

/// All links have to stay within what is pushed, by the folders of this push.
fn check_links(entries: &[Entry]) -> Result<()> {
    let of = |kind: Kind| entries.iter().filter(move |entry| entry.kind == kind);
    let mut links = of(Kind::Link).peekable();
    if links.peek().is_none() {
        return Ok(());
    }
    let folders: HashSet<_> = of(Kind::Folder).map(|entry| &*entry.path).collect();
    for entry in links {
        let target = entry.target().unwrap_or_default();
        resolve(&entry.path, target, |path| folders.contains(path)).map_err(|why| {
            let text = format!(
                "the link \"{}\" to \"{}\" is refused: {why}",
                entry.shown(),
                output::harmless(target)
            );
            Failure::new(Exit::Refused, text)
        })?;
    }
    Ok(())
}

/// Whether a file that is there has other permissions than those that come along.
fn differs(folder: &Folder, entry: &Entry, there: There) -> bool {
    matches!(there, There::File { mode, .. } if mode != folder.granted(entry.mode))
}

/// What is at the place of an entry.
#[derive(Debug, Clone, Copy)]
struct Found {
    there: There,
    /// Whether a push brought it.
    brought: Mark,
    /// Bytes of an unfinished file that an earlier push left.
    left: u64,
}

fn find(folder: &Folder, walk: &mut Walk<'_>, entry: &Entry, rules: Rules) -> io::Result<Found> {
    let place = match walk.place(&entry.path) {
        Ok(place) => place,
        // Its folder is one of those to be made.
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
            // The time of another program's link, to the nanosecond, is known to nobody who guesses its target.
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

/// `None`: something else is in its place and must stay.
fn wanted(entry: &Entry, found: Found, rules: Rules) -> Option<Want> {
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
            // Of what others put there the pusher learns nothing but that the name is taken.
            let may_tell = found.brought == Mark::Ours || rules.compare;
            // As it was left by an earlier push: it got its time when all of it had been checked.
            if may_tell && (size, modified) == (entry.size, entry.modified) {
                Some(Want::Nothing)
            } else if rules.force {
                Some(content)
            } else {
                (may_tell && size == entry.size).then_some(Want::Comparison)
            }
        }
        (Kind::File, There::Special) if rules.force => Some(content),
        _ => None,
    }
}

/// The same of another name of the file `first`. One that a push brought follows `first`, if it `is_same`, and else
/// becomes another name of it, if the content is the same. One that no push brought stays as it is.
fn name_wanted(
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
    if rules.force && !(may_tell && is_equal) {
        // `first` is replaced, or this one is not known to be equal.
        return make;
    }
    if !may_tell || size != first.size {
        return None;
    }
    match is_brought {
        true if is_same(first) => Some(Want::Nothing),
        false if is_equal => Some(Want::Nothing),
        // Its content is compared here, when `first` has arrived.
        _ => make,
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
            "{list} exist{} already: nothing was changed (`dcf-tb receive --force` overwrites; \
             `--compare` compares with what other programs put there)",
            if names.len() == 1 { "s" } else { "" }
        ),
    )
}

/// What failed before any entry was looked at.
pub fn failed(what: &str, error: &io::Error) -> Trouble {
    fault::failure(error).during(what).into()
}

#[cfg(test)]
mod tests;
