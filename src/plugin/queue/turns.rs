//! Whose turn it is to get memory for a large message, and which message gives memory back.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use super::State;
use crate::plugin::large::LENGTHS;

/// Bytes that are freed at once at least, when too much is taken by messages that let others go first.
const AT_ONCE: usize = *LENGTHS.end() / 4;

/// A message that waits for memory. Those of one source have different turns, and sources that wait at the
/// same time have the same ones: this is start-time fair queueing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    pub(super) turn: u64,
    pub(super) number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) number: u64,
    pub(super) has: usize,
}

/// A message that let others go first, and is in `large` although that may exceed the limit.
pub(super) struct Passed {
    pub(super) number: u64,
    pub(super) has: usize,
    pub(super) place: Arc<Place>,
}

#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) arriving: usize,
    pub(super) next_turn: u64,
}

/// A connection on which large messages arrive, one after the other.
pub(in crate::plugin) struct Place {
    pub(super) source: Ipv6Addr,
    /// Of the message that arrives now.
    pub(super) number: AtomicU64,
    /// Whether that has more memory than the limit.
    pub(super) beyond: AtomicBool,
    /// Its message is to be dropped, for the memory that it has.
    pub(super) condemned: AtomicBool,
    pub(super) ended: AtomicBool,
}

impl Place {
    pub(in crate::plugin) fn new(source: Ipv6Addr) -> Arc<Self> {
        Arc::new(Self {
            source,
            number: AtomicU64::new(0),
            beyond: AtomicBool::new(false),
            condemned: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// Whether its message has a turn that others may be waiting for.
    pub(in crate::plugin) fn has_turn(&self) -> bool {
        self.beyond.load(Ordering::Relaxed)
    }

    /// Whether its message is to be dropped, because it is slow and others need its memory.
    pub(in crate::plugin) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Relaxed)
    }
}

impl State {
    /// The place of a message among those that wait for memory.
    pub(super) fn ask(&mut self, source: Ipv6Addr, number: u64) -> Ask {
        let source = self.sources.entry(source).or_default();
        let turn = source.next_turn.max(self.turn);
        source.next_turn = turn + 1;
        Ask { turn, number }
    }

    /// Whether a message waits for memory that the host cannot give back by receiving.
    pub(super) fn is_short(&self) -> bool {
        !self.starving.is_empty() && self.large.messages == 0
    }

    /// Chooses messages to be dropped, of those that let others go first, until enough is free for a while.
    /// Those that were chosen before and have not gone yet count.
    pub(super) fn condemn(&mut self) {
        let mut freed = 0;
        for passed in self.passed.values() {
            if freed >= AT_ONCE {
                break;
            }
            passed.place.condemned.store(true, Ordering::Relaxed);
            freed += passed.has;
        }
    }

    /// A message of `source` is whole, or no longer arrives.
    pub(super) fn arrived(&mut self, source: Ipv6Addr) {
        let Some(entry) = self.sources.get_mut(&source) else {
            return;
        };
        entry.arriving -= 1;
        if entry.arriving == 0 {
            self.sources.remove(&source);
        }
    }
}
