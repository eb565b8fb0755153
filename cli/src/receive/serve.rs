//! Serves the streams of pushers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use super::announced;
use super::file;
use super::folder::Folder;
use super::notes;
use super::push_lock::PushLock;
use super::rules::{Allowed, Rules};
use super::session::Session;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handshake::{self, Opening, Service, Welcome};
use crate::interrupt;
use crate::output;
use crate::own_addresses::OwnAddresses;
use crate::pending_streams::{PendingStream, PendingStreams};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;
use crate::transfer::frame::{self, Frame};
use crate::transfer::message::{out_of_turn, Pusher, Receiver, AT_ONCE, BUSY};
use crate::transfer::modes::Modes;
use crate::transfer::summary::Report;

/// Results are gathered up to this many bytes before they are written.
const RESULTS_AT_ONCE: usize = 256 << 10;

pub struct Receiving {
    pub folder: Arc<Folder>,
    pub rules: Rules,
    /// What pushers may ask for.
    pub allowed: Allowed,
    /// How results are printed.
    pub report: Report,
    pub push_lock: Arc<PushLock>,
    pub own: OwnAddresses,
    pub pending: PendingStreams,
}

/// The most streams that are not part of a push yet.
pub const MOST_PENDING: usize = 64;
/// The time for the largest announcement over a slow link.
const ANNOUNCING: Duration = Duration::from_secs(300);
/// A push without a file in progress ends after this time, whatever the pusher sends.
const IDLE: Duration = Duration::from_secs(600);
/// How often the pusher gets a sign of life while the plan is made.
const ALIVE: Duration = Duration::from_secs(5);

