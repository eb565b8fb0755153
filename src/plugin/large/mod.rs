//! Messages that are too large for a datagram. Each goes over a TCP connection to the data port of
//! the peer.

mod connections;
mod fifo_lock;
mod format;
pub(super) mod incoming;
pub(super) mod outgoing;
pub(super) mod pace;

pub(super) use format::{Source, Store, LENGTHS};
