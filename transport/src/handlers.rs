//! The types of the user's handlers, and what they are called with.

use std::fmt;
use std::net::SocketAddrV6;

use crate::core::ThunderboltTransport;
use crate::data_stream::DataStream;
use crate::error::Result;
use crate::sender_name::SenderName;

/// Called with a control message and its sender; see
/// [`on_message`](crate::ThunderboltTransportBuilder::on_message).
pub type MessageHandler = Box<dyn Fn(&[u8], &Sender<'_>) + Send + Sync>;
/// Called with a data stream that a peer opened.
pub type StreamHandler = Box<dyn Fn(DataStream) + Send + Sync>;
/// Called when the link comes up or goes down.
pub type LinkHandler = Box<dyn Fn(&LinkEvent<'_>) + Send + Sync>;
/// Called when a peer appears or vanishes.
pub type PeerHandler = Box<dyn Fn(&PeerEvent<'_>) + Send + Sync>;
/// The last call of a transport.
pub type ClosedHandler = Box<dyn FnOnce() + Send>;

/// The sender of a control message, and how to answer it.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    name: &'a SenderName,
    address: SocketAddrV6,
    transport: &'a ThunderboltTransport,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        name: &'a SenderName,
        address: SocketAddrV6,
        transport: &'a ThunderboltTransport,
    ) -> Self {
        Self {
            name,
            address,
            transport,
        }
    }

    /// Sends a control message back to the sender, through the transport that received this one, as
    /// [`send_message`](ThunderboltTransport::send_message) does. Gives its size.
    ///
    /// It answers any sender. Where strangers can reach the link,
    /// [`may_answer`](ThunderboltTransport::may_answer) first.
    ///
    /// # Errors
    ///
    /// Those of [`send_message`](ThunderboltTransport::send_message).
    pub fn reply(&self, data: &[u8]) -> Result<usize> {
        self.transport.send_message(data, self.as_str())
    }

    /// The transport that received the message. It is lent for the call, and does not keep it open: a
    /// handler need not capture a reference. For later use there is
    /// [`downgrade`](ThunderboltTransport::downgrade).
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }

    /// The peer string, which every call takes back: bare when the sender used our own configured
    /// control port, else with its port in the bracketed form.
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }

    /// As [`as_str`](Self::as_str), with a NUL at its end, for passing it to C.
    pub fn as_bytes_with_nul(&self) -> &[u8] {
        self.name.as_bytes_with_nul()
    }

    /// The address, with the interface's index as its scope.
    pub fn address(&self) -> SocketAddrV6 {
        self.address
    }
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The link came up or went down.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LinkEvent<'a> {
    /// Whether the interface can carry traffic now.
    pub up: bool,
    /// Its name.
    pub interface: &'a str,
    transport: &'a ThunderboltTransport,
}

impl<'a> LinkEvent<'a> {
    pub(crate) fn new(up: bool, interface: &'a str, transport: &'a ThunderboltTransport) -> Self {
        Self {
            up,
            interface,
            transport,
        }
    }

    /// The transport whose link it is, lent for the call as [`Sender::transport`] does.
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }
}

/// Compares the event and the interface, not the transport.
impl PartialEq for LinkEvent<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.up, self.interface) == (other.up, other.interface)
    }
}

impl Eq for LinkEvent<'_> {}

/// A peer appeared or vanished; see [`on_peer`](crate::ThunderboltTransportBuilder::on_peer).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PeerEvent<'a> {
    /// True if the peer appeared, false if it vanished.
    pub appeared: bool,
    /// Its address with the interface, as a peer string without a port.
    pub peer: &'a str,
    transport: &'a ThunderboltTransport,
}

impl<'a> PeerEvent<'a> {
    pub(crate) fn new(appeared: bool, peer: &'a str, transport: &'a ThunderboltTransport) -> Self {
        Self {
            appeared,
            peer,
            transport,
        }
    }

    /// The transport whose peer it is, lent for the call as [`Sender::transport`] does.
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }
}

/// Compares the event and the peer, not the transport.
impl PartialEq for PeerEvent<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.appeared, self.peer) == (other.appeared, other.peer)
    }
}

impl Eq for PeerEvent<'_> {}
