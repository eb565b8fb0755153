//! Receives one file: compares what exists, receives the rest, verifies it and puts it into place.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{fstat, Stat};
use thunderbolt_transport::DataStream;

use super::exchange::Exchange;
use super::fault::Fault;
use super::hard_link;
use super::incoming::IncomingFile;
use super::link;
use super::mark::Mark;
use super::notes;
use super::outcome::Outcome;
use super::part::Part;
use super::place::{Place, There};
use super::session::{Session, State};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::checksums::ChecksumsAhead;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::error::Result;
use crate::transfer::holes::{hole_end, run_end};
use crate::transfer::message::{Receiver, Want};
use crate::transfer::pieces;
use crate::units::bytes;

/// Receives a file that the pusher started. A failure of the file is reported to the pusher, which continues with
/// others; an error of this function ends the stream.
pub fn receive(session: &Session, stream: &DataStream, index: u32) -> Result<()> {
    let (entry, want) = session.take(index)?;
    session.progress.name(&entry.shown());
    let mut exchange = Exchange::new(stream, entry, want, session.extensions);
    let outcome = outcome(session, &mut exchange, want);
    session.ended(
        index,
        match outcome {
            Ok(Outcome::Done) => State::Done,
            Ok(Outcome::Same) => State::Same,
            _ => State::Failed,
        },
    );
    let report = |exit: Exit, why: String| {
        if exit != Exit::Done {
            session.report_failure(entry, &why);
        }
        let code = exit as u8;
        Receiver::Result { index, code, why }.frame().write(stream)
    };
    match outcome {
        Ok(Outcome::Done | Outcome::Same) => report(Exit::Done, String::new()),
        Ok(Outcome::Failed(exit, why)) => report(exit, why),
        Err(Fault::Entry(failure)) => {
            // Report the failure first, so that the pusher need not send the rest.
            report(failure.exit, failure.text)?;
            exchange.drain()
        }
        Err(Fault::Push(error)) => Err(error),
    }
}

fn outcome(
    session: &Session,
    exchange: &mut Exchange<'_>,
    want: Want,
) -> std::result::Result<Outcome, Fault> {
    let entry = exchange.entry;
    let place = session.folder.place(&entry.path);
    let place = place.map_err(|error| Fault::of(&session.folder, entry, &error))?;
    match want {
        _ if entry.kind == Kind::Link => Ok(link::make(session, &place, entry)),
        _ if entry.kind == Kind::HardLink => hard_link::make(session, &place, entry),
        Want::Comparison => compare(session, exchange, &place),
        Want::Content { have } => content(session, exchange, &place, have),
        Want::Nothing => Ok(Outcome::Done),
    }
}

/// Compares the existing file with the pusher's.
fn compare(
    session: &Session,
    exchange: &mut Exchange<'_>,
    place: &Place,
) -> std::result::Result<Outcome, Fault> {
    let entry = exchange.entry;
    let cannot = |error: io::Error| Fault::of(&session.folder, entry, &error);
    let (file, mark) = place.open_existing().map_err(cannot)?;
    let seen = fstat(&file).map_err(|error| cannot(error.into()))?;
    let state = match There::of(&seen) {
        There::File { size, modified, .. } => (size, modified),
        _ => return Err(changed()),
    };
    let is_brought = session.folder.brought(mark, &entry.path, state) == Mark::Ours;
    // Another file may have replaced it after the plan was made.
    if !is_brought && !session.rules.compare {
        return Err(changed());
    }
    let file = Arc::new(file);
    send_sums(session, exchange, &file, entry.size)?;
    Ok(match exchange.start()? {
        Err(why) => Outcome::Failed(Exit::Damaged, why),
        // A file of another program is not changed: only the pusher claims that it is the same.
        Ok(same) if same == entry.size && !is_brought => Outcome::Same,
        Ok(same) if same == entry.size => adopt(session, place, &file, &seen, entry),
        Ok(_) => Outcome::Failed(
            Exit::Exists,
            "it exists with different content (`dcf-tb receive --force` overwrites)".into(),
        ),
    })
}

/// The content is correct: sets the time, by which the next push recognises the file, and the permissions.
fn adopt(session: &Session, place: &Place, file: &File, seen: &Stat, entry: &Entry) -> Outcome {
    let settled = fstat(file).map_err(io::Error::from).and_then(|now| {
        // The time vouches for the content, so it must not be set on changed content.
        let time = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        match time(&now) == time(seen) {
            true => place.settle(file, entry.mode, entry.modified),
            false => Err(io::Error::other("the file changed while it was compared")),
        }
    });
    match settled {
        Ok(is_marked) => {
            if !is_marked {
                session.folder.remember(&entry.path, place);
            }
            Outcome::Same
        }
        Err(error) => Outcome::Failed(
            Exit::Failed,
            format!("cannot set the time and permissions: {error}"),
        ),
    }
}

