//! The builder.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::handlers::{
    ClosedHandler, LinkEvent, LinkHandler, MessageHandler, PeerEvent, PeerHandler, Sender,
    StreamHandler,
};
use crate::log::{LogHandler, LogLevel};
use crate::message::{combined, MessageData, MessageType};
use crate::settings::{limit_user_timeout, Settings, ThunderboltConfig};
use crate::stream::DataStream;
use crate::weak::WeakTransport;
use crate::ThunderboltTransport;

/// Collects settings and handlers, then starts a transport.
///
/// ```no_run
/// use thunderbolt_transport::{LogLevel, MessageData, MessageType, ThunderboltTransportBuilder};
///
/// let transport = ThunderboltTransportBuilder::new()
///     .interface("thunderbolt0")
///     .logger(|level, text| eprintln!("{level}: {text}"))
///     .message_handler(|kind, data| match (kind, data) {
///         (MessageType::ControlMessage, MessageData::Bytes(bytes)) => println!("{bytes:?}"),
///         (_, MessageData::Stream(mut stream)) => {
///             std::io::copy(&mut stream, &mut std::io::sink()).ok();
///         }
///         _ => {}
///     })
///     .build()?;
/// # Ok::<(), thunderbolt_transport::TransportError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ThunderboltTransportBuilder {
    pub(crate) settings: Settings,
    pub(crate) on_message: Option<MessageHandler>,
    pub(crate) on_stream: Option<StreamHandler>,
    pub(crate) on_log: Option<LogHandler>,
    pub(crate) on_link: Option<LinkHandler>,
    pub(crate) on_peer: Option<PeerHandler>,
    pub(crate) on_closed: Option<ClosedHandler>,
    pub(crate) weak: WeakTransport,
}

