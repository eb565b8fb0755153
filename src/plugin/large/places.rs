//! Places for the connections that peers open. They are bounded below `max_streams`, so that newcomers are
//! not refused while others do nothing: a connection of the source that has most gives way.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use thunderbolt_transport::DataStream;

use crate::plugin::lock;
use crate::plugin::queue::Place;
use crate::sync::Mutex;

pub(super) struct Places {
    taken: Mutex<Taken>,
    most: usize,
    started: Instant,
}

#[derive(Default)]
struct Taken {
    open: HashMap<u64, Open>,
    next: u64,
}

struct Open {
    stream: DataStream,
    place: Arc<Place>,
    activity: Arc<Activity>,
}

/// A connection that has to give way.
type GivesWay = (DataStream, Arc<Place>);

impl Places {
    /// Three quarters of `max_streams`: the rest is for newcomers, and for what this side opens.
    pub(super) fn new(max_streams: usize) -> Self {
        Self {
            taken: Mutex::default(),
            most: (max_streams - max_streams / 4).max(1),
            started: Instant::now(),
        }
    }

    /// Takes a place, and gives the connection that has to give way to this one.
    pub(super) fn take(
        &self,
        stream: &DataStream,
        place: &Arc<Place>,
    ) -> (u64, Arc<Activity>, Option<GivesWay>) {
        let activity = Arc::new(Activity::new(self.started));
        let mut taken = lock(&self.taken);
        let gives_way = match taken.open.len() >= self.most {
            true => taken.least_deserving(),
            false => None,
        };
        let gives_way = gives_way.and_then(|number| taken.open.remove(&number));
        let number = taken.next;
        taken.next += 1;
        let open = Open {
            stream: stream.clone(),
            place: Arc::clone(place),
            activity: Arc::clone(&activity),
        };
        taken.open.insert(number, open);
        drop(taken);
        let gives_way = gives_way.map(|open| (open.stream, open.place));
        (number, activity, gives_way)
    }

    pub(super) fn leave(&self, number: u64) {
        lock(&self.taken).open.remove(&number);
    }

    /// The connections from an address.
    pub(super) fn of(&self, address: &Ipv6Addr) -> Vec<GivesWay> {
        let taken = lock(&self.taken);
        let from_it = |open: &&Open| open.stream.peer_address().ip() == address;
        let open = taken.open.values().filter(from_it);
        open.map(|open| (open.stream.clone(), Arc::clone(&open.place)))
            .collect()
    }
}

impl Taken {
    fn least_deserving(&self) -> Option<u64> {
        least_deserving(self.open.iter().map(|(&number, open)| Candidate {
            number,
            source: *open.stream.peer_address().ip(),
            since: open.activity.since(),
        }))
    }
}

/// A connection that may have to give way.
#[derive(Clone, Copy)]
struct Candidate {
    number: u64,
    source: Ipv6Addr,
    /// When it got something last.
    since: u64,
}

/// Of the source that has most connections, the one on which nothing came for longest.
fn least_deserving(candidates: impl Iterator<Item = Candidate> + Clone) -> Option<u64> {
    let mut counts: HashMap<Ipv6Addr, usize> = HashMap::new();
    for candidate in candidates.clone() {
        *counts.entry(candidate.source).or_default() += 1;
    }
    let rank = |one: &Candidate| {
        let others = std::cmp::Reverse(counts.get(&one.source).copied());
        (others, one.since, one.number)
    };
    candidates.min_by_key(rank).map(|one| one.number)
}

/// When a connection got something last.
pub(super) struct Activity {
    started: Instant,
    /// Milliseconds since then.
    got: AtomicU64,
    /// The same while the connection waits for its peer. It is never old while the peer waits for us.
    since: AtomicU64,
}

impl Activity {
    fn new(started: Instant) -> Self {
        let now = AtomicU64::new(started.elapsed().as_millis() as u64);
        Self {
            started,
            got: now,
            since: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn waits(&self) {
        let got = self.got.load(Ordering::Relaxed);
        self.since.store(got, Ordering::Relaxed);
    }

    pub(super) fn got(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.got.store(now, Ordering::Relaxed);
        self.since.store(u64::MAX, Ordering::Relaxed);
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections by their source and when they got something last; which gives way.
    fn gives_way(connections: &[(u16, u64)]) -> Option<u64> {
        let all = connections.iter().zip(0..);
        least_deserving(all.map(|(&(source, since), number)| Candidate {
            number,
            source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, source),
            since,
        }))
    }

    #[test]
    fn the_oldest_of_the_source_that_has_most() {
        assert_eq!(gives_way(&[]), None);
        assert_eq!(gives_way(&[(1, 5)]), Some(0));
        // Others are idle for longer, and have fewer.
        assert_eq!(
            gives_way(&[(1, 0), (2, 7), (2, 6), (2, 8), (3, 1)]),
            Some(2)
        );
        // Each has one: the one that is idle for longest.
        assert_eq!(gives_way(&[(1, 3), (2, 2), (3, 9)]), Some(1));
    }

    #[test]
    fn one_that_waits_for_us_goes_last() {
        assert_eq!(gives_way(&[(1, u64::MAX), (1, 100)]), Some(1));
        let activity = Activity::new(Instant::now());
        assert_eq!(activity.since(), u64::MAX);
        activity.waits();
        assert!(activity.since() < u64::MAX);
        activity.got();
        assert_eq!(activity.since(), u64::MAX);
    }
}
