//! What [`message_handler`](crate::ThunderboltTransportBuilder::message_handler) is given, and why
//! a message reaches nobody.

use std::fmt;
use std::sync::Arc;

use crate::handlers::{MessageHandler, StreamHandler};
use crate::stream::DataStream;

/// Which of the two channels something came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// One UDP datagram on the control port.
    ControlMessage,
    /// A TCP connection to the data port.
    DataStream,
}

/// What came.
#[derive(Debug)]
pub enum MessageData {
    /// The payload of a control message.
    Bytes(Vec<u8>),
    /// A data stream; dropping it closes it.
    Stream(DataStream),
}

/// Makes one handler for both kinds of traffic into a handler for each.
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

/// Why a message was dropped that nobody has taken yet.
#[derive(Debug, Clone, Copy)]
pub enum DropReason<'a> {
    /// As many messages as may wait do so already
    /// ([`receive_queue`](crate::ThunderboltTransportBuilder::receive_queue)).
    Full,
    /// There is no memory for it, or those that wait have as much as they may
    /// ([`receive_queue_bytes`](crate::ThunderboltTransportBuilder::receive_queue_bytes)).
    Memory,
    /// It came in pieces, and the rest did not come. The words are for the log.
    Cut(fmt::Arguments<'a>),
    /// It came in pieces, and so slowly that it would have kept others waiting. The words are for the log.
    Slow(fmt::Arguments<'a>),
}
