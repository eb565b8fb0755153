//! Counters, and the snapshot that users get.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::handlers::lock;
use crate::sync::Mutex;

/// One counter. Counters order nothing, so relaxed operations do.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    /// Takes back what was counted before it was certain.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What control messages count, one direction.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub messages: Counter,
    pub bytes: Counter,
}

/// Counters that many threads count at once, each in a place of its own as far as there are places,
/// so that no cache line goes to and fro between them.
#[derive(Debug, Default)]
pub(crate) struct Sharded<T>([CachePadded<T>; SHARDS]);

const SHARDS: usize = 8;

thread_local! {
    /// The place of this thread, in all counters.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl<T> Sharded<T> {
    /// Where this thread counts.
    pub fn shard(&self) -> &T {
        &self.0[own_shard()]
    }

    pub fn sum(&self, value: impl Fn(&T) -> &Counter) -> u64 {
        self.0.iter().map(|shard| value(shard).get()).sum()
    }
}

fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut shard = SHARD.get();
    if shard == usize::MAX {
        shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        SHARD.set(shard);
    }
    shard
}

/// All counters of a transport. What different threads count lies on different cache lines.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sent: Sharded<Traffic>,
    pub received: CachePadded<Traffic>,
    pub stream_bytes_sent: Sharded<Counter>,
    pub stream_bytes_received: Sharded<Counter>,
    pub rare: CachePadded<Rare>,
}

/// What is counted seldom.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub connections_accepted: Counter,
    pub connections_initiated: Counter,
    pub errors: Counter,
    pub messages_dropped: Counter,
    pub rejected: Rejected,
    /// Messages that were dropped for the memory that they would have taken.
    pub dropped_memory: Counter,
    /// Messages that were dropped because they came too slowly.
    pub dropped_slow: Counter,
    pub pongs_ignored: Counter,
    pub discovery_dropped: Counter,
    pub send_drops: Counter,
    pub pings_sent: Counter,
    pub pongs_received: Counter,
    pub pings_answered: Counter,
    pub pings_limited: Counter,
    pub last_rtt_ns: Counter,
    pub link_changes: Counter,
    /// Drops of sockets that were replaced since.
    pub kernel_drops_before: Counter,
}

/// What was refused, each by its reason.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    pub source: Counter,
    pub max_streams: Counter,
    pub silent: Counter,
    pub resources: Counter,
    pub malformed: Counter,
}

/// Statistics of a transport since it started or since the last reset.
///
/// Each figure is exact; together they are a snapshot only as far as traffic that goes on while
/// they are read lets them be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Whether the link can carry traffic now.
    pub link_up: bool,
    /// Control messages sent; pings and pongs do not count as messages.
    pub messages_sent: u64,
    /// Control messages received, those that were dropped for a full queue too.
    pub messages_received: u64,
    /// Payload bytes of `messages_sent`.
    pub bytes_sent: u64,
    /// Payload bytes of `messages_received`.
    pub bytes_received: u64,
    /// Data streams that peers opened.
    pub connections_accepted: u64,
    /// Data streams that this side opened.
    pub connections_initiated: u64,
    /// Failed sends, receives, accepts and stream calls; not timeouts, not ends of streams.
    pub errors: u64,
    /// Time since the start or the last reset.
    pub uptime: Duration,
    /// The same in whole seconds.
    pub uptime_secs: u64,
    /// Messages dropped because the receive queue was full, and whatever else
    /// [`DropReason`](crate::DropReason) has.
    pub messages_dropped: u64,
    /// Datagrams that the kernel dropped because the socket buffer was full, or because they arrived
    /// damaged (their checksum was wrong), pings included. Those of a batch that it handled in one
    /// piece, up to 64, count as one.
    pub kernel_drops: u64,
    /// Datagrams and connections that were refused: the sum of the five below.
    pub rejected: u64,
    /// Refused because their source is neither link-local nor loopback.
    pub rejected_source: u64,
    /// Connections refused because `max_streams` were open, or that
    /// [gave way](crate::DataStream::give_way) to others.
    pub rejected_max_streams: u64,
    /// Connections refused, or silent streams reset, because of `max_silent_streams`.
    pub rejected_silent: u64,
    /// Connections refused for lack of descriptors, threads or memory.
    pub rejected_resources: u64,
    /// Connections on which came what had not to ([`DataStream::reject`](crate::DataStream::reject)).
    pub rejected_malformed: u64,
    /// Those of `messages_dropped` for which there was no memory (`receive_queue_bytes`, or none at
    /// all); the others found the queue full.
    pub dropped_memory: u64,
    /// Pongs that nobody waited for: late, doubled or made up.
    pub pongs_ignored: u64,
    /// Answers to discovery that were left out: of hosts beyond
    /// [`MAX_DISCOVERED_PEERS`](crate::MAX_DISCOVERED_PEERS).
    pub discovery_dropped: u64,
    /// Datagrams that did not leave because the interface's own queue had no room for them: messages
    /// whose send gave [`QueueFull`](crate::TransportError::QueueFull), pings, and pongs. As far as the
    /// kernel tells: a queue that drops what it took before does not say so.
    pub send_drops: u64,
    /// Payload bytes written to data streams.
    pub stream_bytes_sent: u64,
    /// Payload bytes read from data streams.
    pub stream_bytes_received: u64,
    /// Data streams open now.
    pub streams_open: u64,
    /// Pings sent, those of discovery included.
    pub pings_sent: u64,
    /// Pongs that answered one of them in time.
    pub pongs_received: u64,
    /// Pings of peers that were answered.
    pub pings_answered: u64,
    /// Pings that were not answered because too many came from addresses that were not answered
    /// within the last minute: somebody on the link makes them up.
    pub pings_limited: u64,
    /// The last round trip measured, in nanoseconds.
    pub last_rtt_ns: u64,
    /// How often the link came up or went down.
    pub link_changes: u64,
    /// Handler calls that panicked.
    pub callback_failures: u64,
    /// Bytes of send buffer that the kernel granted the control socket.
    pub udp_send_buffer: u64,
    /// Bytes of receive buffer that the kernel granted the control socket.
    pub udp_receive_buffer: u64,
    /// Those of `messages_dropped` that came in pieces and too slowly
    /// ([`DropReason::Slow`](crate::DropReason::Slow)).
    pub dropped_slow: u64,
}

