//! Messages in a queue.

use std::net::SocketAddrV6;

use crate::sys::reserve_alloc;

/// A message that is queued for the handler or for `recv`.
#[derive(Debug)]
pub(crate) struct QueuedMessage {
    pub data: Vec<u8>,
    pub from: SocketAddrV6,
}

impl QueuedMessage {
    /// A copy, or `None` if there is no memory for it.
    pub fn copy(data: &[u8], from: SocketAddrV6) -> Option<Self> {
        if reserve_alloc::is_short() {
            return None;
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len()).ok()?;
        copy.extend_from_slice(data);
        Some(Self { data: copy, from })
    }
}
