//! The control channel: one UDP port, its sending side, and its receiving side.
//!
//! The port has two sockets. The *control socket* receives. The *outbound socket* sends, and asks the kernel to
//! report what the interface's own queue drops (IPV6_RECVERR, ipv6(7)): without that a send succeeds whether or
//! not there was room. The same option reports ICMP errors, which anybody on the link can forge. On a socket that
//! receives they would fill the room of datagrams, wake the receiver, and fail sends to other peers. The outbound
//! socket is bound to an address that no datagram comes from or goes to (`connected`), so no real ICMP error
//! matches it.

mod admission;
mod batch;
mod channel;
mod connected;
mod dispatch;
mod gro;
mod outbound;
mod queued;
mod reader;
mod reply_route;
mod send;

pub(crate) use admission::Admitted;
pub(crate) use channel::{Control, Sockets};
pub(crate) use connected::Usage;
pub(crate) use gro::GroState;
pub(crate) use queued::QueuedMessage;
pub(crate) use reader::{ControlReader, ReceiverWatchdog};
pub(crate) use reply_route::ReplyRoute;
#[cfg(feature = "async")]
pub(crate) use send::SEND_PATIENCE;
