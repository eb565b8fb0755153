//! The transport for tokio tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::rtt::run;
use super::stream::AsyncDataStream;
use crate::config::ThunderboltTransportBuilder;
use crate::control::SEND_PATIENCE;
use crate::core::ThunderboltTransport;
use crate::error::{Result, TransportError};
use crate::handlers::Sender;
use crate::link::LinkWait;
use crate::rtt::{
    check_port, DiscoveredPeer, Discovery, PingOptions, RoundTrip, RttSummary, Series,
};
use crate::sys::poll::Deadline;
use crate::weak::WeakTransport;

/// The interval between attempts to send while the send queue is full. Waiting for the control socket
/// instead would keep it open, and its port bound, when the transport closes or the cable is replugged.
const RETRY: Duration = Duration::from_millis(1);

/// A [`ThunderboltTransport`] for tasks of a tokio runtime: calls that block a thread there are awaited
/// here.
///
/// A clone is another reference to the same transport. Dropping the last reference closes the
/// transport, and blocks until its handlers have returned, as [`ThunderboltTransport::close`] does.
/// [`close`](Self::close) awaits them instead.
///
/// There are no additional threads: tasks wait in tokio's reactor, and for the transport's own threads.
/// Errors, limits, statistics and peer strings are those of [`ThunderboltTransport`]. Both kinds of
/// calls may be mixed: [`transport`](Self::transport) returns the other type. The runtime needs IO and
/// time (`enable_all`); without them, calls panic.
///
/// **Cancellation.** Dropping the future of a call loses no message and no stream: the poll that takes
/// one from its queue also returns it to the caller. So each call works in `select!` and in
/// [`tokio::time::timeout`]. For that reason most calls here have no timeout argument.
///
/// **Closing.** When the transport closes, all waiting tasks get
/// [`Shutdown`](TransportError::Shutdown). When the link goes down, tasks that measure or connect get
/// [`LinkDown`](TransportError::LinkDown).
#[derive(Clone)]
pub struct AsyncTransport {
    transport: Arc<ThunderboltTransport>,
}

impl AsyncTransport {
    /// The transport, for calls that do not block: statistics, handlers, peer strings. Calls that block
    /// would block the runtime's thread. [`set_message_handler`] and the like block while the handler
    /// that they replace runs.
    ///
    /// [`set_message_handler`]: ThunderboltTransport::set_message_handler
    pub fn transport(&self) -> &Arc<ThunderboltTransport> {
        &self.transport
    }

    /// A weak reference, for handlers and tasks to capture. It does not keep the transport open. A task
    /// that holds a clone keeps the transport open until the task ends, or until [`close`](Self::close)
    /// is called.
    pub fn downgrade(&self) -> WeakTransport {
        self.transport.downgrade()
    }

