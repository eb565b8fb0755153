//! The transport as tokio's tasks use it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::rtt::run;
use super::stream::AsyncDataStream;
use crate::config::ThunderboltTransportBuilder;
use crate::control::send::PATIENCE;
use crate::error::{Result, TransportError};
use crate::handlers::Sender;
use crate::link::LinkWait;
use crate::rtt::{
    check_port, DiscoveredPeer, Discovery, PingOptions, RoundTrip, RttSummary, Series,
};
use crate::sys::poll::Deadline;
use crate::transport::ThunderboltTransport;
use crate::weak::WeakTransport;

/// How long a task leaves a full send queue alone. A task has no descriptor to wait for that would not hold
/// the control socket, and with it the port, when the transport closes or the cable is replugged.
const PAUSE: Duration = Duration::from_millis(1);

/// A [`ThunderboltTransport`] for tasks of a tokio runtime: what waits there is awaited here. A
/// clone is another reference to the same transport; dropping the last reference closes it, and waits for its
/// handlers as [`ThunderboltTransport::close`] does; [`close`](Self::close) awaits them.
///
/// It is the same transport, with the same threads and no more: tasks wait in tokio's reactor, and for what
/// the transport's own threads leave for them. Errors, limits, statistics and peer strings are the
/// same, and both kinds of calls may be mixed: [`transport`](Self::transport) has the others. The
/// runtime needs IO and time (`enable_all`); calls panic without.
///
/// **Cancelling** a call, by dropping its future at any await, loses nothing: a message or a stream
/// is taken from its queue in the poll that gives it to the caller, and what was not taken is there
/// for the next call. So every call can stand in `select!` and in [`tokio::time::timeout`], which is
/// why there is no time limit where the synchronous call has one for nothing else.
///
/// **Closing** the transport wakes all tasks with [`Shutdown`](TransportError::Shutdown); a link
/// that goes down, those that measure or connect, with [`LinkDown`](TransportError::LinkDown).
#[derive(Clone)]
pub struct AsyncTransport {
    transport: Arc<ThunderboltTransport>,
}

impl AsyncTransport {
    /// The transport for all calls that do not wait: statistics, handlers, peer strings. Those of its
    /// calls that wait would hold up the runtime's thread. [`set_message_handler`] and the like wait
    /// while the handler runs that they replace.
    ///
    /// [`set_message_handler`]: ThunderboltTransport::set_message_handler
    pub fn transport(&self) -> &Arc<ThunderboltTransport> {
        &self.transport
    }

    /// A reference that does not keep the transport open, for handlers and tasks to capture. A task that
    /// holds a clone keeps it open until it ends, or somebody calls [`close`](Self::close).
    pub fn downgrade(&self) -> WeakTransport {
        self.transport.downgrade()
    }

    /// Sends one control message, as [`ThunderboltTransport::send_message`]: whole or not at all.
    /// Waits only while the kernel's send queue is full, for a second at most.
    ///
    /// Cancelled, it has sent nothing.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::send_message`].
    pub async fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        let core = self.transport.core();
        // Sending is done at once, mostly. Other tasks are to run all the same.
        tokio::task::coop::consume_budget().await;
        let deadline = Deadline::after(Some(PATIENCE));
        loop {
            match core.send_message_timeout(data, peer, Some(Duration::ZERO)) {
                Err(TransportError::WouldBlock) if deadline.passed() => {
                    core.counters.cold.send_drops.increment();
                    return core.count(Err(TransportError::QueueFull {
                        interface: core.link.name(),
                        after: PATIENCE,
                    }));
                }
                Err(TransportError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                sent => return sent,
            }
        }
    }

    /// Takes the oldest message that no handler took into `buf`; gives its size and its sender.
    ///
    /// Cancelled, it has taken no message. Of several tasks that wait one gets it.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`](TransportError::BufferTooSmall) (the message is kept),
    /// [`Shutdown`](TransportError::Shutdown).
    pub async fn recv(&self, buf: &mut [u8]) -> Result<(usize, String)> {
        let inbox = &self.transport.core().inbox;
        inbox
            .until(|| self.transport.recv(buf, Some(Duration::ZERO)))
            .await
    }

