//! Sending large messages: one connection to each peer, used again until it is idle.

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, LogLevel, ThunderboltTransport, TransportError};

use super::format::header;
use super::turn::Turn;
use crate::plugin::limit::Limit;
use crate::plugin::lock;
use crate::sync::Mutex;

/// A connection on which nothing was sent for so long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// How long the peer may take to read the rest of what was sent before an idle connection closes.
const LINGER: Duration = Duration::from_secs(2);
/// An idle connection that is just being used is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The connections that we opened.
pub(in crate::plugin) struct Outgoing {
    lines: Mutex<HashMap<Target, Arc<Line>>>,
    connect_within: Duration,
    /// Connections that nobody is sending over are closed when there are more. A host that answers
    /// strangers has one to each of them.
    most: usize,
    /// When a reset was logged last.
    logged: Mutex<Option<Instant>>,
}

/// A peer's address and data port.
type Target = (Ipv6Addr, u16);

/// What leads to one peer.
struct Line {
    /// Whose message is under way: they are whole, and in the order of the calls.
    turn: Turn,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    stream: Arc<DataStream>,
    used: Instant,
    /// The last message was cut when its time was over, so it ended there. What is sent next waits
    /// until the peer has read all that came before.
    cut: bool,
}

/// How a connection ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// The peer reset it.
    Reset,
    Otherwise,
}

