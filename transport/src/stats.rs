//! Counters, and the snapshot of them that users get.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::sync::{lock, Mutex};

/// One counter. Counters order no other memory access, so all operations are relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    /// Undoes an `increment` that was made before the outcome was known.
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

/// The counters of control messages in one direction.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub messages: Counter,
    pub bytes: Counter,
}

/// A counter that many threads increment at the same time. Each thread uses one of several shards, so
/// that cache lines rarely move between processors.
#[derive(Debug, Default)]
pub(crate) struct Sharded<T>([CachePadded<T>; SHARDS]);

const SHARDS: usize = 8;

thread_local! {
    /// The shard of this thread, in all counters.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl<T> Sharded<T> {
    /// The shard of this thread.
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

/// All counters of a transport. Counters that different threads increment are on different cache lines.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sent: Sharded<Traffic>,
    pub received: CachePadded<Traffic>,
    pub stream_bytes_sent: Sharded<Counter>,
    pub stream_bytes_received: Sharded<Counter>,
    pub cold: CachePadded<Cold>,
}

/// The table of all statistics. One entry here makes the counter in `Cold` or `Rejected`, the field
/// of `Stats`, its subtraction after a reset, and (by `with_statistics`) the copy to `dcf_tb_stats`.
macro_rules! statistics {
    (
        ($dollar:tt)
        counters { $($(#[$counter_doc:meta])* $counter:ident,)* }
        rejected { $($(#[$reason_doc:meta])* $reason:ident => $rejected:ident,)* }
        sums { $($(#[$sum_doc:meta])* $sum:ident,)* }
        states { $($(#[$state_doc:meta])* $state:ident,)* }
    ) => {
        /// Counters that are not on the path of each message.
        #[derive(Debug, Default)]
        pub(crate) struct Cold {
            $(pub $counter: Counter,)*
            pub rejected: Rejected,
            pub last_rtt_ns: Counter,
            /// Kernel drops of control sockets that have been replaced.
            pub kernel_drops_before: Counter,
        }

        /// Counters of refused traffic, by reason.
        #[derive(Debug, Default)]
        pub(crate) struct Rejected {
            $(pub $reason: Counter,)*
        }

        impl Cold {
            /// Copies these counters to `stats`.
            pub fn read_into(&self, stats: &mut Stats) {
                $(stats.$counter = self.$counter.get();)*
                $(stats.$rejected = self.rejected.$reason.get();)*
                stats.rejected = 0 $(+ stats.$rejected)*;
            }
        }

        /// Statistics of a transport since its start or the last reset.
        ///
        /// Each counter is exact. They are read one after another, so traffic during the call may be in
        /// one counter and not yet in another.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            /// Whether the link can carry traffic at present.
            pub link_up: bool,
            /// Time since the start or the last reset.
            pub uptime: Duration,
            /// `uptime` in whole seconds.
            pub uptime_secs: u64,
            $($(#[$sum_doc])* pub $sum: u64,)*
            $($(#[$counter_doc])* pub $counter: u64,)*
            $($(#[$reason_doc])* pub $rejected: u64,)*
            $($(#[$state_doc])* pub $state: u64,)*
        }

        impl Stats {
            /// Subtracts the counts of `base`. Fields that are a state and not a count do not change.
            fn subtract(&mut self, base: &Self) {
                $(self.$sum = self.$sum.saturating_sub(base.$sum);)*
                $(self.$counter = self.$counter.saturating_sub(base.$counter);)*
                $(self.$rejected = self.$rejected.saturating_sub(base.$rejected);)*
            }
        }

        /// Calls a macro with the names of all fields of `Stats` that are `u64` in C too. The C ABI
        /// copies them one by one. A field that exists on one side only does not compile.
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
    // Each is a counter in `Cold`. A reset sets it to 0.
    counters {
        /// Data streams that peers opened.
        connections_accepted,
        /// Data streams that this side opened.
        connections_initiated,
        /// Failed sends, receives, accepts and stream calls. Time-outs and ends of streams do not count.
        errors,
        /// Messages dropped because the receive queue was full, or for another
        /// [`DropReason`](crate::DropReason).
        messages_dropped,
        /// Messages in `messages_dropped` for which there was no memory: the queue had
        /// `receive_queue_bytes`, or the system had none.
        dropped_memory,
        /// Messages in `messages_dropped` whose pieces arrived too slowly
        /// ([`DropReason::Slow`](crate::DropReason::Slow)).
        dropped_slow,
        /// Pongs, and ICMP errors about pings, that match no outstanding ping: late, duplicated or forged.
        pongs_ignored,
        /// Discovery answers of hosts beyond [`MAX_DISCOVERED_PEERS`](crate::MAX_DISCOVERED_PEERS), which
        /// are not in the result.
        discovery_dropped,
        /// Datagrams that the kernel did not send because the interface's queue was full: pings, pongs, and
        /// messages whose send returned [`QueueFull`](crate::TransportError::QueueFull). A queue that drops
        /// datagrams after it accepted them does not report that.
        send_drops,
        /// Pings sent, including those of discovery.
        pings_sent,
        /// Pongs that answered a ping in time.
        pongs_received,
        /// Pings of peers that were answered.
        pings_answered,
        /// Pings that were not answered because too many new source addresses sent pings: addresses that
        /// had no answer within the last minute. A host on the link forges sources.
        pings_limited,
        /// Pings that an ICMP error reported as undelivered: the peer has no socket on that port, or no
        /// host has the address.
        pings_undelivered,
        /// Datagrams, pings, streams and stream reads from peers that were not reported to
        /// [`on_peer`](crate::ThunderboltTransportBuilder::on_peer), because too many peers appeared
        /// recently or 1,024 were present.
        peers_not_reported,
    }
    // Each is a counter in `Rejected`: the name there, and the name in `Stats`. A reset sets it to 0.
    rejected {
        /// Datagrams and connections refused because their source is neither link-local nor loopback.
        source => rejected_source,
        /// Connections refused because `max_streams` were open, and streams that
        /// [gave way](crate::DataStream::give_way) to others.
        max_streams => rejected_max_streams,
        /// Connections refused and silent streams reset because of `max_silent_streams`.
        silent => rejected_silent,
        /// Connections refused because there were no descriptors, threads or memory.
        resources => rejected_resources,
        /// Streams that the application rejected for malformed data
        /// ([`DataStream::reject`](crate::DataStream::reject)).
        malformed => rejected_malformed,
    }
    // `Core::totals` adds them up from several counters or from the kernel's. A reset sets them to 0.
    sums {
        /// How often the link came up or went down.
        link_changes,
        /// Control messages sent. Pings and pongs do not count as messages.
        messages_sent,
        /// Control messages received, including those that were dropped afterwards.
        messages_received,
        /// Payload bytes of `messages_sent`.
        bytes_sent,
        /// Payload bytes of `messages_received`.
        bytes_received,
        /// Datagrams that the kernel dropped because the socket buffer was full or the checksum was wrong,
        /// including pings. Up to 64 datagrams that the kernel handled as one batch count as one.
        kernel_drops,
        /// Datagrams and connections that were refused: the sum of all `rejected_*`.
        rejected,
        /// Payload bytes written to data streams.
        stream_bytes_sent,
        /// Payload bytes read from data streams.
        stream_bytes_received,
        /// Handler calls that panicked.
        callback_failures,
    }
    // `Core::totals` sets them. A reset does not change them.
    states {
        /// Data streams that are open at present.
        streams_open,
        /// The last measured round trip in nanoseconds.
        last_rtt_ns,
        /// The size in bytes of the control socket's send buffer, as the kernel granted it.
        udp_send_buffer,
        /// The size in bytes of the control socket's receive buffer, as the kernel granted it.
        udp_receive_buffer,
    }
}

/// The values of the counters at the last reset. A reset does not change the counters themselves, so it
/// loses no concurrent increment.
pub(crate) struct Baseline(Mutex<(Instant, Stats)>);

impl Baseline {
    pub fn new() -> Self {
        Self(Mutex::new((Instant::now(), Stats::default())))
    }

    /// Makes `totals` the base of later calls of `since`.
    pub fn set(&self, totals: Stats) {
        *lock(&self.0) = (Instant::now(), totals);
    }

    /// `totals` minus the base.
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
