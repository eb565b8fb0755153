//! One file: what is there of it, what comes, whether it is right, and its place.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{fstat, Stat};
use thunderbolt_transport::DataStream;

use super::arriving::Arriving;
use super::mark::Mark;
use super::place::{Part, Place, There};
use super::plan::failed;
use super::session::{Session, State};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::transfer::entry::Entry;
use crate::transfer::frame::Frame;
use crate::transfer::message::{Pusher, Receiver, Want, AT_ONCE};
use crate::transfer::sums::{Sum, SumsAhead};
use crate::transfer::trouble::{Result, Trouble};
use crate::transfer::{pieces, PIECE};
use crate::units::bytes;

/// Receives a file that the pusher began. Its failure is told to the pusher, who may go on with others;
/// what fails here ends the stream.
pub fn receive(session: &Session, stream: &DataStream, index: u32) -> Result<()> {
    let (entry, want) = session.take(index)?;
    session.progress.name(&entry.shown());
    let outcome = session
        .folder
        .place(&entry.path)
        .map_err(|error| failed(&entry.shown(), &error))
        .and_then(|place| match want {
            Want::Comparison => compare(session, stream, &place, entry),
            Want::Content { have } => content(session, stream, &place, entry, have),
            Want::Nothing => Ok(Outcome::Done),
        });
    session.ended(
        index,
        match outcome {
            Ok(Outcome::Done) => State::Done,
            Ok(Outcome::Same) => State::Same,
            _ => State::Failed,
        },
    );
    let (code, why) = match outcome? {
        Outcome::Done | Outcome::Same => (Exit::Done, String::new()),
        Outcome::Failed(exit, why) => {
            output::note(&format!("{}: {why}", entry.shown()));
            (exit, why)
        }
    };
    let code = code as u8;
    Receiver::Result { index, code, why }.frame().write(stream)
}

enum Outcome {
    Done,
    /// It was there already.
    Same,
    /// Others may still come.
    Failed(Exit, String),
}

/// Whether the file that is there has the content that the pusher has.
fn compare(
    session: &Session,
    stream: &DataStream,
    place: &Place,
    entry: &Entry,
) -> Result<Outcome> {
    let cannot = |error| failed(&entry.shown(), &error);
    let (file, mark) = place.open_existing().map_err(cannot)?;
    let seen = fstat(&file).map_err(|error| cannot(error.into()))?;
    let state = match There::of(&seen) {
        There::File { size, modified, .. } => (size, modified),
        _ => return Err(changed(entry)),
    };
    let is_brought = session.folder.brought(mark, &entry.path, state) == Mark::Ours;
    // Another one may have taken its place since the plan.
    if !is_brought && !session.rules.compare {
        return Err(changed(entry));
    }
    let file = Arc::new(file);
    send_sums(stream, &file, entry.size).map_err(|trouble| named(trouble, entry))?;
    Ok(match start(stream)? {
        Started::Skipped(why) => Outcome::Failed(Exit::Damaged, why),
        // What another program put there stays as it is: that it is the same is the pusher's word only.
        Started::At(same) if same == entry.size && !is_brought => Outcome::Same,
        Started::At(same) if same == entry.size => adopt(session, place, &file, &seen, entry),
        Started::At(_) => Outcome::Failed(
            Exit::Exists,
            "it exists already, with other content (`dcf-tb receive --force` overwrites)".into(),
        ),
    })
}

