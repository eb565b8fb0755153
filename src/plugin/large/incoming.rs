//! Receiving large messages: what comes on a connection that a peer opened.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv6Addr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, DropReason, ThunderboltTransport, TransportError};

use super::format::{read_message, Source, Trouble};
use super::pace::{Pace, TurnPace};
use super::places::{Activity, Places};
use crate::plugin::peer::PeerText;
use crate::plugin::queue::{NoMore, Place, Queue};

/// How long a peer may take to begin.
const SILENT: Duration = Duration::from_secs(10);
/// A peer closes a connection that it does not use. One that forgets to is helped after this.
const IDLE: Duration = Duration::from_secs(60);

/// How much longer than `stream_dead_after` a message may pause. The kernel ends the connection first.
const MARGIN: Duration = Duration::from_secs(5);
/// How long it may pause when the system decides how long a connection lives.
const SYSTEMS: Duration = Duration::from_secs(60);

/// The connections that peers opened.
pub(in crate::plugin) struct Incoming {
    places: Places,
    /// How long a message may pause.
    patience: Duration,
}

impl Incoming {
    pub(in crate::plugin) fn new(max_streams: usize, stream_dead_after: Duration) -> Self {
        let patience = match stream_dead_after.is_zero() {
            true => SYSTEMS,
            false => stream_dead_after + MARGIN,
        };
        Self {
            places: Places::new(max_streams),
            patience,
        }
    }

    /// Reads messages until the connection ends. Runs on a thread of its own for each.
    pub(in crate::plugin) fn serve(
        &self,
        stream: &DataStream,
        queue: &Arc<Queue>,
        transport: &OnceLock<Arc<ThunderboltTransport>>,
    ) {
        let place = Place::new(*stream.peer_address().ip());
        let (number, activity, gives_way) = self.places.take(stream, &place);
        if let Some((other, other_place)) = gives_way {
            other.give_way(format_args!(
                "it made room for another one: this many connections bring large messages (max_streams)"
            ));
            queue.end(&other_place);
        }
        let drop_message = |reason: DropReason<'_>| {
            if let Some(transport) = transport.get() {
                transport.count_dropped(reason, 1);
            }
        };
        let mut source = Patient {
            stream,
            queue,
            place: &place,
            activity: &activity,
            patience: self.patience,
            may_be_silent: SILENT,
            pace: None,
            turn: None,
        };
        match read_messages(&mut source, drop_message) {
            Ending::Clean => stream.close(),
            // The peer may still be sending: it is to learn that nobody takes it.
            Ending::Dropped => stream.reset(),
        }
        self.places.leave(number);
    }

    /// Ends the connections from an address; what was arriving over them is dropped.
    pub(in crate::plugin) fn disconnect(&self, address: &Ipv6Addr, queue: &Queue) {
        for (stream, place) in self.places.of(address) {
            stream.close();
            queue.end(&place);
        }
    }
}

enum Ending {
    Clean,
    Dropped,
}

fn read_messages(source: &mut Patient<'_>, drop_message: impl Fn(DropReason<'_>)) -> Ending {
    let sender = PeerText::new(source.stream.peer());
    let (queue, place) = (source.queue, source.place);
    loop {
        let message = match read_message(source, || queue.arriving(place)) {
            Ok(Some(message)) => message,
            Ok(None) => return Ending::Clean,
            Err(trouble) => return give_up(source, trouble, drop_message),
        };
        if let Err(refusal) = message.deliver(sender) {
            return give_up(source, Trouble::Refused(refusal), drop_message);
        }
        source.next_message();
    }
}

