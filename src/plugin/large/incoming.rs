//! Receives large messages on connections that peers opened.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv6Addr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, DropReason, ThunderboltTransport, TransportError};

use super::connections::{Activity, Added, ConnectionTable};
use super::format::{read_message, ReadError, Source};
use super::pace::{Pace, TurnPace};
use crate::plugin::peer_text::PeerText;
use crate::plugin::queue::{IncomingConnection, Queue, ReserveError};

/// How long a peer may take to send its first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer closes a connection that it no longer uses. If it does not, this side does, after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much longer than `stream_dead_after` a message may pause. The kernel ends a dead connection
/// first.
const PAUSE_MARGIN: Duration = Duration::from_secs(5);
/// How long a message may pause if `stream_dead_after` is the system's default.
const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// The connections that peers opened.
pub(in crate::plugin) struct Incoming {
    connections: ConnectionTable,
    /// How long a message may pause.
    max_pause: Duration,
}

impl Incoming {
    pub(in crate::plugin) fn new(max_streams: usize, stream_dead_after: Duration) -> Self {
        let max_pause = match stream_dead_after.is_zero() {
            true => DEFAULT_PAUSE,
            false => stream_dead_after + PAUSE_MARGIN,
        };
        Self {
            connections: ConnectionTable::new(max_streams),
            max_pause,
        }
    }

    /// Reads messages until the connection ends. Each connection has its own thread.
    pub(in crate::plugin) fn serve(
        &self,
        stream: &DataStream,
        queue: &Arc<Queue>,
        transport: &OnceLock<Arc<ThunderboltTransport>>,
    ) {
        let connection = IncomingConnection::new(*stream.peer_address().ip());
        let Added {
            number,
            activity,
            evicted,
        } = self.connections.add(stream, &connection);
        if let Some(evicted) = evicted {
            evicted.stream.give_way(format_args!(
                "a new connection for large messages needed its place: as many are open as \
                 max_streams allows"
            ));
            queue.disconnect(&evicted.connection);
        }
        let drop_message = |reason: DropReason<'_>| {
            if let Some(transport) = transport.get() {
                transport.count_dropped(reason, 1);
            }
        };
        let mut source = PacedReader {
            stream,
            queue,
            connection: &connection,
            activity: &activity,
            max_pause: self.max_pause,
            first_byte_timeout: FIRST_BYTE_TIMEOUT,
            pace: None,
            turn: None,
        };
        match read_messages(&mut source, drop_message) {
            Ending::Clean => stream.close(),
            // The peer may still be sending. A reset tells it that this side drops the data.
            Ending::Dropped => stream.reset(),
        }
        self.connections.remove(number);
    }

    /// Ends the connections from an address, and drops the messages that are arriving on them.
    pub(in crate::plugin) fn disconnect(&self, address: &Ipv6Addr, queue: &Queue) {
        for entry in self.connections.with_address(address) {
            entry.stream.close();
            queue.disconnect(&entry.connection);
        }
    }
}

enum Ending {
    Clean,
    Dropped,
}

fn read_messages(source: &mut PacedReader<'_>, drop_message: impl Fn(DropReason<'_>)) -> Ending {
    let sender = PeerText::new(source.stream.peer());
    let (queue, connection) = (source.queue, source.connection);
    loop {
        let message = match read_message(source, || queue.begin_large(connection)) {
            Ok(Some(message)) => message,
            Ok(None) => return Ending::Clean,
            Err(error) => return report(source, error, drop_message),
        };
        if let Err(refusal) = message.deliver(sender) {
            return report(source, ReadError::Refused(refusal), drop_message);
        }
        source.next_message();
    }
}

