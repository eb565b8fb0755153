//! The counters of a stream, and the state of its connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use socket2::Socket;

use crate::sys::tcp_info::{connection, Connection};

/// The counters of one stream, and the state of its connection.
///
/// The counts begin when the stream is opened; [`reset_stats`](crate::ThunderboltTransport::reset_stats) does not
/// change them. All times are from the monotonic clock, which stops while the host sleeps. `since_sent` and the
/// fields after it come from the kernel (TCP_INFO of tcp(7)). After the connection has ended, the counts stay as
/// they were. The kernel's last values stay too, except after a reset by this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Whether the connection exists. It ends when it breaks, or when both sides have ended it.
    pub connected: bool,
    /// Bytes that the kernel accepted for sending.
    pub bytes_sent: u64,
    /// Bytes that were read, or written to a file.
    pub bytes_received: u64,
    /// How often the kernel accepted bytes. A call that has to wait for room counts several times.
    pub writes: u64,
    /// How often bytes were read. A call that has to wait for more bytes counts several times.
    pub reads: u64,
    /// The time since the stream was opened or accepted.
    pub age: Duration,
    /// The time since bytes were last sent or received: the shorter one of the next two.
    pub idle: Duration,
    /// The time since bytes were last sent, including retransmissions, or since the stream was opened. The kernel
    /// counts in ticks of 1 to 10 ms.
    pub since_sent: Duration,
    /// The time since bytes last arrived, read or not, or since the stream was opened. The kernel counts in ticks of
    /// 1 to 10 ms.
    pub since_received: Duration,
    /// Bytes of `bytes_sent` that are still in the send buffer.
    pub bytes_unsent: u64,
    /// Bytes of `bytes_sent` that left and that the peer's kernel has not acknowledged.
    pub bytes_unacknowledged: u64,
    /// The kernel's smoothed round-trip time; zero until something was acknowledged.
    pub rtt: Duration,
    /// How much it varies.
    pub rtt_variation: Duration,
    /// The shortest one of late.
    pub rtt_min: Duration,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Bytes a second that the peer acknowledged when the kernel last measured it; 0 until it has.
    pub delivery_rate: u64,
    /// Bytes that the peer has room for (since Linux 5.4; else 0). 0 is a closed window: its program does not read.
    pub peer_window: u64,
    /// Whether bytes wait because the peer's window is closed.
    pub stalled: bool,
    /// How long in all sending was held up by the peer's window (since Linux 4.10; else 0).
    pub stalled_time: Duration,
    /// The congestion window, in segments.
    pub congestion_window: u64,
    /// Bytes of payload in a segment at most.
    pub mss: u64,
}

/// The counters of one stream. One thread may read while another writes, so the two directions share no cache line.
#[derive(Default)]
pub(super) struct Counts {
    sent: CachePadded<Direction>,
    received: CachePadded<Direction>,
    opened: OnceLock<Instant>,
}

#[derive(Default)]
struct Direction {
    bytes: AtomicU64,
    calls: AtomicU64,
}

impl Direction {
    #[inline]
    fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    #[inline]
    pub fn sent(&self, bytes: usize) {
        self.sent.count(bytes);
    }

    #[inline]
    pub fn received(&self, bytes: usize) {
        self.received.count(bytes);
    }

    /// The stream is open from now on.
    pub fn opened(&self) {
        let _ = self.opened.set(Instant::now());
    }

    /// The counts, and what the kernel knows of the connection.
    pub fn stats(&self, socket: &Socket) -> StreamStats {
        let (sent, received) = (&self.sent, &self.received);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let own = StreamStats {
            bytes_sent: count(&sent.bytes),
            bytes_received: count(&received.bytes),
            writes: count(&sent.calls),
            reads: count(&received.calls),
            age: self.opened.get().map_or(Duration::ZERO, Instant::elapsed),
            ..StreamStats::default()
        };
        match connection(socket) {
            Ok(connection) => with_connection(own, &connection),
            Err(_) => own,
        }
    }
}

fn with_connection(own: StreamStats, connection: &Connection) -> StreamStats {
    let pending = &connection.pending;
    StreamStats {
        connected: connection.connected,
        idle: connection.since_sent.min(connection.since_received),
        since_sent: connection.since_sent,
        since_received: connection.since_received,
        bytes_unsent: connection.unsent,
        bytes_unacknowledged: connection.unacknowledged,
        rtt: connection.rtt,
        rtt_variation: connection.rtt_variation,
        rtt_min: connection.rtt_min,
        retransmits: connection.retransmits,
        delivery_rate: connection.delivery_rate,
        peer_window: pending.window.into(),
        stalled: connection.connected && pending.waits_for_window(),
        stalled_time: connection.window_limited,
        congestion_window: connection.congestion_window,
        mss: connection.mss,
        ..own
    }
}
