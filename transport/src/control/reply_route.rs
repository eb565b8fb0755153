//! The route to the peer whose ping was answered last: more of its pings are likely.

use std::net::SocketAddrV6;
use std::sync::Arc;

use socket2::Socket;

use super::admission::Admitted;
use super::channel::Control;
use super::connected::Usage;

/// A thread's cache of the peer whose ping it answered last.
#[derive(Default)]
pub(crate) struct ReplyRoute {
    address: Option<SocketAddrV6>,
    usage: Usage,
    pub(super) admitted: Admitted,
    /// A source that was not answered, to be logged when no lock is held.
    pub(super) limited: Option<SocketAddrV6>,
}

impl ReplyRoute {
    /// The connected socket for a pong to this address, if there is one.
    pub(super) fn socket(&mut self, control: &Control, to: &SocketAddrV6) -> Option<Arc<Socket>> {
        if self.address.as_ref() != Some(to) {
            self.address = Some(*to);
            self.usage = Usage::default();
        }
        control.pong_socket(to, &mut self.usage)
    }
}
