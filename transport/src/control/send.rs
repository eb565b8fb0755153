//! Sending one control message.

use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::Socket;

use super::channel::Control;
use crate::error::{Result, TransportError};
use crate::sys::{report, socket};
use crate::wire::MAX_MESSAGE_SIZE;

/// How long a send waits for room in the kernel's queue. While the link works there is room within microseconds.
pub(crate) const SEND_PATIENCE: Duration = Duration::from_secs(1);

impl Control {
    pub fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        self.send_message_timeout(data, peer, Some(SEND_PATIENCE))
    }

    pub fn send_message_timeout(
        &self,
        data: &[u8],
        peer: &str,
        patience: Option<Duration>,
    ) -> Result<usize> {
        self.context.count(self.send_one(data, peer, patience))
    }

    fn send_one(&self, data: &[u8], peer: &str, patience: Option<Duration>) -> Result<usize> {
        check_size(data)?;
        let over_connected = |socket: &Socket| socket::send(socket.as_fd(), data).map(drop);
        let shared = |socket: &Socket, to: &SocketAddrV6| {
            let socket = socket.as_fd();
            report::send_despite(socket, || socket::send_to(socket, data, to))
        };
        self.send_to_peer(peer, patience, over_connected, shared)?;
        let sent = self.context.counters.sent.shard();
        sent.messages.increment();
        sent.bytes.add(data.len() as u64);
        Ok(data.len())
    }
}

pub(super) fn check_size(data: &[u8]) -> Result<()> {
    if data.len() > MAX_MESSAGE_SIZE {
        return Err(TransportError::MessageTooLarge {
            size: data.len(),
            max: MAX_MESSAGE_SIZE,
        });
    }
    Ok(())
}