impl Outgoing {
    /// At most a quarter of `max_streams` are connections that nobody is sending over.
    pub(in crate::plugin) fn new(connect_within: Duration, max_streams: usize) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            connect_within,
            most: (max_streams / 4).max(1),
            logged: Mutex::new(None),
        })
    }

    /// Sends a message to a data port: whole, or not at all.
    ///
    /// It has left when the kernel has taken all of it. When the time is up before, the connection
    /// ends after what was sent: the peer drops the beginning, and the next message goes over another.
    pub(in crate::plugin) fn send(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        data: &[u8],
        limit: Limit,
    ) -> Result<(), TransportError> {
        let line = self.line(to);
        let sent = self.send_over(transport, to, &line, data, limit);
        if sent.is_err() {
            // Nobody who is not there is remembered.
            self.forget(to, line);
        }
        sent
    }

    fn send_over(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        line: &Arc<Line>,
        data: &[u8],
        limit: Limit,
    ) -> Result<(), TransportError> {
        let Some(_held) = line.turn.take(limit) else {
            return Err(limit.expired(|| {
                let (ip, port) = to;
                format!(
                    "sent 0 of {} bytes of a message to [{ip}]:{port}, behind other messages,",
                    data.len()
                )
            }));
        };
        if let Some(stream) = line.ready(limit)? {
            match line.write(&stream, data, limit) {
                // It has ended a moment ago, and nothing of the message is there then.
                Err(error) if is_lost(&error) => {}
                sent => return sent,
            }
        }
        let stream = self.open(transport, to, line, limit.left_of(self.connect_within))?;
        line.write(&stream, data, limit)
    }

    fn line(&self, to: Target) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        Arc::clone(lines.entry(to).or_insert_with(|| {
            Arc::new(Line {
                turn: Turn::default(),
                connection: Mutex::new(None),
            })
        }))
    }

    /// Opens a connection, with a thread that watches for its end.
    fn open(
        self: &Arc<Self>,
        transport: &Arc<ThunderboltTransport>,
        to: Target,
        line: &Arc<Line>,
        within: Duration,
    ) -> Result<Arc<DataStream>, TransportError> {
        self.make_room();
        let peer = format!("[{}]:{}", to.0, to.1);
        let stream = Arc::new(transport.open_data_stream_timeout(&peer, Some(within))?);
        *lock(&line.connection) = Some(Connection {
            stream: Arc::clone(&stream),
            used: Instant::now(),
            cut: false,
        });
        let (outgoing, watched) = (Arc::clone(self), Arc::clone(line));
        let connection = Arc::clone(&stream);
        let log = Arc::clone(transport);
        let started = transport.spawn("dcf-tb-plugin", move || {
            if watched.watch(&connection) == Ended::Reset {
                outgoing.log_reset(&log, &connection);
            }
            // Whoever is sending over it finds out why it ended, so it is not closed under way.
            watched.take_out(&connection);
            drop(connection);
            outgoing.forget(to, watched);
        });
        if let Err(error) = started {
            line.drop_connection(&stream);
            return Err(error);
        }
        Ok(stream)
    }

    /// Closes a connection that nobody is sending over, when there are too many: first one that was cut,
    /// whose peer does not read, then the one that was not used for longest.
    fn make_room(&self) {
        let mut unused: Vec<_> = {
            let lines = lock(&self.lines);
            let open = lines.values().filter_map(|line| {
                let connection = lock(&line.connection);
                let connection = connection.as_ref()?;
                Some((!connection.cut, connection.used, Arc::clone(line)))
            });
            open.collect()
        };
        if unused.len() < self.most {
            return;
        }
        unused.sort_by_key(|&(whole, used, _)| (whole, used));
        for (_, _, line) in unused {
            let Some(_held) = line.turn.take(Limit::after(Some(Duration::ZERO))) else {
                continue;
            };
            let Some(connection) = lock(&line.connection).take() else {
                continue;
            };
            match connection.cut {
                true => connection.stream.reset(),
                false => connection.stream.close(),
            }
            return;
        }
    }

    /// Success of a send says that the kernel has taken the message, so a reset that comes later is the
    /// only sign that the peer has not.
    fn log_reset(&self, transport: &ThunderboltTransport, stream: &DataStream) {
        let mut logged = lock(&self.logged);
        if logged.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            return;
        }
        *logged = Some(Instant::now());
        drop(logged);
        transport.log(
            LogLevel::Warn,
            format_args!(
                "{} reset the connection for large messages: it has not taken those that were sent last",
                stream.peer()
            ),
        );
    }

    /// Forgets a line that nobody uses.
    fn forget(&self, to: Target, line: Arc<Line>) {
        let mut lines = lock(&self.lines);
        // Everybody gets it under this lock, so nobody gets it now: it is the map's and ours.
        let unused = Arc::strong_count(&line) == 2 && lock(&line.connection).is_none();
        if unused && lines.get(&to).is_some_and(|own| Arc::ptr_eq(own, &line)) {
            lines.remove(&to);
        }
    }

    /// Closes the connections to an address. What is being sent over them fails.
    pub(in crate::plugin) fn disconnect(&self, address: &Ipv6Addr) {
        let lines: Vec<_> = {
            let lines = lock(&self.lines);
            let to_it = lines.iter().filter(|((to, _), _)| to == address);
            to_it.map(|(_, line)| Arc::clone(line)).collect()
        };
        for line in lines {
            if let Some(connection) = lock(&line.connection).take() {
                connection.stream.close();
            }
        }
    }
}

impl Line {
    /// The connection, if there is one that the peer has not ended. One that ends with half a message
    /// is waited for.
    fn ready(&self, limit: Limit) -> Result<Option<Arc<DataStream>>, TransportError> {
        let (stream, cut) = match lock(&self.connection).as_ref() {
            Some(connection) => (Arc::clone(&connection.stream), connection.cut),
            None => return Ok(None),
        };
        let wait = if cut {
            limit.left()
        } else {
            Some(Duration::ZERO)
        };
        match stream.read_timeout(&mut [0], wait) {
            Err(TransportError::WouldBlock | TransportError::Timeout) if cut => {
                Err(limit.expired(|| format!("{} did not read the message before", stream.peer())))
            }
            Err(TransportError::WouldBlock) => Ok(Some(stream)),
            // It has ended, or says what it must not.
            _ => {
                self.drop_connection(&stream);
                Ok(None)
            }
        }
    }

