//! Sends large messages: one connection for each peer, reused until it is idle.

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, LogLevel, ThunderboltTransport, TransportError};

use super::fifo_lock::FifoLock;
use super::format::header;
use crate::sync::{lock, Mutex};
use thunderbolt_transport::support::TimeLimit;

/// A connection on which nothing was sent for this time is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection waits at its close for the peer to read the rest.
const LINGER: Duration = Duration::from_secs(2);
/// When to check an idle connection again that is in use at the moment.
const RECHECK: Duration = Duration::from_millis(100);

/// The connections that this side opened.
pub(in crate::plugin) struct Outgoing {
    channels: Mutex<HashMap<Target, Arc<PeerChannel>>>,
    connect_within: Duration,
    /// If more connections are open, unused ones are closed. A host that answers every sender has a
    /// connection to each of them.
    max: usize,
    /// When a reset was last logged.
    reset_logged: Mutex<Option<Instant>>,
}

/// A peer's address and data port.
type Target = (Ipv6Addr, u16);

/// The way to one peer.
struct PeerChannel {
    /// Held while a message is sent: messages are complete, and in the order of the calls.
    sending: FifoLock,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    stream: Arc<DataStream>,
    used: Instant,
    /// The last message timed out half-way, so the connection was half-closed after it. The next
    /// message waits until the peer has read everything before it.
    truncated: bool,
}

/// How a connection ended.
#[derive(PartialEq, Eq)]
enum End {
    /// The peer reset it.
    Reset,
    Other,
}

impl Outgoing {
    /// Keeps at most a quarter of `max_streams` as unused connections.
    pub(in crate::plugin) fn new(connect_within: Duration, max_streams: usize) -> Arc<Self> {
        Arc::new(Self {
            channels: Mutex::default(),
            connect_within,
            max: (max_streams / 4).max(1),
            reset_logged: Mutex::new(None),
        })
    }

    /// Sends a complete message to a data port, or none of it.
    ///
    /// Succeeds when the kernel has accepted all of it. If the time is up before, the connection ends
    /// after the part that was sent. The peer drops that part, and the next message uses a new
    /// connection.
    pub(in crate::plugin) fn send(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        data: &[u8],
        limit: TimeLimit,
    ) -> Result<(), TransportError> {
        let channel = self.channel(to);
        let sent = self.send_over(transport, to, &channel, data, limit);
        if sent.is_err() {
            // Unreachable peers must not use memory.
            self.remove_if_unused(to, channel);
        }
        sent
    }

    fn send_over(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        channel: &Arc<PeerChannel>,
        data: &[u8],
        limit: TimeLimit,
    ) -> Result<(), TransportError> {
        let Some(_sending) = channel.sending.lock(limit) else {
            return Err(limit.expired(format_args!(
                "sent 0 of {} bytes of a message to [{}]:{}, behind other messages,",
                data.len(),
                to.0,
                to.1
            )));
        };
        if let Some(stream) = channel.open_connection(limit)? {
            match channel.write(&stream, data, limit) {
                // The connection ended a moment ago, so the peer has nothing of this message.
                Err(error) if is_lost(&error) => {}
                sent => return sent,
            }
        }
        let within = limit.remaining_at_most(self.connect_within);
        let stream = self.open(transport, to, channel, within)?;
        channel.write(&stream, data, limit)
    }

    fn channel(&self, to: Target) -> Arc<PeerChannel> {
        let mut channels = lock(&self.channels);
        Arc::clone(channels.entry(to).or_insert_with(|| {
            Arc::new(PeerChannel {
                sending: FifoLock::default(),
                connection: Mutex::new(None),
            })
        }))
    }

