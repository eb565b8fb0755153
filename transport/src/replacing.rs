//! The handlers of a running transport, by the names that its builder has for them.

use crate::handlers::{combined, LinkEvent, LogHandler, PeerEvent, Sender};
use crate::log::LogLevel;
use crate::message::{MessageData, MessageType};
use crate::stream::DataStream;
use crate::transport::ThunderboltTransport;

/// # Handlers of a running transport
///
/// These replace a handler, as the methods of the same name set it when the transport is built. When
/// one has returned, the handler before runs nowhere and never will again; it waits for the calls that are
/// under way, so do not hold a lock that they take. Called from inside the handler that it replaces, it
/// returns at once, and the running call is the last. On a transport that was closed nothing calls a
/// handler any more, and the new one is dropped. [`set_message_handler`](Self::set_message_handler) and its
/// kin tell that, and remove handlers.
///
/// A handler must not capture a reference to its transport: see
/// [`WeakTransport`](crate::WeakTransport).
impl ThunderboltTransport {
    /// Replaces the handlers of messages and of streams by one for both, as
    /// [`message_handler`](crate::ThunderboltTransportBuilder::message_handler) of the builder. What waits
    /// in the queues goes to it first.
    ///
    /// ```
    /// use thunderbolt_transport::{MessageData, ThunderboltTransportBuilder};
    ///
    /// let transport = ThunderboltTransportBuilder::new()
    ///     .interface("lo")
    ///     .control_port(0)
    ///     .data_port(0)
    ///     .build()?;
    /// transport.message_handler(|kind, data| {
    ///     if let MessageData::Bytes(bytes) = data {
    ///         println!("{kind:?}: {} bytes", bytes.len());
    ///     }
    /// });
    /// # Ok::<(), thunderbolt_transport::TransportError>(())
    /// ```
    pub fn message_handler<F>(&self, handler: F)
    where
        F: Fn(MessageType, MessageData) + Send + Sync + 'static,
    {
        let (messages, streams) = combined(handler);
        self.replace_both(messages, streams);
    }

    /// Replaces the handler of control messages, as
    /// [`on_message`](crate::ThunderboltTransportBuilder::on_message) of the builder sets it. What waits in
    /// the queue goes to it first.
    pub fn on_message<F>(&self, handler: F)
    where
        F: Fn(&[u8], &Sender<'_>) + Send + Sync + 'static,
    {
        // It fails when the transport was closed: see above. The same below.
        let _ = self.set_message_handler(Some(Box::new(handler)));
    }

    /// Replaces the handler of data streams, as
    /// [`on_stream`](crate::ThunderboltTransportBuilder::on_stream) of the builder sets it. What waits in
    /// the queue goes to it first.
    pub fn on_stream<F>(&self, handler: F)
    where
        F: Fn(DataStream) + Send + Sync + 'static,
    {
        let _ = self.set_stream_handler(Some(Box::new(handler)));
    }

    /// Replaces the logger, as [`logger`](crate::ThunderboltTransportBuilder::logger) of the builder sets
    /// it.
    pub fn logger<F>(&self, logger: F)
    where
        F: Fn(LogLevel, &str) + Send + Sync + 'static,
    {
        let logger: LogHandler = Box::new(logger);
        let _ = self.set_logger(Some(logger));
    }

    /// Replaces the handler of link changes, as
    /// [`on_link`](crate::ThunderboltTransportBuilder::on_link) of the builder sets it. It is told changes
    /// from now on; the present state is [`link_up`](crate::Stats::link_up).
    pub fn on_link<F>(&self, handler: F)
    where
        F: Fn(&LinkEvent<'_>) + Send + Sync + 'static,
    {
        let _ = self.set_link_handler(Some(Box::new(handler)));
    }

    /// Replaces the handler of peers, as
    /// [`on_peer`](crate::ThunderboltTransportBuilder::on_peer) of the builder sets it. In the place of
    /// another it is told changes from now on; if there was none, every peer appears when it is heard from.
    pub fn on_peer<F>(&self, handler: F)
    where
        F: Fn(&PeerEvent<'_>) + Send + Sync + 'static,
    {
        let _ = self.set_peer_handler(Some(Box::new(handler)));
    }
}
