//! The handlers of a running transport: replaced by the names that its builder has for them, or set and removed.

use crate::core::ThunderboltTransport;
use crate::data_stream::DataStream;
use crate::error::Result;
use crate::handlers::{
    LinkEvent, LinkHandler, MessageHandler, PeerEvent, PeerHandler, Sender, StreamHandler,
};
use crate::log::{LogHandler, LogLevel};
use crate::message::{combined, MessageData, MessageType};

/// # Handlers of a running transport
///
/// These replace a handler, as the methods of the same name set it when the transport is built. They wait
/// for the calls that are under way, so do not hold a lock that the handler takes. After they return, the old
/// handler is not called again. Called from inside the handler that it replaces, such a method returns at once,
/// and the running call is the last. A transport that was closed drops the new handler.
/// [`set_message_handler`](Self::set_message_handler) and the like report that, and can remove handlers.
///
/// A handler must not capture a reference to its transport: see
/// [`WeakTransport`](crate::WeakTransport).
impl ThunderboltTransport {
    /// Replaces the handlers of messages and of streams by one for both, as
    /// [`message_handler`](crate::ThunderboltTransportBuilder::message_handler) of the builder. It gets the
    /// contents of the queues first.
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
    /// [`on_message`](crate::ThunderboltTransportBuilder::on_message) of the builder sets it. It gets the
    /// queued messages first.
    pub fn on_message<F>(&self, handler: F)
    where
        F: Fn(&[u8], &Sender<'_>) + Send + Sync + 'static,
    {
        // It fails if the transport was closed: see above. The same applies below.
        let _ = self.set_message_handler(Some(Box::new(handler)));
    }

    /// Replaces the handler of data streams, as
    /// [`on_stream`](crate::ThunderboltTransportBuilder::on_stream) of the builder sets it. It gets the
    /// queued streams first.
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
    /// [`on_link`](crate::ThunderboltTransportBuilder::on_link) of the builder sets it. It is called for
    /// later changes; the present state is [`link_up`](crate::Stats::link_up).
    pub fn on_link<F>(&self, handler: F)
    where
        F: Fn(&LinkEvent<'_>) + Send + Sync + 'static,
    {
        let _ = self.set_link_handler(Some(Box::new(handler)));
    }

    /// Replaces the handler of peers, as
    /// [`on_peer`](crate::ThunderboltTransportBuilder::on_peer) of the builder sets it. If it replaces
    /// another, it is called for later changes. Otherwise every peer appears with its next traffic.
    pub fn on_peer<F>(&self, handler: F)
    where
        F: Fn(&PeerEvent<'_>) + Send + Sync + 'static,
    {
        let _ = self.set_peer_handler(Some(Box::new(handler)));
    }
}

/// # Handlers of a running transport, set or removed
impl ThunderboltTransport {
    /// Replaces the handler of control messages. `None`: they are queued for
    /// [`recv`](Self::recv); a handler that is set gets the queued messages first.
    ///
    /// Returns when the old handler has returned and is not called again; called from inside it,
    /// returns at once. (Two handlers that replace each other do not wait for each other.) Fails
    /// with [`Shutdown`](crate::TransportError::Shutdown) only. All this applies to the other handlers, too.
    pub fn set_message_handler(&self, handler: Option<MessageHandler>) -> Result<()> {
        self.core().handlers.on_message.set(handler)?;
        self.core().control.wake.signal();
        Ok(())
    }

    /// Replaces the handler of data streams. `None`: they are queued for [`accept`](Self::accept).
    pub fn set_stream_handler(&self, handler: Option<StreamHandler>) -> Result<()> {
        self.core().handlers.on_stream.set(handler)?;
        self.core().context.event_loop_wake.signal();
        Ok(())
    }

    /// Sets both at once. They may be one handler. Called from inside it, this does not wait for its calls of the
    /// other kind either.
    fn replace_both(&self, messages: MessageHandler, streams: StreamHandler) {
        let core = self.core();
        // It fails if the transport was closed, which calls no handler.
        let _ = if core.handlers.on_message.is_inside() || core.handlers.on_stream.is_inside() {
            let exchanged = core.handlers.on_message.exchange(Some(messages));
            exchanged.and_then(|()| core.handlers.on_stream.exchange(Some(streams)))
        } else {
            let replaced = core.handlers.on_message.set(Some(messages));
            replaced.and_then(|()| core.handlers.on_stream.set(Some(streams)))
        };
        core.control.wake.signal();
        core.context.event_loop_wake.signal();
    }

    /// Replaces the logger.
    pub fn set_logger(&self, handler: Option<LogHandler>) -> Result<()> {
        self.core().context.log.handler.set(handler)
    }

    /// Replaces the handler of link changes.
    pub fn set_link_handler(&self, handler: Option<LinkHandler>) -> Result<()> {
        self.core().handlers.on_link.set(handler)
    }

    /// Replaces the handler of peers that appear and vanish. If it replaces another, it is called for later
    /// changes. After `None` every peer appears again with its next traffic.
    pub fn set_peer_handler(&self, handler: Option<PeerHandler>) -> Result<()> {
        let set = self.core().handlers.on_peer.set(handler);
        let core = self.core();
        core.context
            .last_seen
            .follow(|| core.handlers.on_peer.is_set());
        set
    }
}