/// Counts and logs what has to be.
fn give_up(
    source: &Patient<'_>,
    trouble: Trouble<NoMore>,
    drop_message: impl Fn(DropReason<'_>),
) -> Ending {
    let stream = source.stream;
    let peer = stream.peer();
    match trouble {
        Trouble::Malformed(what) => {
            stream.reject(format_args!("no message of a DCF plugin host: {what}"));
        }
        Trouble::Cut { got, length } => {
            drop_message(DropReason::Cut(format_args!(
                "of {length} bytes from {peer} came {got}, then the end of the connection"
            )));
            // The peer knows: it ended the message, and waits until what came before has been read.
            return Ending::Clean;
        }
        Trouble::Failed {
            error,
            got,
            length: Some(length),
        } => {
            let words = format_args!("of {length} bytes from {peer} came {got}, then: {error}");
            drop_message(match TooSlow::is(&error) {
                true => DropReason::Slow(words),
                false => DropReason::Cut(words),
            });
        }
        Trouble::Failed { error, .. } if TooSlow::is(&error) => {
            stream.reject(format_args!("half a header: {error}"));
        }
        // The peer is gone, or has sent messages, is done and does not say so.
        Trouble::Failed { error, .. }
            if error.kind() != io::ErrorKind::TimedOut || source.may_be_silent != SILENT => {}
        Trouble::Failed { .. } => {
            stream.reject(format_args!("nothing came for {SILENT:?}"));
        }
        Trouble::Refused(NoMore::Closed) => {}
        Trouble::Refused(NoMore::Ended) => drop_message(DropReason::Cut(format_args!(
            "the connection from {peer} was ended before a message was whole"
        ))),
        Trouble::Refused(NoMore::Slow) => drop_message(DropReason::Slow(format_args!(
            "from {peer}: {}",
            TooSlow::Short
        ))),
        Trouble::Refused(NoMore::Memory) => drop_message(DropReason::Memory),
    }
    Ending::Dropped
}

/// The message came too slowly.
#[derive(Debug)]
enum TooSlow {
    Always,
    /// Others needed the memory that it had.
    Short,
}

impl TooSlow {
    fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "it came too slowly",
            Self::Short => {
                "it came too slowly while others waited for memory (receive_queue_bytes)"
            }
        })
    }
}

impl std::error::Error for TooSlow {}

/// A connection whose messages have to get on.
struct Patient<'a> {
    stream: &'a DataStream,
    queue: &'a Arc<Queue>,
    place: &'a Arc<Place>,
    activity: &'a Activity,
    patience: Duration,
    /// How long the peer may leave us waiting for the first byte of a message.
    may_be_silent: Duration,
    /// Of the message of which the first byte has come.
    pace: Option<Pace>,
    /// Of its turn, while it has one.
    turn: Option<TurnPace>,
}

impl Patient<'_> {
    fn next_message(&mut self) {
        self.may_be_silent = IDLE;
        self.pace = None;
        self.turn = None;
    }

    /// So much came while we waited for so long: whether the message may go on.
    fn judge(&mut self, bytes: usize, waited: Duration) -> io::Result<()> {
        let pace = self.pace.get_or_insert_with(|| Pace::new(self.patience));
        pace.add(bytes, waited);
        if self.place.has_turn() {
            let turn = self.turn.get_or_insert_default();
            turn.add(bytes, waited);
            if turn.is_over() {
                self.queue.pass_on(self.place);
            }
        } else {
            self.turn = None;
        }
        let short = pace.is_too_slow_when_short() && self.queue.is_short();
        if short || pace.is_too_slow() || self.place.is_condemned() {
            let why = match pace.is_too_slow() {
                true => TooSlow::Always,
                false => TooSlow::Short,
            };
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        Ok(())
    }
}

impl Source for Patient<'_> {
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
        let count = loop {
            let limit = match &self.pace {
                Some(pace) => pace.next_look(self.place.has_turn()),
                None => self.may_be_silent,
            };
            self.activity.waits();
            let began = Instant::now();
            let read = self.stream.read_uninit_timeout(room, Some(limit));
            // A pause of this process is no slowness of the peer.
            let waited = began.elapsed().min(limit);
            let came = match read {
                Ok(read) => Some(read.len()),
                Err(TransportError::Timeout) if self.pace.is_some() => None,
                Err(error) => return Err(error.into()),
            };
            match came {
                Some(0) => break 0,
                Some(count) => {
                    self.activity.got();
                    self.judge(count, waited)?;
                    break count;
                }
                None => self.judge(0, waited)?,
            }
        };
        let read = &mut room[..count];
        // SAFETY: the stream has written these, and both have the same layout.
        Ok(unsafe { &mut *(std::ptr::from_mut(read) as *mut [u8]) })
    }
}