    /// Writes a whole message. After a part of one nothing can follow on the connection.
    fn write(
        &self,
        stream: &Arc<DataStream>,
        data: &[u8],
        limit: Limit,
    ) -> Result<(), TransportError> {
        let header = header(data.len());
        let mut pieces = [IoSlice::new(&header), IoSlice::new(data)];
        let written = stream.write_vectored_timeout(&mut pieces, limit.left());
        match &written.outcome {
            Ok(()) => {
                if let Some(connection) = lock(&self.connection).as_mut() {
                    connection.used = Instant::now();
                }
            }
            Err(TransportError::Timeout | TransportError::WouldBlock) => {
                if written.count > 0 {
                    self.cut(stream);
                }
            }
            Err(_) => self.drop_connection(stream),
        }
        written.outcome.map_err(|error| match error {
            // It names the time that was left, and the header is no part of the message.
            TransportError::Timeout | TransportError::WouldBlock => limit.expired(|| {
                let sent = written.count.saturating_sub(header.len() as u64);
                let (all, peer) = (data.len(), stream.peer());
                format!("sent {sent} of {all} bytes of a message to {peer}")
            }),
            error => error,
        })
    }

    /// Ends the connection after what was sent.
    fn cut(&self, stream: &Arc<DataStream>) {
        if stream.finish().is_err() {
            return self.drop_connection(stream);
        }
        if let Some(connection) = lock(&self.connection).as_mut() {
            connection.cut = true;
        }
    }

    /// Closes the connection. What was sent still reaches the peer.
    fn drop_connection(&self, stream: &Arc<DataStream>) {
        self.take_out(stream);
        stream.close();
    }

    /// Takes the connection out of use. It closes when nobody uses it any more.
    fn take_out(&self, stream: &Arc<DataStream>) {
        let mut connection = lock(&self.connection);
        if connection
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(&own.stream, stream))
        {
            *connection = None;
        }
    }

    /// Returns when the connection has ended, or is idle and was closed.
    fn watch(&self, stream: &Arc<DataStream>) -> Ended {
        let mut wait = IDLE;
        loop {
            match stream.read_timeout(&mut [0], Some(wait)) {
                Err(TransportError::Timeout) => {}
                Err(error) if is_lost(&error) => return Ended::Reset,
                // Nothing ever comes from there but the end.
                _ => return Ended::Otherwise,
            }
            match self.idle() {
                Some(idle) if idle < IDLE => wait = IDLE - idle,
                Some(_) => {
                    if self.close_gently(stream) {
                        return Ended::Otherwise;
                    }
                    wait = LOOK_AGAIN;
                }
                None => return Ended::Otherwise,
            }
        }
    }

    /// How long nothing has been sent; `None` when the connection is gone. One that was cut is not idle,
    /// however long its peer takes to read.
    fn idle(&self) -> Option<Duration> {
        let connection = lock(&self.connection);
        let connection = connection.as_ref()?;
        Some(match connection.cut {
            true => Duration::ZERO,
            false => connection.used.elapsed(),
        })
    }

    /// Closes an idle connection and waits until the peer has read all of it: what comes over the next
    /// one is then behind it. False when it is not idle any more.
    fn close_gently(&self, stream: &Arc<DataStream>) -> bool {
        let Some(_held) = self.turn.take(Limit::after(Some(Duration::ZERO))) else {
            return false;
        };
        if self.idle().is_some_and(|idle| idle < IDLE) {
            return false;
        }
        if stream.finish().is_ok() {
            // Its end is the answer.
            let _ = stream.read_timeout(&mut [0], Some(LINGER));
        }
        self.drop_connection(stream);
        true
    }
}

/// Whether the connection broke, as one that the peer had ended already.
fn is_lost(error: &TransportError) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error, TransportError::ConnectionFailed(_))
        && matches!(
            error.kind(),
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::NotConnected
        )
}