impl Default for ThunderboltTransportBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ThunderboltTransportBuilder {
    /// A builder with every default.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            on_message: None,
            on_stream: None,
            on_log: None,
            on_link: None,
            on_peer: None,
            on_closed: None,
            weak: WeakTransport::default(),
        }
    }

    /// Sets all six of [`ThunderboltConfig`] at once.
    pub fn config(mut self, config: ThunderboltConfig) -> Self {
        self.settings.config = config;
        self
    }

    /// See [`ThunderboltConfig::interface`].
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.settings.config.interface = name.into();
        self
    }

    /// See [`ThunderboltConfig::control_port`].
    pub fn control_port(mut self, port: u16) -> Self {
        self.settings.config.control_port = port;
        self
    }

    /// See [`ThunderboltConfig::data_port`].
    pub fn data_port(mut self, port: u16) -> Self {
        self.settings.config.data_port = port;
        self
    }

    /// See [`ThunderboltConfig::buffer_size`].
    pub fn buffer_size(mut self, bytes: usize) -> Self {
        self.settings.config.buffer_size = bytes;
        self
    }

    /// See [`ThunderboltConfig::tcp_nodelay`].
    pub fn tcp_nodelay(mut self, on: bool) -> Self {
        self.settings.config.tcp_nodelay = on;
        self
    }

    /// See [`ThunderboltConfig::tcp_keepalive`].
    pub fn tcp_keepalive(mut self, on: bool) -> Self {
        self.settings.config.tcp_keepalive = on;
        self
    }

    /// Serve sources that are neither link-local nor loopback too. Off by default: a cable between
    /// two machines has no others, and a bridge may bring in strangers.
    pub fn allow_any_source(mut self, on: bool) -> Self {
        self.settings.allow_any_source = on;
        self
    }

    /// Let log records name the settings that would change what they report, as the C interface calls
    /// them. On by default; off for a program whose users cannot change them.
    pub fn name_settings(mut self, on: bool) -> Self {
        self.settings.name_settings = on;
        self
    }

    /// Start although the interface does not exist yet; the link comes up when it does. Off by
    /// default: a missing interface then fails `build`.
    pub fn wait_for_interface(mut self, on: bool) -> Self {
        self.settings.wait_for_interface = on;
        self
    }

    /// Remember when each peer was last heard from, for
    /// [`last_heard`](ThunderboltTransport::last_heard). Off by default: it costs some nanoseconds for
    /// each message. While there is a peer handler ([`on_peer`](Self::on_peer)), peers are remembered too.
    pub fn remember_peers(mut self, on: bool) -> Self {
        self.settings.remember_peers = on;
        self
    }

    /// A peer of which nothing is heard for this time has vanished, for [`on_peer`](Self::on_peer); 5 s by
    /// default. Zero is no limit: then only the link makes peers vanish, and of 1,024 that were there once
    /// none makes room before it is [forgotten](ThunderboltTransport::forget).
    pub fn peer_timeout(mut self, time: Duration) -> Self {
        self.settings.peer_timeout = time;
        self
    }

    /// How long a waiting receiver or round trip spins before it sleeps, 50 µs by default. The
    /// receiver spins only while messages follow one another faster than this, and a read from a
    /// stream only in a conversation of little pieces.
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.settings.busy_poll = time;
        self
    }

    /// Messages kept for [`recv`](ThunderboltTransport::recv) while there is no message handler,
    /// 1024 by default. When it is full the newest is dropped and counted.
    pub fn receive_queue(mut self, messages: usize) -> Self {
        self.settings.receive_queue = messages;
        self
    }

    /// Bytes that these messages may have together, 64 MiB by default. A message that would exceed
    /// it is dropped and counted.
    pub fn receive_queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.receive_queue_bytes = bytes;
        self
    }

    /// Data streams that may be open at a time, in both directions together, 1024 by default.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.settings.max_streams = streams;
        self
    }

    /// Streams that a peer opened and on which neither side has sent anything yet, 1000 by default;
    /// 0 sets no limit. When there are as many, the oldest of them is reset to make room, if it is
    /// older than [`silent_after`](Self::silent_after); else the newcomer is.
    pub fn max_silent_streams(mut self, streams: u32) -> Self {
        self.settings.max_silent_streams = streams;
        self
    }

    /// How long a stream may stay silent before it gives way to another one when there are
    /// [`max_silent_streams`](Self::max_silent_streams), 10 s by default. With fewer, no stream
    /// is ever ended for its silence.
    pub fn silent_after(mut self, time: Duration) -> Self {
        self.settings.silent_after = time;
        self
    }

    /// How long opening a stream may take, 10 s by default.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.settings.connect_timeout = time;
        self
    }

    /// How long a peer may leave sent data or keepalives unacknowledged before the stream ends, 10 s
    /// by default; zero leaves it to the system (TCP_USER_TIMEOUT, tcp(7)). More than 24 days are 24
    /// days. A peer that does not read for longer, but whose kernel answers the probes of its
    /// window, is not dead.
    pub fn stream_dead_after(mut self, time: Duration) -> Self {
        self.settings.stream_dead_after = limit_user_timeout(time);
        self
    }

    /// The lowest level that is logged, [`LogLevel::Info`] by default. Records below it are not
    /// even formatted.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.settings.log_level = level;
        self
    }

    /// A reference to the transport that [`build`](Self::build) will start, for handlers to capture. It
    /// leads nowhere before.
    ///
    /// A handler that captured a reference proper (an `Arc`, or an `AsyncTransport`) would keep its
    /// transport open for ever, and the ports with it.
    pub fn weak(&self) -> WeakTransport {
        self.weak.clone()
    }

    /// One handler for both kinds of traffic, on copies that it owns. It replaces what
    /// [`on_message`](Self::on_message) and [`on_stream`](Self::on_stream) set.
    ///
    /// Control messages come on the receiver thread, one at a time; each stream comes on a thread
    /// of its own. What it needs of its transport it has by [`weak`](Self::weak); to answer messages there
    /// is [`on_message`](Self::on_message).
    pub fn message_handler<F>(mut self, handler: F) -> Self
    where
        F: Fn(MessageType, MessageData) + Send + Sync + 'static,
    {
        let (messages, streams) = combined(handler);
        self.on_message = Some(messages);
        self.on_stream = Some(streams);
        self
    }

    /// Called with each control message and its sender, on the receiver thread, without a copy.
    /// Messages of one peer come in order; no two calls overlap.
    ///
    /// [`Sender::reply`] answers, and [`Sender::transport`] lends the transport: do not capture a
    /// reference to it, which would keep it open for ever.
    pub fn on_message<F>(mut self, handler: F) -> Self
    where
        F: Fn(&[u8], &Sender<'_>) + Send + Sync + 'static,
    {
        self.on_message = Some(Box::new(handler));
        self
    }

    /// Called with each data stream that a peer opens, on a thread of its own.
    ///
    /// [`DataStream::transport`] lends the transport: do not capture a reference to it, which would keep it
    /// open for ever.
    pub fn on_stream<F>(mut self, handler: F) -> Self
    where
        F: Fn(DataStream) + Send + Sync + 'static,
    {
        self.on_stream = Some(Box::new(handler));
        self
    }

    /// Called with each log record, on whichever thread it arises.
    ///
    /// What it needs of its transport it has by [`weak`](Self::weak): a reference that it captured would
    /// keep the transport open for ever.
    pub fn logger<F>(mut self, logger: F) -> Self
    where
        F: Fn(LogLevel, &str) + Send + Sync + 'static,
    {
        self.on_log = Some(Box::new(logger));
        self
    }

    /// Called when the interface can carry traffic again, and when it cannot any more. An outage that begins
    /// and ends between two looks at the interface, and that no call noticed, is not told; a replug
    /// always is.
    ///
    /// [`LinkEvent::transport`] lends the transport: do not capture a reference to it, which would keep it
    /// open for ever.
    ///
    /// The state ([`link_up`](crate::Stats::link_up), [`wait_link`]) changes first, then streams and
    /// calls end that have to, then this is called: on a thread of its own, never two at once, in
    /// the order of the changes. While it runs the next changes wait for it, and nothing else does;
    /// beyond 64 a change and the one back are left out together.
    ///
    /// [`wait_link`]: crate::ThunderboltTransport::wait_link
    pub fn on_link<F>(mut self, handler: F) -> Self
    where
        F: Fn(&LinkEvent<'_>) + Send + Sync + 'static,
    {
        self.on_link = Some(Box::new(handler));
        self
    }

    /// Called when a peer appears, and when it vanishes.
    ///
    /// A peer appears when anything comes from its address while it is not there: a message, a ping, a pong,
    /// a stream, or bytes of one. It vanishes when nothing has come for
    /// [`peer_timeout`](Self::peer_timeout), or when the link goes down; one that only listens vanishes,
    /// too. While the link is down no peer appears. One that the application
    /// [forgets](ThunderboltTransport::forget) is gone without a call. What is heard after that makes a peer
    /// appear again. An address is no proof of who sends: see SECURITY.md.
    ///
    /// [`PeerEvent::transport`] lends the transport: do not capture a reference to it, which would keep it
    /// open for ever.
    ///
    /// It runs on a thread of its own, never two at once, in the order of the changes; nothing waits for it.
    /// A change that comes while it runs, and the one back, are left out together; but that a peer appeared
    /// is told, unless the link went down or it was forgotten before. In what order it runs
    /// with the link handler is not defined.
    ///
    /// Anybody on the link can make up sources, so no more than 256 peers appear at once, then 16 a second,
    /// and no more than 1,024 are there. What comes from others is counted
    /// ([`peers_not_reported`](crate::Stats::peers_not_reported)); they appear with what they send later,
    /// when there is room. Nobody who is there makes room for them. A peer that the application asked for
    /// ([`last_heard`](ThunderboltTransport::last_heard)) appears in any such flood: there are 1,024 places
    /// more for those.
    pub fn on_peer<F>(mut self, handler: F) -> Self
    where
        F: Fn(&PeerEvent<'_>) + Send + Sync + 'static,
    {
        self.on_peer = Some(Box::new(handler));
        self
    }

    /// The last call of all, when the transport has closed. A reference to the transport that it captured
    /// would keep it from ever closing by itself.
    pub fn on_closed<F>(mut self, handler: F) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        self.on_closed = Some(Box::new(handler));
        self
    }

    /// Binds the sockets and starts the threads. Does not block on the network.
    ///
    /// # Errors
    ///
    /// [`InterfaceNotFound`](crate::TransportError::InterfaceNotFound),
    /// [`AddressInUse`](crate::TransportError::AddressInUse) (naming the port),
    /// [`PermissionDenied`](crate::TransportError::PermissionDenied) or
    /// [`SocketOption`](crate::TransportError::SocketOption) when the sockets cannot be bound to
    /// the interface, [`LinkDown`](crate::TransportError::LinkDown) when it disappears meanwhile,
    /// [`Thread`](crate::TransportError::Thread),
    /// [`TooManyFiles`](crate::TransportError::TooManyFiles).
    pub fn build(self) -> Result<Arc<ThunderboltTransport>> {
        ThunderboltTransport::start(self)
    }
}
