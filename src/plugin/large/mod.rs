//! Messages that are too large for a datagram: each goes over a connection to the peer's data port.

mod format;
pub(super) mod incoming;
pub(super) mod outgoing;
pub(super) mod pace;
mod places;
mod turn;

pub(super) use format::{Source, Store, LENGTHS};
