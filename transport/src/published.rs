//! Names from this protocol's first Rust implementation, for programs that use them. Those that are
//! also methods of the builder or the transport are defined there.

use std::sync::Arc;

use crate::config::ThunderboltTransportBuilder;
use crate::core::ThunderboltTransport;
use crate::error::Result;
use crate::log::LogHandler;
use crate::message::{MessageData, MessageType};
use crate::settings::ThunderboltConfig;

/// The same as [`MAX_MESSAGE_SIZE`](crate::MAX_MESSAGE_SIZE).
pub const MAX_UDP_PAYLOAD: usize = crate::wire::MAX_MESSAGE_SIZE;

/// One handler for messages and streams, boxed. See
/// [`message_handler`](ThunderboltTransportBuilder::message_handler).
pub type MessageHandlerFn = Box<dyn Fn(MessageType, MessageData) + Send + Sync>;
/// The same as [`LogHandler`].
pub type LoggerFn = LogHandler;

impl ThunderboltTransport {
    /// Starts a transport with the settings of [`ThunderboltConfig`], and the default of each other
    /// setting. [`ThunderboltTransportBuilder`] can set those.
    ///
    /// Without a message handler, messages and streams are queued for [`recv`](Self::recv) and
    /// [`accept`](Self::accept). Without a logger, the transport does not log.
    ///
    /// # Errors
    ///
    /// Those of [`ThunderboltTransportBuilder::build`].
    pub fn new(
        config: ThunderboltConfig,
        message_handler: Option<MessageHandlerFn>,
        logger: Option<LoggerFn>,
    ) -> Result<Arc<Self>> {
        let mut builder = ThunderboltTransportBuilder::new().config(config);
        if let Some(handler) = message_handler {
            builder = builder.message_handler(handler);
        }
        if let Some(logger) = logger {
            builder = builder.logger(logger);
        }
        builder.build()
    }
}

/// Starts a transport with an interface and two ports, as [`ThunderboltTransport::new`] does. Each
/// other setting has its default.
///
/// ```
/// use thunderbolt_transport::{make_thunderbolt_transport, MessageData};
///
/// let transport = make_thunderbolt_transport(
///     "lo",
///     0,
///     0,
///     Some(Box::new(|kind, data| {
///         if let MessageData::Bytes(bytes) = data {
///             println!("{kind:?}: {} bytes", bytes.len());
///         }
///     })),
///     None,
/// )?;
/// assert!(transport.is_running());
/// # Ok::<(), thunderbolt_transport::TransportError>(())
/// ```
///
/// # Errors
///
/// Those of [`ThunderboltTransportBuilder::build`].
pub fn make_thunderbolt_transport(
    interface: &str,
    control_port: u16,
    data_port: u16,
    message_handler: Option<MessageHandlerFn>,
    logger: Option<LoggerFn>,
) -> Result<Arc<ThunderboltTransport>> {
    let config = ThunderboltConfig {
        interface: interface.to_owned(),
        control_port,
        data_port,
        ..ThunderboltConfig::default()
    };
    ThunderboltTransport::new(config, message_handler, logger)
}
