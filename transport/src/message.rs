//! The arguments of [`message_handler`](crate::ThunderboltTransportBuilder::message_handler), and the
//! reasons to drop a message.

use std::fmt;
use std::sync::Arc;

use crate::data_stream::DataStream;
use crate::handlers::{MessageHandler, StreamHandler};

/// The channel on which something arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// One UDP datagram on the control port.
    ControlMessage,
    /// A TCP connection to the data port.
    DataStream,
}

/// A received message or stream.
#[derive(Debug)]
pub enum MessageData {
    /// The payload of a control message.
    Bytes(Vec<u8>),
    /// A data stream. Dropping it closes it.
    Stream(DataStream),
}

/// Splits one handler for messages and streams into a handler for each.
pub(crate) fn combined<F>(handler: F) -> (MessageHandler, StreamHandler)
where
    F: Fn(MessageType, MessageData) + Send + Sync + 'static,
{
    let streams = Arc::new(handler);
    let messages = Arc::clone(&streams);
    (
        Box::new(move |data, _| {
            messages(
                MessageType::ControlMessage,
                MessageData::Bytes(data.to_vec()),
            )
        }),
        Box::new(move |stream| streams(MessageType::DataStream, MessageData::Stream(stream))),
    )
}

/// Why a message was dropped before the application took it.
#[derive(Debug, Clone, Copy)]
pub enum DropReason<'a> {
    /// The queue has as many messages as it may have
    /// ([`receive_queue`](crate::ThunderboltTransportBuilder::receive_queue)).
    Full,
    /// There is no memory for it, or the queued messages have as many bytes as they may have
    /// ([`receive_queue_bytes`](crate::ThunderboltTransportBuilder::receive_queue_bytes)).
    Memory,
    /// It was sent in pieces, and some of them did not arrive. The text is for the log.
    Cut(fmt::Arguments<'a>),
    /// It was sent in pieces that arrived so slowly that they would have delayed other messages. The
    /// text is for the log.
    Slow(fmt::Arguments<'a>),
}
