//! One message of a batch.

/// One message of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// To whom, as in [`send_message`](crate::ThunderboltTransport::send_message).
    pub peer: &'a str,
    /// The payload.
    pub data: &'a [u8],
}