/// The place changed after the plan was made; the next push makes a new plan.
fn changed() -> Fault {
    let text = "another program replaced the existing file";
    Fault::Entry(Failure::new(Exit::Damaged, text))
}

/// Sends the checksums of the existing pieces as they are read.
fn send_sums(
    session: &Session,
    exchange: &mut Exchange<'_>,
    file: &Arc<File>,
    size: u64,
) -> std::result::Result<(), Fault> {
    let entry = exchange.entry;
    let cannot = |error: io::Error| Fault::of(&session.folder, entry, &error);
    let mut offset = 0;
    while offset < size {
        let mut end = size;
        if exchange.knows_holes() {
            let hole = hole_end(file, offset, size).map_err(cannot)?;
            if hole > offset {
                exchange.send_zeros(pieces(hole - offset))?;
                offset = hole;
                continue;
            }
            end = run_end(file, offset, size).map_err(cannot)?;
        }
        let ahead = ChecksumsAhead::of(file, offset, end).map_err(cannot)?;
        for _ in 0..pieces(end - offset) {
            exchange.send_checksum(ahead.next().map_err(cannot)?)?;
        }
        offset = end;
    }
    Ok(())
}

fn content(
    session: &Session,
    exchange: &mut Exchange<'_>,
    place: &Place,
    have: u64,
) -> std::result::Result<Outcome, Fault> {
    let entry = exchange.entry;
    let cannot = |error: io::Error| Fault::of(&session.folder, entry, &error);
    let part = place.open_part().map_err(cannot)?;
    let file = &part.file;
    let mut offset = 0;
    if have > 0 {
        let length = file.metadata().map_err(cannot)?.len();
        if !part.is_kept || length < have {
            return Err(changed());
        }
        send_sums(session, exchange, file, have)?;
        offset = match exchange.start()? {
            Ok(offset) => offset,
            Err(why) => return Ok(Outcome::Failed(Exit::Damaged, why)),
        };
        session.progress.take_back(have - offset);
    }
    file.set_len(offset).map_err(cannot)?;
    let mut incoming = IncomingFile::new(session, exchange, Arc::clone(file), offset);
    let arrived = incoming.all();
    // Wait for the checks even after an error: only verified pieces are kept.
    let wrong = incoming.checked().map_err(cannot)?;
    match (arrived, wrong) {
        (Ok(None), None) if incoming.skipped.is_some() => {
            // The content may be wrong by the next push; its checksums will tell.
            let _ = file.set_len(incoming.offset);
            keep(place, &part, entry, incoming.offset);
            let why = incoming.skipped.take().unwrap_or_default();
            Ok(Outcome::Failed(Exit::Damaged, why))
        }
        (Ok(None), None) => {
            if session.rules.sync {
                file.sync_data().map_err(cannot)?;
            }
            let force = session.rules.replaces_files();
            match place.finish(&part, entry.mode, entry.modified, force) {
                Ok(is_marked) => {
                    if !is_marked {
                        session.folder.remember(&entry.path, place);
                    }
                    if session.rules.sync {
                        place.sync().map_err(cannot)?;
                    }
                    Ok(Outcome::Done)
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    place.remove_part(&part);
                    Ok(Outcome::taken_meanwhile())
                }
                Err(error) => Err(cannot(error)),
            }
        }
        (Ok(wrong), later) => {
            let right = later.or(wrong).unwrap_or(0);
            let _ = file.set_len(right);
            keep(place, &part, entry, right);
            let why = format!(
                "wrong checksum at offset {right}: the file changed while it was sent, or was damaged in transit"
            );
            Ok(Outcome::Failed(Exit::Damaged, why))
        }
        (Err(fault), wrong) => {
            let whole = wrong.unwrap_or(incoming.offset);
            let _ = file.set_len(whole);
            keep(place, &part, entry, whole);
            Err(fault)
        }
    }
}

/// Reports what is kept of an unfinished file, or removes the file if nothing is.
fn keep(place: &Place, part: &Part, entry: &Entry, whole: u64) {
    if whole == 0 || !part.is_found_again {
        place.remove_part(part);
        return;
    }
    notes::note(&format!(
        "{}: {} of {} are kept in {}; push it again to resume",
        entry.shown(),
        bytes(whole),
        bytes(entry.size),
        output::harmless(part.name.as_os_str().as_bytes())
    ));
}
