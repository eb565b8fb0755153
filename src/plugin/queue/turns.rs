//! Which large message gets memory next, and which one has to give memory back.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use super::State;
use crate::plugin::large::LENGTHS;

/// Bytes that one round of evictions frees at least.
const MIN_EVICTED: usize = *LENGTHS.end() / 4;

/// The place of a message among those that wait for memory, by start-time fair queueing: messages of
/// one source have successive turns, and sources that wait at the same time have the same turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) turn: u64,
    pub(super) number: u64,
}

/// The message that may exceed the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverLimit {
    pub(super) number: u64,
    pub(super) has: usize,
}

/// A message that let others go first. Its memory counts in `large`, which may then exceed the limit.
pub(super) struct Yielded {
    pub(super) number: u64,
    pub(super) has: usize,
    pub(super) connection: Arc<IncomingConnection>,
}

#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) arriving: usize,
    pub(super) next_turn: u64,
}

/// A connection on which large messages arrive, one after another. The flags are about the message
/// that is arriving now.
pub(in crate::plugin) struct IncomingConnection {
    pub(super) source: Ipv6Addr,
    /// The number of the message.
    pub(super) message: AtomicU64,
    pub(super) over_limit: AtomicBool,
    pub(super) evicted: AtomicBool,
    pub(super) disconnected: AtomicBool,
}

impl IncomingConnection {
    pub(in crate::plugin) fn new(source: Ipv6Addr) -> Arc<Self> {
        Arc::new(Self {
            source,
            message: AtomicU64::new(0),
            over_limit: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            disconnected: AtomicBool::new(false),
        })
    }

    /// Whether its message is the one that may exceed the limit.
    pub(in crate::plugin) fn is_over_limit(&self) -> bool {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Whether its message must be dropped, because it is slow and others need its memory.
    pub(in crate::plugin) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }
}

impl State {
    /// The ticket of a message that has to wait for memory.
    pub(super) fn next_ticket(&mut self, source: Ipv6Addr, number: u64) -> Ticket {
        let source = self.sources.entry(source).or_default();
        let turn = source.next_turn.max(self.turn);
        source.next_turn = turn + 1;
        Ticket { turn, number }
    }

    /// Whether a message waits for memory that the host cannot free by receiving.
    pub(super) fn memory_is_short(&self) -> bool {
        !self.waiting_for_memory.is_empty() && self.large.messages == 0
    }

    /// Evicts the messages that yielded first, until enough memory will be free. Messages that were
    /// evicted before and still have their memory count.
    pub(super) fn evict_yielded(&mut self) {
        let mut freed = 0;
        for yielded in self.yielded.values() {
            if freed >= MIN_EVICTED {
                break;
            }
            yielded.connection.evicted.store(true, Ordering::Relaxed);
            freed += yielded.has;
        }
    }

    /// A message of `source` is complete, or no longer arrives.
    pub(super) fn end_arrival(&mut self, source: Ipv6Addr) {
        let Some(entry) = self.sources.get_mut(&source) else {
            return;
        };
        entry.arriving -= 1;
        if entry.arriving == 0 {
            self.sources.remove(&source);
        }
    }
}
