//! Statistics of one data stream.

use std::mem::size_of;

use thunderbolt_transport::StreamStats;

use crate::boundary;
use crate::pointers::nanoseconds;
use crate::sized_struct::{Output, SizedOut};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_stream;

/// Counters of a stream since it was opened, and the state of its connection. Later versions may
/// append members.
///
/// Times are those of CLOCK_MONOTONIC, which stops while the host sleeps. The members from
/// `since_sent_ns` on come from the kernel (TCP_INFO of tcp(7)).
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_stream_stats {
    /// Size of this struct in the caller's header. The caller sets it.
    pub struct_size: u32,
    /// 1 while the connection exists; 0 after it broke or both sides have ended it.
    pub connected: u32,
    /// Bytes that the kernel accepted for sending.
    pub bytes_sent: u64,
    /// Bytes that were read, or written to a file.
    pub bytes_received: u64,
    /// Number of times that the kernel accepted bytes. A call that waits for room counts several
    /// times.
    pub writes: u64,
    /// Number of times that bytes were read. A call that waits for more bytes counts several times.
    pub reads: u64,
    /// Nanoseconds since the stream was opened or accepted.
    pub age_ns: u64,
    /// Nanoseconds since bytes were last sent or received, or since the stream was opened: the
    /// smaller one of the next two members.
    pub idle_ns: u64,
    /// Nanoseconds since bytes were last sent, including retransmissions. The kernel counts in
    /// ticks of 1 to 10 ms.
    pub since_sent_ns: u64,
    /// Nanoseconds since bytes last arrived, read or not. The kernel counts in ticks of 1 to 10 ms.
    pub since_received_ns: u64,
    /// Bytes of `bytes_sent` that still wait in the send buffer.
    pub bytes_unsent: u64,
    /// Bytes of `bytes_sent` that were sent, but not yet acknowledged by the peer's kernel.
    pub bytes_unacknowledged: u64,
    /// The kernel's smoothed round-trip time, in nanoseconds; 0 before the first acknowledgement.
    pub rtt_ns: u64,
    /// Variation of the round-trip time, in nanoseconds.
    pub rtt_variation_ns: u64,
    /// The shortest recent round-trip time, in nanoseconds.
    pub rtt_min_ns: u64,
    /// Segments that were retransmitted.
    pub retransmits: u64,
    /// Bytes per second that the peer acknowledged, as last measured by the kernel; 0 before the
    /// first measurement.
    pub delivery_rate: u64,
    /// Size of the peer's receive window in bytes (since Linux 5.4; else 0). 0 is a closed window:
    /// the peer's program does not read.
    pub peer_window: u64,
    /// 1 while bytes wait because the peer's window is closed, else 0.
    pub stalled: u64,
    /// Total time that the peer's window held up sending, in nanoseconds (since Linux 4.10; else
    /// 0).
    pub stalled_ns: u64,
    /// The congestion window, in segments.
    pub congestion_window: u64,
    /// The most bytes of payload in a segment.
    pub mss: u64,
}

const _: () = assert!(size_of::<dcf_tb_stream_stats>() == 2 * 4 + 20 * 8);

// SAFETY: C layout, a u32 first, and by the assertion above no padding.
unsafe impl Output for dcf_tb_stream_stats {}

/// Reads the statistics of a stream. `dcf_tb_reset_stats` does not change them.
///
/// They can be read as long as the handle is valid, also after `dcf_tb_stream_finish`, and after
/// the connection broke or the peer ended it. The counters, and the last values from the kernel,
/// then stay as they were. If this side reset the connection, there are no values from the kernel.
///
/// - `stream`: the handle.
/// - `stats`: receives them. The caller sets `struct_size` to `sizeof(dcf_tb_stream_stats)`; the
///   call does not change it.
///
/// Ownership: the figures are copies that belong to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE   also if the stream was closed or detached: read them before
///   DCF_TB_ERR_NULL_POINTER     `stats` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE     `struct_size` is less than 4
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_get_stats(
    stream: dcf_tb_stream,
    stats: *mut dcf_tb_stream_stats,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_get_stats", stream, |stream| {
        // SAFETY: the caller's promise about `stats`.
        let out = unsafe { SizedOut::new(stats, "stats") }?;
        out.set(&stats_for_c(&stream.data.stats()));
        Ok(())
    })
}

fn stats_for_c(stats: &StreamStats) -> dcf_tb_stream_stats {
    dcf_tb_stream_stats {
        struct_size: size_of::<dcf_tb_stream_stats>() as u32,
        connected: stats.connected.into(),
        bytes_sent: stats.bytes_sent,
        bytes_received: stats.bytes_received,
        writes: stats.writes,
        reads: stats.reads,
        age_ns: nanoseconds(stats.age),
        idle_ns: nanoseconds(stats.idle),
        since_sent_ns: nanoseconds(stats.since_sent),
        since_received_ns: nanoseconds(stats.since_received),
        bytes_unsent: stats.bytes_unsent,
        bytes_unacknowledged: stats.bytes_unacknowledged,
        rtt_ns: nanoseconds(stats.rtt),
        rtt_variation_ns: nanoseconds(stats.rtt_variation),
        rtt_min_ns: nanoseconds(stats.rtt_min),
        retransmits: stats.retransmits,
        delivery_rate: stats.delivery_rate,
        peer_window: stats.peer_window,
        stalled: stats.stalled.into(),
        stalled_ns: nanoseconds(stats.stalled_time),
        congestion_window: stats.congestion_window,
        mss: stats.mss,
    }
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_stream_get_stats,
}
