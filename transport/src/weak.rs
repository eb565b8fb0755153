//! A reference to a transport that does not keep it open.

use std::fmt;
use std::sync::Arc;

use crate::core::{ThunderboltTransport, WeakCell};

/// A reference to a transport that does not keep it open, for handlers to capture.
///
/// A transport closes when its last reference is dropped. A handler that captured one of them would be
/// kept by the transport, and the transport by the handler, for ever. So it captures this type, and calls
/// [`upgrade`](Self::upgrade). (Answering a message needs neither: see
/// [`Sender::reply`](crate::Sender::reply) and [`Sender::transport`](crate::Sender::transport).)
///
/// It comes from a transport ([`downgrade`](ThunderboltTransport::downgrade)), or from its builder
/// ([`weak`](crate::ThunderboltTransportBuilder::weak)) before there is one.
///
/// ```
/// use thunderbolt_transport::{LogLevel, ThunderboltTransportBuilder};
///
/// let builder = ThunderboltTransportBuilder::new().interface("lo").control_port(0).data_port(0);
/// let weak = builder.weak();
/// let transport = builder
///     .logger(move |level, text| match weak.upgrade() {
///         Some(transport) if level >= LogLevel::Warn => {
///             eprintln!("{text}, after {} messages", transport.get_stats().messages_sent);
///         }
///         _ => {}
///     })
///     .build()?;
/// let weak = transport.downgrade();
/// drop(transport); // the last reference: it closes
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), thunderbolt_transport::TransportError>(())
/// ```
#[derive(Clone, Default)]
pub struct WeakTransport(pub(crate) WeakCell);

impl WeakTransport {
    /// A reference that keeps the transport open until it is dropped. `None`: the last one was dropped,
    /// or the transport was not started yet, or could not be started. A transport that was closed by
    /// [`close`](ThunderboltTransport::close) is still there; its calls fail with
    /// [`Shutdown`](crate::TransportError::Shutdown).
    ///
    /// If meanwhile all others are dropped, the transport closes when this one is, from inside a handler
    /// as [`close`](ThunderboltTransport::close) does: it only begins there, and does not wait.
    pub fn upgrade(&self) -> Option<Arc<ThunderboltTransport>> {
        self.0.get()?.upgrade()
    }
}

impl ThunderboltTransport {
    /// A reference that does not keep the transport open, for handlers and threads to capture.
    pub fn downgrade(&self) -> WeakTransport {
        WeakTransport(Arc::clone(&self.core().weak))
    }
}

impl fmt::Debug for WeakTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakTransport")
            .field(&self.upgrade())
            .finish()
    }
}
