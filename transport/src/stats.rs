//! Counters, and the snapshot that users get.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::sync::{lock, Mutex};

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
    pub cold: CachePadded<Cold>,
}

/// The table of all statistics. Each entry is declared here, once: from it come the counters in
/// `Cold` and `Rejected`, the fields of `Stats`, what a reset subtracts, and (by `with_statistics`)
/// the copy to `dcf_tb_stats`.
macro_rules! statistics {
    (
        ($dollar:tt)
        counters { $($(#[$counter_doc:meta])* $counter:ident,)* }
        rejected { $($(#[$reason_doc:meta])* $reason:ident => $rejected:ident,)* }
        sums { $($(#[$sum_doc:meta])* $sum:ident,)* }
        states { $($(#[$state_doc:meta])* $state:ident,)* }
    ) => {
        /// What is counted seldom.
        #[derive(Debug, Default)]
        pub(crate) struct Cold {
            $(pub $counter: Counter,)*
            pub rejected: Rejected,
            pub last_rtt_ns: Counter,
            /// Drops of sockets that were replaced since.
            pub kernel_drops_before: Counter,
        }

        /// What was refused, each by its reason.
        #[derive(Debug, Default)]
        pub(crate) struct Rejected {
            $(pub $reason: Counter,)*
        }

        impl Cold {
            /// Sets what these counters count in `stats`.
            pub fn read_into(&self, stats: &mut Stats) {
                $(stats.$counter = self.$counter.get();)*
                $(stats.$rejected = self.rejected.$reason.get();)*
                stats.rejected = 0 $(+ stats.$rejected)*;
            }
        }

        /// Statistics of a transport since it started or since the last reset.
        ///
        /// Each figure is exact. Traffic that goes on while they are read may be in one figure and
        /// not yet in another.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            /// Whether the link can carry traffic now.
            pub link_up: bool,
            /// Time since the start or the last reset.
            pub uptime: Duration,
            /// The same in whole seconds.
            pub uptime_secs: u64,
            $($(#[$sum_doc])* pub $sum: u64,)*
            $($(#[$counter_doc])* pub $counter: u64,)*
            $($(#[$reason_doc])* pub $rejected: u64,)*
            $($(#[$state_doc])* pub $state: u64,)*
        }

        impl Stats {
            /// Subtracts what was counted before. Figures that are a state, not a count, stay.
            fn subtract(&mut self, base: &Self) {
                $(self.$sum = self.$sum.saturating_sub(base.$sum);)*
                $(self.$counter = self.$counter.saturating_sub(base.$counter);)*
                $(self.$rejected = self.$rejected.saturating_sub(base.$rejected);)*
            }
        }

        /// Calls a macro with the names of all fields of `Stats` that are `u64` in C as well. The C
        /// ABI copies them one by one; a field that is only on one side does not compile.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! with_statistics {
            ($dollar with:ident) => {
                $dollar with! { $($sum,)* $($counter,)* $($rejected,)* $($state,)* }
            };
        }
    };
}

statistics! {
    ($)
    // Counted one by one in `Cold`; a reset sets them to 0.
    counters {
        /// Data streams that peers opened.
        connections_accepted,
        /// Data streams that this side opened.
        connections_initiated,
        /// Failed sends, receives, accepts and stream calls. Timeouts and ends of streams are no failures.
        errors,
        /// Messages dropped because the receive queue was full, or for another
        /// [`DropReason`](crate::DropReason).
        messages_dropped,
        /// Those of `messages_dropped` for which there was no memory (`receive_queue_bytes`, or none at
        /// all); the others found the queue full.
        dropped_memory,
        /// Those of `messages_dropped` that came in pieces and too slowly
        /// ([`DropReason::Slow`](crate::DropReason::Slow)).
        dropped_slow,
        /// Pongs that nobody waited for, and ICMP errors about pings: late, doubled or made up.
        pongs_ignored,
        /// Answers to discovery that were left out: of hosts beyond
        /// [`MAX_DISCOVERED_PEERS`](crate::MAX_DISCOVERED_PEERS).
        discovery_dropped,
        /// Datagrams that did not leave because the interface's own queue had no room for them: messages
        /// whose send gave [`QueueFull`](crate::TransportError::QueueFull), pings, and pongs. As far as the
        /// kernel tells: a queue that drops what it took before does not say so.
        send_drops,
        /// Pings sent, those of discovery included.
        pings_sent,
        /// Pongs that answered one of them in time.
        pongs_received,
        /// Pings of peers that were answered.
        pings_answered,
        /// Pings that were not answered because too many came from addresses that were not answered
        /// within the last minute: somebody on the link makes them up.
        pings_limited,
        /// Pings that did not reach the peer, as an ICMP error said that quotes them: nothing listens on
        /// that port there, or no host has the address.
        pings_undelivered,
        /// What came from peers that were not reported to
        /// [`on_peer`](crate::ThunderboltTransportBuilder::on_peer), because too many appeared of late or
        /// 1,024 were there: datagrams, pings, streams, reads of streams.
        peers_not_reported,
    }
    // The same, in `Rejected`: the reason there, and its name in `Stats`.
    rejected {
        /// Refused because their source is neither link-local nor loopback.
        source => rejected_source,
        /// Connections refused because `max_streams` were open, or that
        /// [gave way](crate::DataStream::give_way) to others.
        max_streams => rejected_max_streams,
        /// Connections refused, or silent streams reset, because of `max_silent_streams`.
        silent => rejected_silent,
        /// Connections refused for lack of descriptors, threads or memory.
        resources => rejected_resources,
        /// Connections on which came what had not to ([`DataStream::reject`](crate::DataStream::reject)).
        malformed => rejected_malformed,
    }
    // Put together by `Core::totals`, from several counters or from the kernel's; a reset sets them
    // to 0.
    sums {
        /// How often the link came up or went down.
        link_changes,
        /// Control messages sent; pings and pongs do not count as messages.
        messages_sent,
        /// Control messages received, including those that were then dropped.
        messages_received,
        /// Payload bytes of `messages_sent`.
        bytes_sent,
        /// Payload bytes of `messages_received`.
        bytes_received,
        /// Datagrams that the kernel dropped because the socket buffer was full, or because they arrived
        /// damaged (their checksum was wrong), pings included. Those of a batch that it handled in one
        /// piece, up to 64, count as one.
        kernel_drops,
        /// Datagrams and connections that were refused: the sum of the reasons `rejected_*`.
        rejected,
        /// Payload bytes written to data streams.
        stream_bytes_sent,
        /// Payload bytes read from data streams.
        stream_bytes_received,
        /// Handler calls that panicked.
        callback_failures,
    }
    // Set by `Core::totals`; a reset does not change them.
    states {
        /// Data streams open now.
        streams_open,
        /// The last round trip measured, in nanoseconds.
        last_rtt_ns,
        /// Bytes of send buffer that the kernel granted the control socket.
        udp_send_buffer,
        /// Bytes of receive buffer that the kernel granted the control socket.
        udp_receive_buffer,
    }
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

    /// The difference to `totals`.
    pub fn since(&self, mut totals: Stats) -> Stats {
        let (start, base) = &*lock(&self.0);
        totals.uptime = start.elapsed();
        totals.uptime_secs = totals.uptime.as_secs();
        totals.subtract(base);
        totals
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

    #[test]
    fn a_counter_reaches_its_figure_and_reasons_add_up() {
        let cold = Cold::default();
        cold.send_drops.add(3);
        cold.rejected.source.add(1);
        cold.rejected.silent.add(4);
        let mut stats = Stats::default();
        cold.read_into(&mut stats);
        assert_eq!(stats.send_drops, 3);
        assert_eq!((stats.rejected_source, stats.rejected_silent), (1, 4));
        assert_eq!(stats.rejected, 5);
    }
}