    /// Opens a connection, and starts a thread that waits for its end.
    fn open(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        channel: &Arc<PeerChannel>,
        within: Duration,
    ) -> Result<Arc<DataStream>, TransportError> {
        self.close_one_unused();
        let peer = format!("[{}]:{}", to.0, to.1);
        let stream = Arc::new(transport.open_data_stream_timeout(&peer, Some(within))?);
        *lock(&channel.connection) = Some(Connection {
            stream: Arc::clone(&stream),
            used: Instant::now(),
            truncated: false,
        });
        let (outgoing, watched) = (Arc::clone(self), Arc::clone(channel));
        let connection = Arc::clone(&stream);
        let log = Arc::clone(transport);
        let started = transport.spawn("dcf-tb-plugin", move || {
            if watched.watch(&connection) == End::Reset {
                outgoing.log_reset(&log, &connection);
            }
            // Not closed here: a thread that is sending must learn the real reason of the end.
            watched.detach(&connection);
            drop(connection);
            outgoing.remove_if_unused(to, watched);
        });
        if let Err(error) = started {
            channel.close(&stream);
            return Err(error);
        }
        Ok(stream)
    }

    /// Closes one unused connection if there are too many. A truncated one goes first, because its peer
    /// does not read; otherwise the one that was not used for longest.
    fn close_one_unused(&self) {
        let mut unused: Vec<_> = {
            let channels = lock(&self.channels);
            let open = channels.values().filter_map(|channel| {
                let connection = lock(&channel.connection);
                let connection = connection.as_ref()?;
                Some((!connection.truncated, connection.used, Arc::clone(channel)))
            });
            open.collect()
        };
        if unused.len() < self.max {
            return;
        }
        unused.sort_by_key(|&(complete, used, _)| (complete, used));
        for (_, _, channel) in unused {
            let Some(_sending) = channel.sending.try_lock() else {
                continue;
            };
            let Some(connection) = lock(&channel.connection).take() else {
                continue;
            };
            match connection.truncated {
                true => connection.stream.reset(),
                false => connection.stream.close(),
            }
            return;
        }
    }

    /// A send succeeds when the kernel has accepted the message. A later reset is the only sign that the
    /// peer did not receive it.
    fn log_reset(&self, transport: &ThunderboltTransport, stream: &DataStream) {
        let mut last = lock(&self.reset_logged);
        if last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        transport.log(
            LogLevel::Warn,
            format_args!(
                "{} reset the connection for large messages; the last messages sent to it may be lost",
                stream.peer()
            ),
        );
    }

    /// Removes a channel without a connection that no thread uses.
    fn remove_if_unused(&self, to: Target, channel: Arc<PeerChannel>) {
        let mut channels = lock(&self.channels);
        // Threads get references only under this lock. If there are two, the map has one and this
        // function the other.
        let unused = Arc::strong_count(&channel) == 2 && lock(&channel.connection).is_none();
        if unused
            && channels
                .get(&to)
                .is_some_and(|own| Arc::ptr_eq(own, &channel))
        {
            channels.remove(&to);
        }
    }

    /// Closes the connections to an address. Sends that are in progress fail.
    pub(in crate::plugin) fn disconnect(&self, address: &Ipv6Addr) {
        let channels: Vec<_> = {
            let channels = lock(&self.channels);
            let to_it = channels.iter().filter(|((to, _), _)| to == address);
            to_it.map(|(_, channel)| Arc::clone(channel)).collect()
        };
        for channel in channels {
            if let Some(connection) = lock(&channel.connection).take() {
                connection.stream.close();
            }
        }
    }
}

impl PeerChannel {
    /// The connection, if there is one that the peer has not ended. After a truncated message it first
    /// waits until the peer has read that connection to its end.
    fn open_connection(&self, limit: TimeLimit) -> Result<Option<Arc<DataStream>>, TransportError> {
        let (stream, truncated) = match lock(&self.connection).as_ref() {
            Some(connection) => (Arc::clone(&connection.stream), connection.truncated),
            None => return Ok(None),
        };
        let wait = if truncated {
            limit.remaining()
        } else {
            Some(Duration::ZERO)
        };
        match stream.read_timeout(&mut [0], wait) {
            Err(TransportError::WouldBlock | TransportError::Timeout) if truncated => Err(limit
                .expired(format_args!(
                    "{} did not read the previous message",
                    stream.peer()
                ))),
            Err(TransportError::WouldBlock) => Ok(Some(stream)),
            // It has ended, or the peer sent data, which the protocol does not allow.
            _ => {
                self.close(&stream);
                Ok(None)
            }
        }
    }

