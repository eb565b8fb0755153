//! What [`message_handler`](crate::ThunderboltTransportBuilder::message_handler) is given.

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
