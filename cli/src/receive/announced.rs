//! Receives announcements, and checks that they are consistent, whatever is in the folder.

use std::collections::HashSet;

use thunderbolt_transport::DataStream;

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::entry::{Entry, Kind, MOST_ENTRIES, MOST_PATH_BYTES};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;
use crate::transfer::frame::Frame;
use crate::transfer::link::resolve;
use crate::transfer::message::{out_of_turn, Pusher};
use crate::transfer::modes::Modes;
use crate::transfer::PATIENCE;

/// Receives the announcement.
pub fn receive(
    stream: &DataStream,
    first: Pusher,
    extensions: Extensions,
    deadline: Deadline,
) -> Result<(Modes, Vec<Entry>)> {
    let mut modes = Modes::default();
    let mut entries: Vec<Entry> = Vec::new();
    let (mut paths, mut total) = (0, 0_u64);
    let mut message = first;
    loop {
        match message {
            Pusher::Alive => {}
            Pusher::Modes(asked) if entries.is_empty() => modes = asked,
            Pusher::Entries(more) | Pusher::Extended(_, more) => {
                for entry in &more {
                    paths += entry.name_bytes();
                    total = total.saturating_add(entry.size);
                }
                entries.extend(more);
                if entries.len() > MOST_ENTRIES || paths > MOST_PATH_BYTES {
                    let text = format!(
                        "a push may have at most {MOST_ENTRIES} files and 128 MiB of names"
                    );
                    return Err(Failure::new(Exit::Refused, text).into());
                }
            }
            Pusher::Announced {
                entries: count,
                bytes,
            } => {
                if count as usize != entries.len() || bytes != total || total > i64::MAX as u64 {
                    return Err(TransferError::protocol(
                        "an announcement whose totals do not match its entries",
                    ));
                }
                return Ok((modes, entries));
            }
            other => return Err(out_of_turn(&other)),
        }
        deadline.check(|| format!("no announcement came from {}", stream.peer()))?;
        let frame = Frame::read_by(stream, &deadline.or_within(PATIENCE))?;
        message = Pusher::from_frame(&frame, extensions)?;
    }
}

/// Checks all entries of a push.
pub fn check(entries: &[Entry]) -> Result<()> {
    let mut paths = HashSet::new();
    if let Some(twice) = entries.iter().find(|entry| !paths.insert(&entry.path)) {
        return Err(TransferError::protocol(format!(
            "{} is announced twice",
            twice.shown()
        )));
    }
    check_links(entries)?;
    check_hard_links(entries)
}

/// All symbolic links must stay within the pushed folders.
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

/// All hard links must name a file that was announced earlier.
fn check_hard_links(entries: &[Entry]) -> Result<()> {
    for (entry, index) in entries.iter().zip(0_u32..) {
        let Some(first) = entry.first() else { continue };
        let file = entries.get(first as usize);
        if first >= index || file.is_none_or(|file| file.kind != Kind::File) {
            let text = format!("{} is a hard link to no earlier file", entry.shown());
            return Err(TransferError::protocol(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::entry::More;

    fn entry(kind: Kind, more: More) -> Entry {
        Entry {
            kind,
            more,
            ..Entry::of_size(0)
        }
    }

    #[test]
    fn a_hard_link_is_a_name_of_a_file_before_it() {
        let file = || entry(Kind::File, More::Nothing);
        let link = |first| entry(Kind::HardLink, More::First(first));
        check_hard_links(&[file(), link(0), file(), link(2), link(0)]).unwrap();
        for wrong in [
            vec![link(0)],
            vec![link(1), file()],
            vec![file(), link(1)],
            vec![file(), link(0), link(1)],
            vec![file(), link(7)],
            vec![file(), link(u32::MAX)],
            vec![entry(Kind::Folder, More::Nothing), link(0)],
            vec![entry(Kind::Link, More::Target([b'x'].into())), link(0)],
        ] {
            assert!(check_hard_links(&wrong).is_err(), "{wrong:?}");
        }
    }
}