/// Counts and logs why no message came, if anybody has to know.
fn report(
    source: &PacedReader<'_>,
    error: ReadError<ReserveError>,
    drop_message: impl Fn(DropReason<'_>),
) -> Ending {
    let stream = source.stream;
    let peer = stream.peer();
    match error {
        ReadError::Malformed(what) => {
            stream.reject(format_args!("not a message of a DCF plugin host: {what}"));
        }
        ReadError::Truncated { got, length } => {
            drop_message(DropReason::Cut(format_args!(
                "{peer} ended the connection after {got} of {length} bytes"
            )));
            // The peer ended the message itself. It waits until this side has read all before it.
            return Ending::Clean;
        }
        ReadError::Failed {
            error,
            got,
            length: Some(length),
        } => {
            let text = format_args!("{got} of {length} bytes came from {peer}, then: {error}");
            drop_message(match TooSlow::is(&error) {
                true => DropReason::Slow(text),
                false => DropReason::Cut(text),
            });
        }
        ReadError::Failed { error, .. } if TooSlow::is(&error) => {
            stream.reject(format_args!("an incomplete header: {error}"));
        }
        // The peer is gone, or is idle after complete messages.
        ReadError::Failed { error, .. }
            if error.kind() != io::ErrorKind::TimedOut
                || source.first_byte_timeout != FIRST_BYTE_TIMEOUT => {}
        ReadError::Failed { .. } => {
            stream.reject(format_args!("no data came within {FIRST_BYTE_TIMEOUT:?}"));
        }
        ReadError::Refused(ReserveError::Closed) => {}
        ReadError::Refused(ReserveError::Disconnected) => {
            drop_message(DropReason::Cut(format_args!(
                "the connection from {peer} ended before its message was complete"
            )));
        }
        ReadError::Refused(ReserveError::TooSlow) => drop_message(DropReason::Slow(format_args!(
            "from {peer}: {}",
            TooSlow::MemoryShort
        ))),
        ReadError::Refused(ReserveError::OutOfMemory) => drop_message(DropReason::Memory),
    }
    Ending::Dropped
}

/// Why a message is dropped for its speed.
#[derive(Debug)]
enum TooSlow {
    Always,
    /// Other messages needed its memory.
    MemoryShort,
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
            Self::MemoryShort => {
                "it came too slowly while others waited for memory (receive_queue_bytes)"
            }
        })
    }
}

impl std::error::Error for TooSlow {}

/// Reads from a connection, and fails if a message comes too slowly.
struct PacedReader<'a> {
    stream: &'a DataStream,
    queue: &'a Arc<Queue>,
    connection: &'a Arc<IncomingConnection>,
    activity: &'a Activity,
    max_pause: Duration,
    /// How long to wait for the first byte of the next message.
    first_byte_timeout: Duration,
    /// The pace of the message, from its first byte on.
    pace: Option<Pace>,
    /// The pace of the message while it is over the limit.
    turn: Option<TurnPace>,
}

impl PacedReader<'_> {
    fn next_message(&mut self) {
        self.first_byte_timeout = IDLE_TIMEOUT;
        self.pace = None;
        self.turn = None;
    }

    /// Accounts for `bytes` that came after a wait, and fails if the message is too slow.
    fn check_pace(&mut self, bytes: usize, waited: Duration) -> io::Result<()> {
        let pace = self.pace.get_or_insert_with(|| Pace::new(self.max_pause));
        pace.add(bytes, waited);
        if self.connection.is_over_limit() {
            let turn = self.turn.get_or_insert_default();
            turn.add(bytes, waited);
            if turn.is_over() {
                self.queue.yield_turn(self.connection);
            }
        } else {
            self.turn = None;
        }
        let short = pace.is_too_slow_when_short() && self.queue.memory_is_short();
        if short || pace.is_too_slow() || self.connection.is_evicted() {
            let why = match pace.is_too_slow() {
                true => TooSlow::Always,
                false => TooSlow::MemoryShort,
            };
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        Ok(())
    }
}

impl Source for PacedReader<'_> {
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
        let count = loop {
            let timeout = match &self.pace {
                Some(pace) => pace.next_check(self.connection.is_over_limit()),
                None => self.first_byte_timeout,
            };
            self.activity.wait();
            let began = Instant::now();
            let read = self.stream.read_uninit_timeout(room, Some(timeout));
            // If this process was stopped meanwhile, that is not the peer's slowness.
            let waited = began.elapsed().min(timeout);
            let received = match read {
                Ok(read) => Some(read.len()),
                Err(TransportError::Timeout) if self.pace.is_some() => None,
                Err(error) => return Err(error.into()),
            };
            match received {
                Some(0) => break 0,
                Some(count) => {
                    self.activity.receive();
                    self.check_pace(count, waited)?;
                    break count;
                }
                None => self.check_pace(0, waited)?,
            }
        };
        let read = &mut room[..count];
        // SAFETY: the stream has written these bytes, and both types have the same layout.
        Ok(unsafe { &mut *(std::ptr::from_mut(read) as *mut [u8]) })
    }
}