    /// Writes a complete message. After an incomplete one, the connection cannot be used again.
    fn write(
        &self,
        stream: &Arc<DataStream>,
        data: &[u8],
        limit: TimeLimit,
    ) -> Result<(), TransportError> {
        let header = header(data.len());
        let mut pieces = [IoSlice::new(&header), IoSlice::new(data)];
        let written = stream.write_vectored_timeout(&mut pieces, limit.remaining());
        match &written.outcome {
            Ok(()) => {
                if let Some(connection) = lock(&self.connection).as_mut() {
                    connection.used = Instant::now();
                }
            }
            Err(TransportError::Timeout | TransportError::WouldBlock) => {
                if written.count > 0 {
                    self.truncate(stream);
                }
            }
            Err(_) => self.close(stream),
        }
        written.outcome.map_err(|error| match error {
            // The error of the stream names only the remaining time, and counts the header.
            TransportError::Timeout | TransportError::WouldBlock => {
                let sent = written.count.saturating_sub(header.len() as u64);
                let (all, peer) = (data.len(), stream.peer());
                limit.expired(format_args!(
                    "sent {sent} of {all} bytes of a message to {peer}"
                ))
            }
            error => error,
        })
    }

    /// Half-closes the connection after an incomplete message.
    fn truncate(&self, stream: &Arc<DataStream>) {
        if stream.finish().is_err() {
            return self.close(stream);
        }
        if let Some(connection) = lock(&self.connection).as_mut() {
            connection.truncated = true;
        }
    }

    /// Closes the connection. Data that was sent still reaches the peer.
    fn close(&self, stream: &Arc<DataStream>) {
        self.detach(stream);
        stream.close();
    }

    /// Removes the connection from the channel. It closes with its last reference.
    fn detach(&self, stream: &Arc<DataStream>) {
        let mut connection = lock(&self.connection);
        if connection
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(&own.stream, stream))
        {
            *connection = None;
        }
    }

    /// Returns when the connection has ended, or was closed because it was idle.
    fn watch(&self, stream: &Arc<DataStream>) -> End {
        let mut wait = IDLE_TIMEOUT;
        loop {
            match stream.read_timeout(&mut [0], Some(wait)) {
                Err(TransportError::Timeout) => {}
                Err(error) if is_lost(&error) => return End::Reset,
                // The peer sends no data, so this is the end.
                _ => return End::Other,
            }
            match self.idle() {
                Some(idle) if idle < IDLE_TIMEOUT => wait = IDLE_TIMEOUT - idle,
                Some(_) => {
                    if self.close_idle(stream) {
                        return End::Other;
                    }
                    wait = RECHECK;
                }
                None => return End::Other,
            }
        }
    }

    /// How long nothing has been sent; `None` if the connection is gone. A truncated connection is
    /// never idle, however long its peer takes to read.
    fn idle(&self) -> Option<Duration> {
        let connection = lock(&self.connection);
        let connection = connection.as_ref()?;
        Some(match connection.truncated {
            true => Duration::ZERO,
            false => connection.used.elapsed(),
        })
    }

    /// Closes an idle connection, and waits until the peer has read all of it, so that messages on the
    /// next connection stay behind it. False if it is no longer idle.
    fn close_idle(&self, stream: &Arc<DataStream>) -> bool {
        let Some(_sending) = self.sending.try_lock() else {
            return false;
        };
        if self.idle().is_some_and(|idle| idle < IDLE_TIMEOUT) {
            return false;
        }
        if stream.finish().is_ok() {
            // The peer answers by ending the connection.
            let _ = stream.read_timeout(&mut [0], Some(LINGER));
        }
        self.close(stream);
        true
    }
}

/// Whether the connection failed in the way of one that the peer had already ended.
fn is_lost(error: &TransportError) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error, TransportError::ConnectionFailed(_))
        && matches!(
            error.kind(),
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::NotConnected
        )
}
