//! From what is announced and what is there to what is wanted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::announced;
use super::fault::{self, Fault};
use super::folder::Folder;
use super::mark::Mark;
use super::notes;
use super::place::There;
use super::rules::Rules;
use super::want::{find, name_wanted, wanted, Found};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::message::Want;
use crate::transfer::sizes::needed;
use crate::units::bytes;

const READ_ONLY: &str = "the file system of the folder that is received into is read-only";
/// Names that are given in a refusal; the rest is counted.
const NAMED: usize = 3;

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
    announced::check(entries)?;
    if let Some(lost) = folder.lost() {
        return Err(Failure::new(Exit::Failed, lost).into());
    }
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
                let is_same = |first: &Entry| is_same_file(folder, first, entry);
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
        return Err(TransferError::Fatal(exists(&in_the_way)));
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
        Fault::Push(error) => Err(error),
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

/// Whether a file that is there has other permissions than those that come along.
fn differs(folder: &Folder, entry: &Entry, there: There) -> bool {
    matches!(there, There::File { mode, .. } if mode != folder.granted(entry.mode))
}

/// Whether two names are of one file.
fn is_same_file(folder: &Folder, first: &Entry, other: &Entry) -> bool {
    let stat = |entry: &Entry| {
        let stat = folder.place(&entry.path).ok()?.stat_of_name().ok()??;
        Some((stat.st_dev, stat.st_ino))
    };
    stat(first).is_some_and(|first| Some(first) == stat(other))
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
pub fn failed(what: &str, error: &io::Error) -> TransferError {
    fault::failure(error).during(what).into()
}

#[cfg(test)]
mod tests;