    /// Sends one control message, as [`ThunderboltTransport::send_message`], and returns its size in
    /// bytes. It is sent as a whole or not at all. Waits only while the kernel's send queue is full,
    /// for one second at most.
    ///
    /// If the call is cancelled, the message was not sent.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::send_message`].
    pub async fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        let core = self.transport.core();
        // Sending rarely waits, so a task that only sends would never let other tasks run.
        tokio::task::coop::consume_budget().await;
        let deadline = Deadline::after(Some(SEND_PATIENCE));
        loop {
            match core
                .control
                .send_message_timeout(data, peer, Some(Duration::ZERO))
            {
                Err(TransportError::WouldBlock) if deadline.passed() => {
                    core.context.counters.cold.send_drops.increment();
                    return core.context.count(Err(TransportError::QueueFull {
                        interface: core.context.link.name(),
                        after: SEND_PATIENCE,
                    }));
                }
                Err(TransportError::WouldBlock) => tokio::time::sleep(RETRY).await,
                sent => return sent,
            }
        }
    }

    /// Copies the oldest queued message into `buf`, and returns its size in bytes and its sender.
    /// Messages are queued while there is no message handler. If several tasks wait, one of them gets
    /// the message.
    ///
    /// If the call is cancelled, the message stays in the queue.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`](TransportError::BufferTooSmall) (the message stays in the queue),
    /// [`Shutdown`](TransportError::Shutdown).
    pub async fn recv(&self, buf: &mut [u8]) -> Result<(usize, String)> {
        let inbox = &self.transport.core().inbox;
        inbox
            .until(|| self.transport.recv(buf, Some(Duration::ZERO)))
            .await
    }

    /// Takes up to `most` messages, lends each to `take`, and returns their number, as
    /// [`recv_batch_with`](ThunderboltTransport::recv_batch_with) does. Waits for the first one only.
    ///
    /// If the call is cancelled, all messages stay in the queue.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), and [`OutOfRange`](TransportError::OutOfRange) when `most` is 0.
    pub async fn recv_batch_with(
        &self,
        most: usize,
        mut take: impl FnMut(&[u8], &Sender<'_>) -> Result<()>,
    ) -> Result<usize> {
        let look = || {
            let now = Some(Duration::ZERO);
            self.transport.recv_batch_with(most, now, &mut take)
        };
        self.transport.core().inbox.until(look).await
    }

    /// Takes the oldest queued stream that a peer opened. Streams are queued while there is no stream
    /// handler. If several tasks wait, one of them gets the stream.
    ///
    /// If the call is cancelled, the stream stays in the queue.
    ///
    /// # Errors
    ///
    /// [`Shutdown`](TransportError::Shutdown), and those of [`AsyncDataStream::new`].
    pub async fn accept(&self) -> Result<AsyncDataStream> {
        let inbox = &self.transport.core().inbox;
        let accepted = inbox.until(|| self.transport.accept(Some(Duration::ZERO)));
        AsyncDataStream::new(accepted.await?)
    }

    /// Waits until the link is up (`true`) or down (`false`), as
    /// [`ThunderboltTransport::wait_link`]. Returns at once if the link has that state. Cancelling the
    /// call has no effect on the transport.
    ///
    /// # Errors
    ///
    /// [`Shutdown`](TransportError::Shutdown).
    pub async fn wait_link(&self, up: bool) -> Result<()> {
        let core = self.transport.core();
        core.context
            .count(LinkWait::new(&core.context.link, up).run_async().await)
    }

    /// Opens a data stream to a peer's data port, within the configured connect timeout.
    ///
    /// If the call is cancelled, there is no stream. The peer may have accepted one that ended at once.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::open_data_stream_timeout`].
    pub async fn open_data_stream(&self, peer: &str) -> Result<AsyncDataStream> {
        let timeout = self.transport.connect_timeout();
        self.open_data_stream_timeout(peer, Some(timeout)).await
    }

    /// Opens a data stream as [`open_data_stream`](Self::open_data_stream) does, within `timeout`. `None`
    /// waits until the kernel gives up.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::open_data_stream_timeout`].
    pub async fn open_data_stream_timeout(
        &self,
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<AsyncDataStream> {
        AsyncDataStream::open(self.transport.core(), peer, timeout).await
    }

    /// Measures one round trip in seconds. `None` if no answer arrived in time. The result includes
    /// the time until the runtime runs this task again. If the runtime is busy, call
    /// [`ThunderboltTransport::measure_rtt`] on a thread of its own for a more exact result.
    ///
    /// If this or another measurement is cancelled, late answers to its pings are ignored.
    ///
    /// # Errors
    ///
    /// Those of [`round_trip`](Self::round_trip) without the timeout.
    pub async fn measure_rtt(&self, peer: &str, timeout: Duration) -> Result<Option<f64>> {
        match self.round_trip(peer, Some(timeout)).await {
            Ok(time) => Ok(Some(time.as_secs_f64())),
            Err(TransportError::Timeout | TransportError::WouldBlock) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Measures one round trip on a monotonic clock. Waits for up to `timeout`; `None` sets no limit.
    /// Any number of tasks may measure at the same time, each with a socket of its own.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::round_trip`].
    pub async fn round_trip(&self, peer: &str, timeout: Option<Duration>) -> Result<Duration> {
        let core = self.transport.core();
        core.context
            .count(match RoundTrip::begin(&core.round_trips, peer, timeout) {
                Ok((session, round_trip)) => run(session, round_trip).await,
                Err(error) => Err(error),
            })
    }

    /// Measures a series of round trips. A series without any answer is not an error. Tokio's clock has
    /// a resolution of one millisecond, so shorter intervals are kept on average only.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::ping`].
    pub async fn ping(&self, peer: &str, options: &PingOptions) -> Result<RttSummary> {
        let core = self.transport.core();
        core.context
            .count(match Series::begin(&core.round_trips, peer, options) {
                Ok((session, series)) => match run(session, series).await {
                    Ok(pinged) => pinged.answered(),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            })
    }

    /// Lists the other hosts on the link that answer a multicast ping, sorted by address. Collects
    /// answers for the whole of `wait`; `None` means until the transport closes.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::discover`].
    pub async fn discover(&self, wait: Option<Duration>) -> Result<Vec<DiscoveredPeer>> {
        let core = self.transport.core();
        let port = core.context.count(core.round_trips.discovery_port())?;
        self.discover_at(port, usize::MAX, wait).await
    }

    /// Lists hosts as [`discover`](Self::discover) does, but those whose control port is `port`.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::discover_port`].
    pub async fn discover_port(
        &self,
        port: u16,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        check_port(port)?;
        self.discover_at(port, usize::MAX, wait).await
    }

    /// Lists hosts as [`discover`](Self::discover) does, but returns as soon as `most` hosts have
    /// answered.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::discover_first`].
    pub async fn discover_first(
        &self,
        most: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let core = self.transport.core();
        let port = core.context.count(core.round_trips.discovery_port())?;
        self.discover_at(port, most, wait).await
    }

    async fn discover_at(
        &self,
        port: u16,
        enough: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let core = self.transport.core();
        core.context.count(
            match Discovery::begin(&core.round_trips, port, enough, wait) {
                Ok((session, discovery)) => run(session, discovery).await,
                Err(error) => Err(error),
            },
        )
    }

    /// Closes the transport, as [`ThunderboltTransport::close`] does, and awaits the running handlers
    /// without blocking the runtime's thread. When it returns, the ports are free and no handler runs.
    ///
    /// After its first poll, the transport closes even if the call is cancelled. From inside a handler
    /// it returns at once, and the transport finishes closing after that handler has returned.
    pub async fn close(&self) {
        self.transport.core().close_async().await;
    }
}

impl WeakTransport {
    /// The same for tasks of a tokio runtime.
    #[cfg(feature = "async")]
    pub fn upgrade_async(&self) -> Option<AsyncTransport> {
        self.upgrade().map(ThunderboltTransport::into_async)
    }
}

impl ThunderboltTransport {
    /// Converts the reference for tasks of a tokio runtime. The transport stays the same.
    pub fn into_async(self: Arc<Self>) -> AsyncTransport {
        AsyncTransport { transport: self }
    }
}

impl ThunderboltTransportBuilder {
    /// Starts a transport for tasks of a tokio runtime. The call is synchronous, and takes one or two
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build).
    pub fn build_async(self) -> Result<AsyncTransport> {
        self.build().map(ThunderboltTransport::into_async)
    }
}

impl From<Arc<ThunderboltTransport>> for AsyncTransport {
    fn from(transport: Arc<ThunderboltTransport>) -> Self {
        transport.into_async()
    }
}

impl From<AsyncTransport> for Arc<ThunderboltTransport> {
    fn from(transport: AsyncTransport) -> Self {
        transport.transport
    }
}

impl fmt::Debug for AsyncTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncTransport")
            .field(&self.transport)
            .finish()
    }
}