impl Receiving {
    /// Serves a stream to its end, on the stream's own thread.
    pub fn stream(&self, stream: &DataStream) {
        self.push_lock.serve(|| {
            let place = self.pending.enter(stream);
            match self.greet(stream) {
                Ok(Some(extensions)) => {
                    if let Err(error) = self.push(stream, place, extensions) {
                        self.end(stream, error);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let why = error.last_error_text();
                    output::detail(&format!("{}: {why}", stream.peer()));
                }
            }
        });
    }

    /// Receives the greeting. Returns the granted extensions if it asks for a push.
    fn greet(
        &self,
        stream: &DataStream,
    ) -> std::result::Result<Option<Extensions>, TransportError> {
        match handshake::opening(stream, Some(handshake::PATIENCE))? {
            Opening::Asked(Service::Push, offered) => {
                let granted = offered & Extensions::KNOWN.0;
                let identity = self.folder.identity();
                handshake::answer_as(stream, Welcome::Granted, granted, identity)?;
                return Ok(Some(Extensions(granted)));
            }
            Opening::Asked(..) => handshake::answer(stream, Welcome::NotServed, 0)?,
            Opening::Unknown(welcome) => handshake::answer(stream, welcome, 0)?,
            Opening::Other(_) => output::detail(&format!(
                "closed a stream from {} that is not a push",
                stream.peer()
            )),
        }
        Ok(None)
    }

    fn push(
        &self,
        stream: &DataStream,
        place: PendingStream<'_>,
        extensions: Extensions,
    ) -> Result<()> {
        if self.own.refuses(stream.peer_address()) {
            return Err(from_this_machine().into());
        }
        // A pusher starts as soon as it has the answer.
        let deadline = Deadline::after(handshake::PATIENCE);
        let first = Pusher::from_frame(&Frame::read_by(stream, &deadline)?, extensions)?;
        if let Pusher::Join(id) = first {
            let session = self.push_lock.session(&id);
            let session = session
                .ok_or_else(|| TransferError::protocol("a stream that joins an unknown push"))?;
            session.helps(stream)?;
            drop(place);
            Receiver::Ready(id).frame().write(stream)?;
            let ended = files(&session, stream, Vec::new);
            session.has_helped(stream);
            return ended;
        }
        let source = *stream.peer_address().ip();
        let guard = self.push_lock.take(source).ok_or(TransferError::Busy)?;
        drop(place);
        let deadline = Deadline::after(ANNOUNCING);
        let (modes, entries) = announced::receive(stream, first, extensions, deadline)?;
        self.allowed.check(modes)?;
        let session = Session::new(
            stream.peer(),
            &self.folder,
            self.rules,
            modes,
            entries,
            extensions,
            &mut alive(stream, ALIVE),
        )?;
        let session = Arc::new(session);
        results(&session, stream)?;
        for (number, wants) in session.wants.chunks(AT_ONCE).enumerate() {
            let first = (number * AT_ONCE) as u32;
            let wants = wants.to_vec();
            Receiver::Plan { first, wants }.frame().write(stream)?;
        }
        if modes.has(Modes::DRY_RUN) {
            Receiver::Ready(session.id).frame().write(stream)?;
            wait_for_end(stream);
            return Ok(());
        }
        guard.open(&session);
        session.starts();
        Receiver::Ready(session.id).frame().write(stream)?;
        files(&session, stream, || session.finish())?;
        session.report(self.report);
        guard.finished();
        Ok(())
    }

    /// Reports why a push ends, to the user and the pusher.
    fn end(&self, stream: &DataStream, error: TransferError) {
        if interrupt::is_interrupted() {
            return;
        }
        match error {
            TransferError::Broken(Failure { text, .. }) => notes::note(&format!(
                "the push from {} was interrupted: {text}",
                stream.peer()
            )),
            TransferError::Busy => {
                let failure = Failure::new(Exit::Peer, "another push is in progress");
                self.refuse(stream, &failure, BUSY);
            }
            TransferError::Fatal(failure) => {
                notes::note(&format!(
                    "ended the push from {}: {}",
                    stream.peer(),
                    failure.text
                ));
                self.refuse(stream, &failure, failure.exit as u8);
            }
        }
    }

    /// Refuses the push and waits until the pusher has read that: closing at once would discard it. The stream is
    /// pending meanwhile, so that another one can take its place.
    fn refuse(&self, stream: &DataStream, failure: &Failure, code: u8) {
        let _place = self.pending.enter(stream);
        let why = failure.text.clone();
        if (Receiver::Refused { code, why })
            .frame()
            .write(stream)
            .is_err()
        {
            return;
        }
        // No more will be sent.
        let _ = stream.finish();
        let mut rest = [0; 16 << 10];
        let deadline = Deadline::after(handshake::PATIENCE);
        while !deadline.is_over() {
            match stream.read_timeout(&mut rest, Some(deadline.left())) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
}

/// Sends a sign of life while the plan is made: an empty plan.
fn alive(stream: &DataStream, pause: Duration) -> impl FnMut() -> Result<()> + '_ {
    let mut last = Instant::now();
    move || {
        if last.elapsed() < pause {
            return Ok(());
        }
        last = Instant::now();
        let (first, wants) = (0, Vec::new());
        Receiver::Plan { first, wants }.frame().write(stream)
    }
}

/// Sends the refusals of entries, before the plan.
fn results(session: &Session, stream: &DataStream) -> Result<()> {
    let mut bytes = Vec::new();
    for (index, (exit, why)) in &session.refused {
        session.report_failure(&session.entries[*index as usize], why);
        let (index, code, why) = (*index, *exit as u8, why.to_string());
        Receiver::Result { index, code, why }
            .frame()
            .append_to(&mut bytes);
        if bytes.len() >= RESULTS_AT_ONCE {
            frame::write(stream, &bytes)?;
            bytes.clear();
        }
    }
    match bytes.is_empty() {
        true => Ok(()),
        false => frame::write(stream, &bytes),
    }
}

fn from_this_machine() -> Failure {
    Failure::new(
        Exit::Refused,
        "it comes from this machine, where any user could write files with the receiver's permissions \
         (use `dcf-tb receive --allow-local` to accept it)",
    )
}

/// Receives the files of one stream.
fn files(
    session: &Session,
    stream: &DataStream,
    at_the_end: impl FnOnce() -> Vec<(u32, String)>,
) -> Result<()> {
    loop {
        match Pusher::from_frame(&Frame::read(stream)?, session.extensions)? {
            Pusher::Alive => session.still_busy(IDLE)?,
            Pusher::File(index) => file::receive(session, stream, index)?,
            Pusher::Skipped { index, why } => {
                session.skip(index)?;
                let entry = &session.entries[index as usize];
                session.report_failure(entry, &output::harmless(why.as_bytes()));
            }
            Pusher::Finished => break,
            other => return Err(out_of_turn(&other)),
        }
    }
    for (index, why) in at_the_end() {
        let code = Exit::Failed as u8;
        Receiver::Result { index, code, why }
            .frame()
            .write(stream)?;
    }
    Receiver::Done.frame().write(stream)?;
    wait_for_end(stream);
    Ok(())
}

/// The pusher closes first, so it has read everything.
fn wait_for_end(stream: &DataStream) {
    let _ = stream.finish();
    let _ = handshake::read_exactly(stream, &mut [0], handshake::PATIENCE);
}