/// The content is right: the file gets the time, by which the next push knows it, and the permissions.
fn adopt(session: &Session, place: &Place, file: &File, seen: &Stat, entry: &Entry) -> Outcome {
    let settled = fstat(file).map_err(io::Error::from).and_then(|now| {
        // The time says that the content is this. It must not say so of another.
        let time = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        match time(&now) == time(seen) {
            true => place.settle(file, entry.mode, entry.modified),
            false => Err(io::Error::other("it changed while it was compared")),
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
            format!("cannot set its time and permissions: {error}"),
        ),
    }
}

/// It is not what the plan was made for: another one has to be made.
fn changed(entry: &Entry) -> Trouble {
    let text = "another program replaced what is there already";
    Trouble::Broken(Failure::new(Exit::Failed, text).during(entry.shown()))
}

fn named(trouble: Trouble, entry: &Entry) -> Trouble {
    match trouble {
        Trouble::Fatal(failure) => failure.during(entry.shown()).into(),
        other => other,
    }
}

/// Tells the pusher what is here, piece by piece as it is read.
fn send_sums(stream: &DataStream, file: &Arc<File>, size: u64) -> Result<()> {
    let cannot = |error| failed("what is here already", &error);
    let ahead = SumsAhead::of(file, 0, size).map_err(cannot)?;
    let mut sums: Vec<Sum> = Vec::new();
    for number in 0..pieces(size) {
        sums.push(ahead.next().map_err(cannot)?);
        // Often enough that the pusher sees that we live.
        if sums.len() == AT_ONCE / 64 || number + 1 == pieces(size) {
            Receiver::Sums(std::mem::take(&mut sums))
                .frame()
                .write(stream)?;
        }
    }
    Ok(())
}

enum Started {
    At(u64),
    /// The pusher gave it up.
    Skipped(String),
}

/// From where on the pusher sends.
fn start(stream: &DataStream) -> Result<Started> {
    loop {
        match Pusher::from_frame(&Frame::read(stream)?)? {
            Pusher::Alive => {}
            Pusher::Start(offset) => return Ok(Started::At(offset)),
            Pusher::Skipped { why, .. } => return Ok(Started::Skipped(skipped(&why))),
            other => return Err(out_of_turn(&other)),
        }
    }
}

/// The pusher's words, in ours.
pub fn skipped(why: &str) -> String {
    output::harmless(why.as_bytes())
}

pub fn out_of_turn(message: &Pusher) -> Trouble {
    let text = format!("{message:?}");
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    Trouble::protocol(format!("{name} out of turn"))
}

fn content(
    session: &Session,
    stream: &DataStream,
    place: &Place,
    entry: &Entry,
    have: u64,
) -> Result<Outcome> {
    let cannot = |error| failed(&entry.shown(), &error);
    let part = place.open_part().map_err(cannot)?;
    let file = &part.file;
    let mut offset = 0;
    if have > 0 {
        let length = file.metadata().map_err(cannot)?.len();
        if !part.is_kept || length < have {
            return Err(changed(entry));
        }
        send_sums(stream, file, have).map_err(|trouble| named(trouble, entry))?;
        offset = match start(stream)? {
            Started::At(offset) => offset,
            Started::Skipped(why) => return Ok(Outcome::Failed(Exit::Damaged, why)),
        };
        if offset > have || (!offset.is_multiple_of(PIECE) && offset != entry.size) {
            return Err(Trouble::protocol("a start that was not offered"));
        }
        session.progress.take_back(have - offset);
    }
    file.set_len(offset).map_err(cannot)?;
    let mut arriving = Arriving::new(session, stream, entry, Arc::clone(file), offset);
    let arrived = arriving.all();
    // Whether it came to its end or not: what did come has to be right before it counts.
    let wrong = arriving.checked().map_err(cannot)?;
    match (arrived, wrong) {
        (Ok(None), None) if arriving.skipped.is_some() => {
            // What is right now may not be when it is pushed again; its checksums tell.
            let _ = file.set_len(arriving.offset);
            keep(place, &part, entry, arriving.offset);
            let why = arriving.skipped.take().unwrap_or_default();
            Ok(Outcome::Failed(Exit::Damaged, why))
        }
        (Ok(None), None) => {
            if session.sync {
                file.sync_data().map_err(cannot)?;
            }
            let force = session.rules.force;
            match place.finish(&part, entry.mode, entry.modified, force) {
                Ok(is_marked) => {
                    if !is_marked {
                        session.folder.remember(&entry.path, place);
                    }
                    if session.sync {
                        place.sync().map_err(cannot)?;
                    }
                    Ok(Outcome::Done)
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    place.remove_part(&part);
                    let why = "meanwhile it exists already (`dcf-tb receive --force` overwrites)";
                    Ok(Outcome::Failed(Exit::Exists, why.to_owned()))
                }
                Err(error) => Err(cannot(error)),
            }
        }
        (Ok(wrong), later) => {
            let right = later.or(wrong).unwrap_or(0);
            let _ = file.set_len(right);
            keep(place, &part, entry, right);
            let why = format!(
                "the checksum at offset {right} is wrong: it changed while it was sent, or was damaged"
            );
            Ok(Outcome::Failed(Exit::Damaged, why))
        }
        (Err(trouble), wrong) => {
            let whole = wrong.unwrap_or(arriving.offset);
            let _ = file.set_len(whole);
            keep(place, &part, entry, whole);
            Err(trouble)
        }
    }
}

/// Says what stays of an unfinished file, or takes it away when that is nothing.
fn keep(place: &Place, part: &Part, entry: &Entry, whole: u64) {
    if whole == 0 || !part.is_found_again {
        place.remove_part(part);
        return;
    }
    output::note(&format!(
        "{}: {} of {} are kept in {}; pushing it again goes on from there",
        entry.shown(),
        bytes(whole),
        bytes(entry.size),
        output::harmless(part.name.as_os_str().as_bytes())
    ));
}
