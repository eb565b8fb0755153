//! The connections for large messages that peers opened. Their number is bounded below
//! `max_streams`, so that idle connections do not keep new ones out: a connection of the source that
//! has most of them is evicted for a new one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use thunderbolt_transport::DataStream;

use crate::plugin::queue::IncomingConnection;
use crate::sync::{lock, Mutex};

pub(super) struct ConnectionTable {
    table: Mutex<Table>,
    max: usize,
    started: Instant,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Entry>,
    next: u64,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) stream: DataStream,
    pub(super) connection: Arc<IncomingConnection>,
    activity: Arc<Activity>,
}

/// A connection that was added to the table.
pub(super) struct Added {
    pub(super) number: u64,
    pub(super) activity: Arc<Activity>,
    /// The connection that was removed from the table for it.
    pub(super) evicted: Option<Entry>,
}

impl ConnectionTable {
    /// Up to three quarters of `max_streams`. The rest is for new connections, and for those that
    /// this side opens.
    pub(super) fn new(max_streams: usize) -> Self {
        Self {
            table: Mutex::default(),
            max: (max_streams - max_streams / 4).max(1),
            started: Instant::now(),
        }
    }

    pub(super) fn add(&self, stream: &DataStream, connection: &Arc<IncomingConnection>) -> Added {
        let activity = Arc::new(Activity::new(self.started));
        let mut table = lock(&self.table);
        let evicted = match table.open.len() >= self.max {
            true => table.choose_evicted(),
            false => None,
        };
        let evicted = evicted.and_then(|number| table.open.remove(&number));
        let number = table.next;
        table.next += 1;
        let entry = Entry {
            stream: stream.clone(),
            connection: Arc::clone(connection),
            activity: Arc::clone(&activity),
        };
        table.open.insert(number, entry);
        Added {
            number,
            activity,
            evicted,
        }
    }

    pub(super) fn remove(&self, number: u64) {
        lock(&self.table).open.remove(&number);
    }

    pub(super) fn with_address(&self, address: &Ipv6Addr) -> Vec<Entry> {
        let table = lock(&self.table);
        let from_it = |entry: &&Entry| entry.stream.peer_address().ip() == address;
        table.open.values().filter(from_it).cloned().collect()
    }
}

impl Table {
    fn choose_evicted(&self) -> Option<u64> {
        choose_evicted(self.open.iter().map(|(&number, entry)| Candidate {
            number,
            source: *entry.stream.peer_address().ip(),
            waiting_since: entry.activity.waiting_since(),
        }))
    }
}

#[derive(Clone, Copy)]
struct Candidate {
    number: u64,
    source: Ipv6Addr,
    waiting_since: u64,
}

/// The connection that received nothing for longest, of the source with most connections.
fn choose_evicted(candidates: impl Iterator<Item = Candidate> + Clone) -> Option<u64> {
    let mut counts: HashMap<Ipv6Addr, usize> = HashMap::new();
    for candidate in candidates.clone() {
        *counts.entry(candidate.source).or_default() += 1;
    }
    let rank = |one: &Candidate| {
        let of_source = Reverse(counts.get(&one.source).copied());
        (of_source, one.waiting_since, one.number)
    };
    candidates.min_by_key(rank).map(|one| one.number)
}

/// When a connection last received bytes.
pub(super) struct Activity {
    started: Instant,
    /// Milliseconds after `started`.
    received: AtomicU64,
    /// The same while the connection waits for its peer, else `u64::MAX`: a connection is not idle
    /// while its peer waits for us.
    waiting_since: AtomicU64,
}

impl Activity {
    fn new(started: Instant) -> Self {
        let now = AtomicU64::new(started.elapsed().as_millis() as u64);
        Self {
            started,
            received: now,
            waiting_since: AtomicU64::new(u64::MAX),
        }
    }

    /// The connection begins to wait for its peer.
    pub(super) fn wait(&self) {
        let received = self.received.load(Ordering::Relaxed);
        self.waiting_since.store(received, Ordering::Relaxed);
    }

    /// Bytes came.
    pub(super) fn receive(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.received.store(now, Ordering::Relaxed);
        self.waiting_since.store(u64::MAX, Ordering::Relaxed);
    }

    fn waiting_since(&self) -> u64 {
        self.waiting_since.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these is evicted: each has a source and the time since which it waits.
    fn evicted(connections: &[(u16, u64)]) -> Option<u64> {
        let all = connections.iter().zip(0..);
        choose_evicted(all.map(|(&(source, waiting_since), number)| Candidate {
            number,
            source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, source),
            waiting_since,
        }))
    }

    #[test]
    fn the_oldest_of_the_source_with_most_connections_is_evicted() {
        assert_eq!(evicted(&[]), None);
        assert_eq!(evicted(&[(1, 5)]), Some(0));
        // Other sources are idle for longer, but have fewer connections.
        assert_eq!(evicted(&[(1, 0), (2, 7), (2, 6), (2, 8), (3, 1)]), Some(2));
        // Each source has one connection: the one that is idle for longest.
        assert_eq!(evicted(&[(1, 3), (2, 2), (3, 9)]), Some(1));
    }

    #[test]
    fn a_connection_whose_peer_waits_for_us_is_evicted_last() {
        assert_eq!(evicted(&[(1, u64::MAX), (1, 100)]), Some(1));
        let activity = Activity::new(Instant::now());
        assert_eq!(activity.waiting_since(), u64::MAX);
        activity.wait();
        assert!(activity.waiting_since() < u64::MAX);
        activity.receive();
        assert_eq!(activity.waiting_since(), u64::MAX);
    }
}