    /// Takes up to `most` messages, lending each to `take`, as
    /// [`recv_batch_with`](ThunderboltTransport::recv_batch_with) does; waits for the first one only.
    ///
    /// Cancelled, it has taken no message.
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

    /// Takes the oldest stream that a peer opened and no handler took.
    ///
    /// Cancelled, it has taken no stream. Of several tasks that wait one gets it.
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
    /// [`ThunderboltTransport::wait_link`]; at once if it is so already.
    ///
    /// Cancelled, it has changed nothing.
    ///
    /// # Errors
    ///
    /// [`Shutdown`](TransportError::Shutdown).
    pub async fn wait_link(&self, up: bool) -> Result<()> {
        let core = self.transport.core();
        core.count(LinkWait::new(&core.link, up).run_async().await)
    }

    /// Opens a data stream to a peer's data port, within the configured connect timeout.
    ///
    /// Cancelled, there is no stream; the peer may have seen one that ended at once.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::open_data_stream_timeout`].
    pub async fn open_data_stream(&self, peer: &str) -> Result<AsyncDataStream> {
        let timeout = self.transport.connect_timeout();
        self.open_data_stream_timeout(peer, Some(timeout)).await
    }

    /// The same within `timeout`; `None`: for as long as the kernel tries.
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

    /// Measures one round trip, in seconds; `None` when no answer came in time. The time until the
    /// runtime runs this task again is part of it: on a busy runtime
    /// [`ThunderboltTransport::measure_rtt`] on a thread of its own measures the cable better.
    ///
    /// Cancelled, the answer is ignored. The same holds for the other measurements.
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

    /// Measures one round trip on a monotonic clock. Waits for up to `timeout`, `None` without
    /// limit. Any number of tasks may measure at once, each with a socket of its own.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::round_trip`].
    pub async fn round_trip(&self, peer: &str, timeout: Option<Duration>) -> Result<Duration> {
        let core = self.transport.core();
        core.count(match RoundTrip::begin(core, peer, timeout) {
            Ok((session, round_trip)) => run(session, round_trip).await,
            Err(error) => Err(error),
        })
    }

    /// Measures a series of round trips. No answer at all is not an error here. An interval below
    /// the millisecond of tokio's clock is kept as well as that can.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::ping`].
    pub async fn ping(&self, peer: &str, options: &PingOptions) -> Result<RttSummary> {
        let core = self.transport.core();
        core.count(match Series::begin(core, peer, options) {
            Ok((session, series)) => match run(session, series).await {
                Ok(pinged) => pinged.answered(),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        })
    }

    /// Lists the other hosts on the link that answer a ping to everybody, sorted by address. Waits
    /// the whole time; `None`: until the transport closes.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransport::discover`].
    pub async fn discover(&self, wait: Option<Duration>) -> Result<Vec<DiscoveredPeer>> {
        let core = self.transport.core();
        let port = core.count(core.discovery_port())?;
        self.discover_at(port, usize::MAX, wait).await
    }

    /// The same for hosts whose control port is `port` and not our own.
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

    /// The same, but done as soon as `most` hosts have answered.
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
        let port = core.count(core.discovery_port())?;
        self.discover_at(port, most, wait).await
    }

    async fn discover_at(
        &self,
        port: u16,
        enough: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let core = self.transport.core();
        core.count(match Discovery::begin(core, port, enough, wait) {
            Ok((session, discovery)) => run(session, discovery).await,
            Err(error) => Err(error),
        })
    }

    /// Closes the transport, as [`ThunderboltTransport::close`], without holding up the runtime's
    /// thread while handlers end. When it returns, the ports are free and no handler runs.
    ///
    /// The transport closes also when this is cancelled after its first poll. From inside a handler
    /// it returns at once, and the rest happens after that handler has returned.
    pub async fn close(&self) {
        self.transport.core().close_async().await;
    }
}

impl ThunderboltTransport {
    /// The same transport for tasks of a tokio runtime.
    pub fn into_async(self: Arc<Self>) -> AsyncTransport {
        AsyncTransport { transport: self }
    }
}

impl ThunderboltTransportBuilder {
    /// Starts a transport for tasks of a tokio runtime. It takes a millisecond or two, and is not
    /// awaited.
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