/// What the counters showed when they were last reset: they themselves only ever go up, so that
/// a reset loses nothing that is being counted at that moment.
pub(crate) struct Baseline(Mutex<(Instant, Stats)>);

impl Baseline {
    pub fn new() -> Self {
        Self(Mutex::new((Instant::now(), Stats::default())))
    }

    /// From now on `since` is told relative to `totals`.
    pub fn set(&self, totals: Stats) {
        *lock(&self.0) = (Instant::now(), totals);
    }

    /// The difference; figures that are a state, not a count, stay as they are.
    pub fn since(&self, mut totals: Stats) -> Stats {
        let (start, base) = &*lock(&self.0);
        totals.uptime = start.elapsed();
        totals.uptime_secs = totals.uptime.as_secs();
        for (total, base) in totals
            .counts_mut()
            .into_iter()
            .zip(base.clone().counts_mut())
        {
            *total = total.saturating_sub(*base);
        }
        totals
    }
}

impl Stats {
    /// Everything that only goes up.
    fn counts_mut(&mut self) -> [&mut u64; 28] {
        [
            &mut self.messages_sent,
            &mut self.messages_received,
            &mut self.bytes_sent,
            &mut self.bytes_received,
            &mut self.connections_accepted,
            &mut self.connections_initiated,
            &mut self.errors,
            &mut self.messages_dropped,
            &mut self.kernel_drops,
            &mut self.rejected,
            &mut self.rejected_source,
            &mut self.rejected_max_streams,
            &mut self.rejected_silent,
            &mut self.rejected_resources,
            &mut self.rejected_malformed,
            &mut self.dropped_memory,
            &mut self.dropped_slow,
            &mut self.pongs_ignored,
            &mut self.discovery_dropped,
            &mut self.send_drops,
            &mut self.stream_bytes_sent,
            &mut self.stream_bytes_received,
            &mut self.pings_sent,
            &mut self.pongs_received,
            &mut self.pings_answered,
            &mut self.pings_limited,
            &mut self.link_changes,
            &mut self.callback_failures,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up() {
        let counters: Sharded<Counter> = Sharded::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| (0..1000).for_each(|_| counters.shard().increment()));
            }
        });
        assert_eq!(counters.sum(|counter| counter), 2000 * SHARDS as u64);
    }

    #[test]
    fn a_reset_sets_counts_to_zero_and_leaves_states() {
        let baseline = Baseline::new();
        let mut totals = Stats {
            messages_sent: 5,
            streams_open: 2,
            last_rtt_ns: 4000,
            ..Stats::default()
        };
        baseline.set(totals.clone());
        totals.messages_sent += 3;
        let stats = baseline.since(totals);
        assert_eq!((stats.messages_sent, stats.streams_open), (3, 2));
        assert_eq!(stats.last_rtt_ns, 4000);
    }
}
