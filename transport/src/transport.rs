//! The transport as its users see it.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::control::Admitted;
use crate::core::ThunderboltTransport;
use crate::data_stream::DataStream;
use crate::datagram::Datagram;
use crate::error::{expired, Result, TransportError};
use crate::handlers::Sender;
use crate::link::LinkWait;
use crate::log::LogLevel;
use crate::message::DropReason;
use crate::progress::Progress;
use crate::receiver::count_dropped;
use crate::rtt::{check_port, DiscoveredPeer, PingOptions, RttSummary};
use crate::stats::Stats;
use crate::sys::poll::Deadline;

impl ThunderboltTransport {
    /// Sends one control message of 0 to [`MAX_MESSAGE_SIZE`](crate::MAX_MESSAGE_SIZE) bytes, as
    /// one datagram from the control port: whole or not at all. Gives its size.
    ///
    /// Blocks only while the socket's buffer or the interface's own queue is full, for a second at
    /// most.
    ///
    /// # Errors
    ///
    /// [`MessageTooLarge`](TransportError::MessageTooLarge),
    /// [`InvalidAddress`](TransportError::InvalidAddress),
    /// [`InterfaceNotFound`](TransportError::InterfaceNotFound) (of the address),
    /// [`LinkDown`](TransportError::LinkDown), [`QueueFull`](TransportError::QueueFull),
    /// [`Shutdown`](TransportError::Shutdown).
    pub fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        self.core().control.send_message(data, peer)
    }

    /// The same, waiting while a send queue is full for up to `timeout`: `None` without
    /// limit, zero not at all.
    ///
    /// # Errors
    ///
    /// Those of [`send_message`](Self::send_message), and [`WouldBlock`](TransportError::WouldBlock).
    pub fn send_message_timeout(
        &self,
        data: &[u8],
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.core()
            .control
            .send_message_timeout(data, peer, timeout)
    }

    /// Sends many messages with few system calls, in order, until one fails. The count is of those
    /// that left; errors are those of [`send_message`](Self::send_message).
    pub fn send_batch(&self, batch: &[Datagram<'_>]) -> Progress {
        self.core().control.send_batch(batch.iter().copied())
    }

    /// The same for datagrams that are made one by one.
    pub fn send_batch_from<'a>(&self, batch: impl IntoIterator<Item = Datagram<'a>>) -> Progress {
        self.core().control.send_batch(batch)
    }

    /// Takes the oldest message that no handler took into `buf`; gives its size and its sender.
    /// Waits for up to `timeout`: `None` without limit, zero not at all.
    ///
    /// # Errors
    ///
    /// [`Timeout`](TransportError::Timeout), [`WouldBlock`](TransportError::WouldBlock),
    /// [`BufferTooSmall`](TransportError::BufferTooSmall) (the message is kept),
    /// [`Shutdown`](TransportError::Shutdown).
    pub fn recv(&self, buf: &mut [u8], timeout: Option<Duration>) -> Result<(usize, String)> {
        self.recv_with(timeout, |data, sender| {
            let size = buf.len();
            let target = buf
                .get_mut(..data.len())
                .ok_or(TransportError::BufferTooSmall {
                    buffer: "buf",
                    size,
                    needed: data.len(),
                })?;
            target.copy_from_slice(data);
            Ok((data.len(), sender.as_str().to_owned()))
        })
    }

    /// The same, lending the message to `take`, and keeping it when that fails. `take` runs under
    /// the lock of the queue: it copies, and does not call the transport.
    pub fn recv_with<T>(
        &self,
        timeout: Option<Duration>,
        take: impl FnOnce(&[u8], &Sender<'_>) -> Result<T>,
    ) -> Result<T> {
        let core = self.core();
        let received = core
            .inbox
            .receive(Deadline::after(timeout), |data, name, from| {
                take(data, &Sender::new(name, from, self))
            });
        core.context
            .count(received.map_err(|error| self.no_message(timeout, error)))
    }

    /// Takes up to `most` messages out of the queue under one lock, lending each to `take`; gives their
    /// number. Waits for the first one only, as [`recv`](Self::recv) does. A message for which `take`
    /// fails is kept and ends the batch; the error is returned if it is the first. `take` runs under the
    /// lock of the queue: it copies, and does not call the transport.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), and [`OutOfRange`](TransportError::OutOfRange) when `most` is 0.
    pub fn recv_batch_with(
        &self,
        most: usize,
        timeout: Option<Duration>,
        mut take: impl FnMut(&[u8], &Sender<'_>) -> Result<()>,
    ) -> Result<usize> {
        let core = self.core();
        if most == 0 {
            return core.context.count(Err(TransportError::OutOfRange {
                what: "the number of messages of a batch",
                value: "0".to_owned(),
                allowed: "ask for at least one".to_owned(),
            }));
        }
        let deadline = Deadline::after(timeout);
        let received = core
            .inbox
            .receive_batch(deadline, most, |data, name, from| {
                take(data, &Sender::new(name, from, self))
            });
        core.context
            .count(received.map_err(|error| self.no_message(timeout, error)))
    }

    fn no_message(&self, timeout: Option<Duration>, error: TransportError) -> TransportError {
        let port = self.control_port();
        let nothing = || format!("no message came to control port {port}");
        waited(nothing, timeout, error)
    }

    /// A descriptor for poll(2) that is readable exactly while [`recv`](Self::recv) or
    /// [`accept`](Self::accept) would not wait. Never read, write or close it. It becomes readable
    /// when the transport closes, and stays so.
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        let event = self.core().inbox.event();
        let event =
            event.map_err(|error| TransportError::from_os("cannot create an eventfd", error));
        self.core().context.count(event)
    }

    /// Opens a data stream to a peer's data port, within the configured connect timeout.
    ///
    /// # Errors
    ///
    /// Those of [`open_data_stream_timeout`](Self::open_data_stream_timeout).
    pub fn open_data_stream(&self, peer: &str) -> Result<DataStream> {
        let timeout = self.connect_timeout();
        self.open_data_stream_timeout(peer, Some(timeout))
    }

    /// The same within `timeout`; `None`: for as long as the kernel tries.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`](TransportError::InvalidAddress),
    /// [`InterfaceNotFound`](TransportError::InterfaceNotFound) (of the address),
    /// [`LinkDown`](TransportError::LinkDown),
    /// [`ConnectionFailed`](TransportError::ConnectionFailed) (refused, unreachable),
    /// [`Timeout`](TransportError::Timeout),
    /// [`TooManyStreams`](TransportError::TooManyStreams),
    /// [`TooManyFiles`](TransportError::TooManyFiles), [`Shutdown`](TransportError::Shutdown).
    pub fn open_data_stream_timeout(
        &self,
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<DataStream> {
        DataStream::open(self.core(), peer, timeout)
    }

    /// Takes the oldest stream that a peer opened and no handler took. Waits for up to `timeout`:
    /// `None` without limit, zero not at all.
    ///
    /// # Errors
    ///
    /// [`Timeout`](TransportError::Timeout), [`WouldBlock`](TransportError::WouldBlock),
    /// [`Shutdown`](TransportError::Shutdown).
    pub fn accept(&self, timeout: Option<Duration>) -> Result<DataStream> {
        let core = self.core();
        let accepted = core.inbox.accept(Deadline::after(timeout));
        let port = self.data_port();
        let nothing = || format!("no stream was opened to data port {port}");
        let accepted = accepted.map_err(|error| waited(nothing, timeout, error));
        Ok(DataStream::new(core, core.context.count(accepted)?))
    }

    /// Waits until the link is up (`true`) or down (`false`), for up to `timeout`: `None` without
    /// limit, zero not at all. Returns at once if it is so already.
    ///
    /// A link that changes and changes back meanwhile ends the wait too, so a short outage is not
    /// missed. The state may have changed again when it returns.
    ///
    /// # Errors
    ///
    /// [`Timeout`](TransportError::Timeout), [`WouldBlock`](TransportError::WouldBlock),
    /// [`Shutdown`](TransportError::Shutdown).
    pub fn wait_link(&self, up: bool, timeout: Option<Duration>) -> Result<()> {
        let waited = LinkWait::new(&self.core().context.link, up).run(timeout);
        self.core().context.count(waited)
    }

    /// Measures one round trip, in seconds; `None` when no answer came in time.
    ///
    /// # Errors
    ///
    /// Those of [`round_trip`](Self::round_trip) without the timeout.
    pub fn measure_rtt(&self, peer: &str, timeout: Duration) -> Result<Option<f64>> {
        match self.round_trip(peer, Some(timeout)) {
            Ok(time) => Ok(Some(time.as_secs_f64())),
            Err(TransportError::Timeout | TransportError::WouldBlock) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Measures one round trip on a monotonic clock. Waits for up to `timeout`, `None` without
    /// limit. Any number of threads may measure at once.
    ///
    /// # Errors
    ///
    /// [`ConnectionFailed`](TransportError::ConnectionFailed) when the ping did not reach the peer: its
    /// [`errno`](TransportError::errno) is `ECONNREFUSED` at once when no program listens on that port there, and `EHOSTUNREACH`
    /// when no host has the address, which the kernel takes about three seconds to find out.
    /// [`Timeout`](TransportError::Timeout), [`WouldBlock`](TransportError::WouldBlock),
    /// [`InvalidAddress`](TransportError::InvalidAddress),
    /// [`InterfaceNotFound`](TransportError::InterfaceNotFound) (of the address),
    /// [`LinkDown`](TransportError::LinkDown), [`Shutdown`](TransportError::Shutdown).
    pub fn round_trip(&self, peer: &str, timeout: Option<Duration>) -> Result<Duration> {
        self.core().round_trips.round_trip(peer, timeout)
    }

    /// Measures a series of round trips. No answer at all is not an error here, unless the reason is known:
    /// the series then ends at once. When some were answered, one that did not reach the peer counts as lost.
    ///
    /// # Errors
    ///
    /// Those of [`round_trip`](Self::round_trip) without the timeouts, and
    /// [`OutOfRange`](TransportError::OutOfRange) for a count of zero.
    pub fn ping(&self, peer: &str, options: &PingOptions) -> Result<RttSummary> {
        self.core().round_trips.ping(peer, options)?.answered()
    }

    /// The same, with the figures of a series that has no answer for a reason that is known.
    #[doc(hidden)]
    pub fn ping_counting(
        &self,
        peer: &str,
        options: &PingOptions,
    ) -> Result<(RttSummary, Option<TransportError>)> {
        let pinged = self.core().round_trips.ping(peer, options)?;
        Ok((pinged.summary, pinged.error))
    }

    /// Lists the other hosts on the link that answer a ping to all of them, sorted by address. Waits
    /// the whole time; `None`: until the transport closes. An interface without multicast (`lo`)
    /// has no peers.
    ///
    /// The first [`MAX_DISCOVERED_PEERS`](crate::MAX_DISCOVERED_PEERS) that answer are listed. Answers
    /// of others are counted in [`discovery_dropped`](Stats::discovery_dropped) and logged: a host
    /// on the link forges addresses.
    ///
    /// # Errors
    ///
    /// [`LinkDown`](TransportError::LinkDown), [`Shutdown`](TransportError::Shutdown),
    /// [`TooManyFiles`](TransportError::TooManyFiles); [`OutOfRange`](TransportError::OutOfRange) if our
    /// own control port is any free one, which no other host has.
    pub fn discover(&self, wait: Option<Duration>) -> Result<Vec<DiscoveredPeer>> {
        let port = self
            .core()
            .context
            .count(self.core().round_trips.discovery_port())?;
        self.core().round_trips.discover(port, usize::MAX, wait)
    }

    /// The same for hosts whose control port is `port` and not our own, which may then be any free
    /// one. Their addresses come with the port.
    ///
    /// # Errors
    ///
    /// Those of [`discover`](Self::discover), and [`OutOfRange`](TransportError::OutOfRange) for
    /// port 0.
    pub fn discover_port(&self, port: u16, wait: Option<Duration>) -> Result<Vec<DiscoveredPeer>> {
        check_port(port)?;
        self.core().round_trips.discover(port, usize::MAX, wait)
    }

    /// The same, but returns as soon as `most` hosts have answered, and lists no more than that. On a
    /// cable there is one, so `discover_first(1, wait)` takes one round trip. Fewer when the time is up.
    ///
    /// # Errors
    ///
    /// Those of [`discover`](Self::discover), and [`OutOfRange`](TransportError::OutOfRange) when
    /// `most` is 0.
    pub fn discover_first(
        &self,
        most: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let port = self
            .core()
            .context
            .count(self.core().round_trips.discovery_port())?;
        self.core().round_trips.discover(port, most, wait)
    }

    /// Reads a peer string: the address and the control port that it means, with our interface's
    /// index as the scope (0 while the interface is absent). Strings that mean the same give the
    /// same.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`](TransportError::InvalidAddress),
    /// [`InterfaceNotFound`](TransportError::InterfaceNotFound).
    pub fn resolve(&self, peer: &str) -> Result<SocketAddrV6> {
        self.core()
            .context
            .resolve(peer, self.core().context.own_control_port())
    }

    /// The address that a peer string means, whatever its port.
    fn address_of(&self, peer: &str) -> Result<Ipv6Addr> {
        let own_port = self.core().context.own_control_port().ignored();
        Ok(*self.core().context.resolve(peer, own_port)?.ip())
    }

    /// When anything came from this peer last: a message, a ping, a pong, or bytes of a stream.
    /// `None`: never, or [`remember_peers`](crate::ThunderboltTransportBuilder::remember_peers) is
    /// off and there is no peer handler. Its port does not matter.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn last_heard(&self, peer: &str) -> Result<Option<Instant>> {
        Ok(self.core().context.last_seen.last(&self.address_of(peer)?))
    }

    /// Forgets when this peer was last heard from. The peer handler is not called for that, but for the peer's
    /// next appearance.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn forget(&self, peer: &str) -> Result<()> {
        self.core()
            .context
            .last_seen
            .forget(&self.address_of(peer)?);
        Ok(())
    }

    /// The statistics since the start or the last reset.
    pub fn get_stats(&self) -> Stats {
        self.core().baseline.since(self.core().totals())
    }

    /// Sets all counts to zero. States (open streams, the last round trip, buffer sizes) stay.
    pub fn reset_stats(&self) {
        self.core().baseline.set(self.core().totals());
    }

    /// The name of the interface.
    pub fn interface(&self) -> String {
        self.core().context.link.name()
    }

    /// The UDP port of control messages. If 0 was configured, it is the one that was chosen.
    pub fn control_port(&self) -> u16 {
        self.core().context.control_port()
    }

    /// The TCP port of data streams. If 0 was configured, it is the one that was chosen.
    pub fn data_port(&self) -> u16 {
        self.core().context.data_port()
    }

    /// Counts and logs messages that a handler could not keep, like messages for which the queue of
    /// [`recv`](Self::recv) has no room.
    pub fn count_dropped(&self, reason: DropReason<'_>, messages: u64) {
        count_dropped(self.core(), reason, messages);
    }

    /// Starts a thread that is like the transport's own ones: asynchronous signals are blocked on
    /// it, and it has the default floating-point environment. [`close`](Self::close) waits for its
    /// end, so `body` must end when calls on the transport or on its streams fail with
    /// [`Shutdown`](TransportError::Shutdown). While it has a reference to the transport, the transport stays
    /// open; with a [`WeakTransport`](crate::WeakTransport) it sees the end of the others. `name` has 1 to 15 bytes.
    ///
    /// # Errors
    ///
    /// [`Thread`](TransportError::Thread), [`Shutdown`](TransportError::Shutdown),
    /// [`OutOfRange`](TransportError::OutOfRange) for a name that no thread can have.
    pub fn spawn<F>(&self, name: &'static str, body: F) -> Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        if !(1..=15).contains(&name.len()) || name.contains('\0') {
            return Err(TransportError::OutOfRange {
                what: "the name of a thread",
                value: format!("{name:?}"),
                allowed: "it has 1 to 15 bytes, none of them NUL".to_owned(),
            });
        }
        self.core().spawn(name, |_| body())
    }

    /// Whether to answer this peer, for programs that answer any sender. An answer to a new address takes a place
    /// in the kernel's neighbour table, and a stranger can forge any number of addresses. So this applies the limit
    /// of the transport's own answers to pings: addresses that were answered within the last minute are always
    /// allowed, others 256 at once and then 4 a second. Pings and this call share the limit.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`](TransportError::InvalidAddress).
    pub fn may_answer(&self, peer: &str) -> Result<bool> {
        let to = self.address_of(peer)?;
        let admitted = &mut Admitted::default();
        Ok(self
            .core()
            .reader
            .dispatch
            .admission
            .admit(&to, Instant::now(), admitted))
    }

    /// Writes a record of the caller's own through the logger, when its level is wanted.
    pub fn log(&self, level: LogLevel, message: fmt::Arguments<'_>) {
        if self.core().context.log.wants(level) {
            self.core().context.log.write(level, message);
        }
    }
}

/// The error of a wait that timed out, with what was waited for.
fn waited(
    nothing: impl FnOnce() -> String,
    timeout: Option<Duration>,
    error: TransportError,
) -> TransportError {
    match error {
        TransportError::WouldBlock if timeout.is_none_or(|time| time.is_zero()) => error,
        TransportError::WouldBlock => expired(nothing(), timeout, ""),
        other => other,
    }
}

impl fmt::Debug for ThunderboltTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThunderboltTransport")
            .field("interface", &self.interface())
            .field("control_port", &self.control_port())
            .field("data_port", &self.data_port())
            .field("running", &self.is_running())
            .finish()
    }
}
