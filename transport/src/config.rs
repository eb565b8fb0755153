//! The builder.

use std::sync::Arc;
use std::time::Duration;

use crate::core::ThunderboltTransport;
use crate::data_stream::DataStream;
use crate::error::Result;
use crate::handlers::{
    ClosedHandler, LinkEvent, LinkHandler, MessageHandler, PeerEvent, PeerHandler, Sender,
    StreamHandler,
};
use crate::log::{LogHandler, LogLevel};
use crate::message::{combined, MessageData, MessageType};
use crate::settings::{limit_user_timeout, Settings, ThunderboltConfig};
use crate::start;
use crate::weak::WeakTransport;

/// Settings and handlers of a transport to be started.
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
    /// A builder with the default of every setting, and no handlers.
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

    /// Sets all fields of [`ThunderboltConfig`].
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

    /// Also accepts traffic from sources that are neither link-local nor loopback. Off by default: a
    /// cable between two machines has no other sources, but a bridge may forward some.
    pub fn allow_any_source(mut self, on: bool) -> Self {
        self.settings.allow_any_source = on;
        self
    }

    /// Lets log records name the setting that would change what they report, by its name in the C
    /// interface. On by default. Turn it off in a program whose users cannot change the settings.
    pub fn name_settings(mut self, on: bool) -> Self {
        self.settings.name_settings = on;
        self
    }

    /// Starts the transport even if the interface does not exist yet. The link comes up when the
    /// interface appears. Off by default: `build` then fails without the interface.
    pub fn wait_for_interface(mut self, on: bool) -> Self {
        self.settings.wait_for_interface = on;
        self
    }

    /// Records when each peer was last heard, for
    /// [`last_heard`](ThunderboltTransport::last_heard). Off by default, because it costs some
    /// nanoseconds for each message. A peer handler ([`on_peer`](Self::on_peer)) turns it on while it
    /// is set.
    pub fn remember_peers(mut self, on: bool) -> Self {
        self.settings.remember_peers = on;
        self
    }

    /// The silence after which [`on_peer`](Self::on_peer) reports that a peer has vanished, 5 s by
    /// default. Zero disables this limit: peers vanish only when the link goes down, and each of up to
    /// 1,024 present peers keeps its place until the application
    /// [forgets](ThunderboltTransport::forget) it.
    pub fn peer_timeout(mut self, time: Duration) -> Self {
        self.settings.peer_timeout = time;
        self
    }

    /// How long a waiting thread polls before it sleeps, 50 µs by default; zero disables polling.
    /// Round trips poll always. The receiver polls only while the time between messages is shorter
    /// than this. A read from a stream polls only while small requests and replies alternate.
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.settings.busy_poll = time;
        self
    }

    /// Messages that are queued for [`recv`](ThunderboltTransport::recv) while there is no message
    /// handler, 1024 by default. When the queue is full, new messages are dropped and counted.
    pub fn receive_queue(mut self, messages: usize) -> Self {
        self.settings.receive_queue = messages;
        self
    }

    /// Total bytes of the queued messages, 64 MiB by default. A message that would exceed the limit
    /// is dropped and counted.
    pub fn receive_queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.receive_queue_bytes = bytes;
        self
    }

    /// Data streams that may be open at the same time, 1024 by default. Streams that peers opened and
    /// streams that this side opened count together.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.settings.max_streams = streams;
        self
    }

    /// Streams that peers opened and on which neither side has sent data yet (silent streams), 1000
    /// by default; 0 sets no limit. When the limit is reached and a new stream arrives, the oldest
    /// silent stream is reset if it is older than [`silent_after`](Self::silent_after). Otherwise the
    /// new stream is reset.
    pub fn max_silent_streams(mut self, streams: u32) -> Self {
        self.settings.max_silent_streams = streams;
        self
    }

    /// The age from which a silent stream may be reset to make room for a new one, 10 s by default.
    /// It matters only when there are [`max_silent_streams`](Self::max_silent_streams): below that
    /// limit no stream is reset for its silence.
    pub fn silent_after(mut self, time: Duration) -> Self {
        self.settings.silent_after = time;
        self
    }

    /// The time limit for opening a stream, 10 s by default.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.settings.connect_timeout = time;
        self
    }

    /// How long sent data or keepalives may stay unacknowledged before the stream breaks, 10 s by
    /// default (TCP_USER_TIMEOUT, tcp(7)). Zero selects the system's default. A value above 24 days
    /// means 24 days. A peer that does not read is not dead while its kernel answers window probes.
    pub fn stream_dead_after(mut self, time: Duration) -> Self {
        self.settings.stream_dead_after = limit_user_timeout(time);
        self
    }

    /// The lowest level that is logged, [`LogLevel::Info`] by default. Records below it are not
    /// formatted.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.settings.log_level = level;
        self
    }

    /// A weak reference to the transport that [`build`](Self::build) will start, for handlers to
    /// capture. Before that it cannot be upgraded.
    ///
    /// A handler that captures a strong reference (an `Arc` or an `AsyncTransport`) keeps its
    /// transport and the ports open until [`close`](ThunderboltTransport::close) is called.
    pub fn weak(&self) -> WeakTransport {
        self.weak.clone()
    }

    /// Sets one handler for messages and streams, which owns what it receives. It replaces the
    /// handlers of [`on_message`](Self::on_message) and [`on_stream`](Self::on_stream).
    ///
    /// Control messages are delivered on the receiver thread, one call after another. Each stream is
    /// delivered on a thread of its own. To use its transport, the handler captures a
    /// [`weak`](Self::weak) reference. To answer messages, use [`on_message`](Self::on_message).
    pub fn message_handler<F>(mut self, handler: F) -> Self
    where
        F: Fn(MessageType, MessageData) + Send + Sync + 'static,
    {
        let (messages, streams) = combined(handler);
        self.on_message = Some(messages);
        self.on_stream = Some(streams);
        self
    }

    /// Sets the handler of control messages. It is called with each message, borrowed and not copied,
    /// and its sender. It runs on the receiver thread. Calls never overlap, and messages of one peer
    /// keep the order in which they arrived.
    ///
    /// [`Sender::reply`] answers the message, and [`Sender::transport`] lends the transport. Do not
    /// capture a strong reference to the transport: it would keep the transport open.
    pub fn on_message<F>(mut self, handler: F) -> Self
    where
        F: Fn(&[u8], &Sender<'_>) + Send + Sync + 'static,
    {
        self.on_message = Some(Box::new(handler));
        self
    }

    /// Sets the handler of data streams. It is called with each stream that a peer opens, on a thread
    /// of its own.
    ///
    /// [`DataStream::transport`] lends the transport. Do not capture a strong reference to the
    /// transport: it would keep the transport open.
    pub fn on_stream<F>(mut self, handler: F) -> Self
    where
        F: Fn(DataStream) + Send + Sync + 'static,
    {
        self.on_stream = Some(Box::new(handler));
        self
    }

    /// Sets the logger. It is called with each log record, on the thread that writes the record, with
    /// no lock held. Calls may overlap.
    ///
    /// To use its transport, it captures a [`weak`](Self::weak) reference. A strong one would keep the
    /// transport open.
    pub fn logger<F>(mut self, logger: F) -> Self
    where
        F: Fn(LogLevel, &str) + Send + Sync + 'static,
    {
        self.on_log = Some(Box::new(logger));
        self
    }

    /// Sets the link handler. It is called when the link comes up and when it goes down. An outage
    /// that begins and ends between two checks of the interface, and that no call noticed, is not
    /// reported. A replug is always reported.
    ///
    /// [`LinkEvent::transport`] lends the transport. Do not capture a strong reference to the
    /// transport: it would keep the transport open.
    ///
    /// The order of a change is: first the state changes ([`link_up`](crate::Stats::link_up),
    /// [`wait_link`]), then affected streams and calls end, then the handler is called. It runs on a
    /// thread of its own. Calls never overlap, and keep the order of the changes. While a call runs,
    /// later changes are queued, and no other work waits. From 64 queued changes on, a change and its
    /// reversal are omitted together.
    ///
    /// [`wait_link`]: crate::ThunderboltTransport::wait_link
    pub fn on_link<F>(mut self, handler: F) -> Self
    where
        F: Fn(&LinkEvent<'_>) + Send + Sync + 'static,
    {
        self.on_link = Some(Box::new(handler));
        self
    }

    /// Sets the peer handler. It is called when a peer appears and when it vanishes.
    ///
    /// An absent peer appears when its address sends a message, a ping, a pong, a stream, or bytes on a
    /// stream. A peer vanishes after [`peer_timeout`](Self::peer_timeout) without any traffic from it,
    /// or when the link goes down. A peer that only listens vanishes too. While the link is down, no
    /// peer appears. A peer that the application [forgets](ThunderboltTransport::forget) becomes absent
    /// without a call, and appears again with the next traffic from it. A source address does not prove
    /// the sender's identity: see SECURITY.md.
    ///
    /// [`PeerEvent::transport`] lends the transport. Do not capture a strong reference to the
    /// transport: it would keep the transport open.
    ///
    /// The handler runs on a thread of its own. Calls never overlap, and keep the order of the changes.
    /// The transport does not wait for it. A change that happens during a call, and its reversal, are
    /// omitted together. An appearance is still reported, unless the link went down or the application
    /// forgot the peer before. The order of calls of this handler and of the link handler is undefined.
    ///
    /// Any host on the link can forge sources, so appearances are limited: a burst of 256, then 16 a
    /// second, and 1,024 present peers. Traffic of further sources is counted
    /// ([`peers_not_reported`](crate::Stats::peers_not_reported)). Such a source appears with later
    /// traffic, when there is room; it never displaces a present peer. Another 1,024 places are
    /// reserved for peers that the application asked for
    /// ([`last_heard`](ThunderboltTransport::last_heard)), so these appear during a flood too.
    pub fn on_peer<F>(mut self, handler: F) -> Self
    where
        F: Fn(&PeerEvent<'_>) + Send + Sync + 'static,
    {
        self.on_peer = Some(Box::new(handler));
        self
    }

    /// Sets a handler that is called once, as the last of all handlers, when the transport has closed.
    /// Do not capture a strong reference to the transport: dropping all others would not close it.
    pub fn on_closed<F>(mut self, handler: F) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        self.on_closed = Some(Box::new(handler));
        self
    }

    /// Binds the sockets, starts the threads, and returns the transport. Dropping the last reference
    /// closes it. The call does not wait for the network or for peers.
    ///
    /// # Errors
    ///
    /// [`InterfaceNotFound`](crate::TransportError::InterfaceNotFound),
    /// [`AddressInUse`](crate::TransportError::AddressInUse) (naming the port),
    /// [`PermissionDenied`](crate::TransportError::PermissionDenied) or
    /// [`SocketOption`](crate::TransportError::SocketOption) when the sockets cannot be bound to
    /// the interface, [`LinkDown`](crate::TransportError::LinkDown) when it disappears during the call,
    /// [`Thread`](crate::TransportError::Thread),
    /// [`TooManyFiles`](crate::TransportError::TooManyFiles).
    pub fn build(self) -> Result<Arc<ThunderboltTransport>> {
        start::start(self)
    }
}
