//! Decides what the receiver needs, from the announcement and the existing files.

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

const READ_ONLY: &str = "the receiver's folder is on a read-only file system";
/// The names that an error lists; the rest is counted.
const NAMED: usize = 3;

/// The plan of a push.
pub struct Plan {
    /// The receiver's need of each entry.
    pub wants: Vec<Want>,
    /// Entries that cannot be received, and why. Their content is not needed.
    pub refused: Refused,
}

/// An exit code and a reason. The content of a folder shares the folder's.
pub type Refusal = (Exit, Arc<str>);
/// By index of the entry.
pub type Refused = BTreeMap<u32, Refusal>;

/// Makes the plan and creates the folders. Changes nothing if a file may not be overwritten or the disk space
/// does not suffice, nor in a dry run.
pub fn plan(
    folder: &Folder,
    entries: &[Entry],
    rules: Rules,
    dry_run: bool,
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
            "not enough disk space: {} needed, {} free",
            bytes(needed),
            bytes(free)
        );
        return Err(Failure::new(Exit::DiskFull, text).into());
    }
    if dry_run {
        return Ok(Plan { wants, refused });
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
                "{}: cannot set the permissions: {error}",
                entry.shown()
            ));
        }
    }
    Ok(Plan { wants, refused })
}

/// The refusal of one entry, unless the error affects the whole push.
fn refusal(fault: Fault) -> Result<Refusal> {
    match fault {
        Fault::Entry(failure) => Ok((failure.exit, failure.text.into())),
        Fault::Push(error) => Err(error),
    }
}

/// A folder is never replaced by a file, nor anything else by a folder.
fn kinds_fit(entry: &Entry, found: Found) -> std::result::Result<Found, Fault> {
    let why = match (entry.kind, found.there) {
        (Kind::File | Kind::Link | Kind::HardLink, There::Folder) => {
            "a folder has that name, and folders are never replaced"
        }
        (Kind::Folder, There::File { .. } | There::Special) => {
            "something other than a folder has that name, and it is not replaced"
        }
        _ => return Ok(found),
    };
    Err(Fault::Entry(Failure::new(Exit::Exists, why)))
}

/// Creates the folders. Refuses the content of a folder that cannot be created.
fn folders(
    folder: &Folder,
    entries: &[Entry],
    force: bool,
    wants: &mut [Want],
    refused: &mut Refused,
    alive: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    // Folders that do not exist, and the refusal of their content.
    let mut absent: HashMap<&Path, Refusal> = HashMap::new();
    for (entry, index) in entries.iter().zip(0_u32..) {
        alive()?;
        let above = entry.path.ancestors().skip(1);
        let within = match absent.is_empty() {
            true => None,
            false => above.filter_map(|path| absent.get(path)).next(),
        };
        if let Some(refusal) = within {
            // The folder's error explains more than an error that follows from it.
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

/// Whether an existing file has other permissions than announced.
fn differs(folder: &Folder, entry: &Entry, there: There) -> bool {
    matches!(there, There::File { mode, .. } if mode != folder.granted(entry.mode))
}

/// Whether two names are hard links to the same file.
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
             `--compare` compares with files of other programs)",
            if names.len() == 1 { "s" } else { "" }
        ),
    )
}

/// The error of a step before the first entry.
pub fn failed(what: &str, error: &io::Error) -> TransferError {
    fault::failure(error).during(what).into()
}

#[cfg(test)]
mod tests;
