//! Statistics.

use std::mem::size_of;

use thunderbolt_transport::Stats;

use crate::boundary;
use crate::pointers::nanoseconds;
use crate::sized_struct::{Output, SizedOut};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_transport;

/// Counters of a transport since `dcf_tb_init` or the last `dcf_tb_reset_stats`, and its state.
/// Later versions may append members.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_stats {
    /// Size of this struct in the caller's header. The caller sets it.
    pub struct_size: u32,
    /// 1 while the interface can carry traffic, else 0.
    pub link_up: u32,
    /// Control messages sent, without pings.
    pub messages_sent: u64,
    /// Control messages received, including those that were dropped later.
    pub messages_received: u64,
    /// Bytes of the control messages sent.
    pub bytes_sent: u64,
    /// Bytes of the control messages received.
    pub bytes_received: u64,
    /// Streams that peers opened.
    pub connections_accepted: u64,
    /// Streams that this transport opened.
    pub connections_initiated: u64,
    /// Failed sends, receives, accepts and stream calls, without timeouts and ends of streams.
    pub errors: u64,
    /// Nanoseconds since `dcf_tb_init` or the last reset.
    pub uptime_ns: u64,
    /// Control messages dropped because the receive queue was full. They also count as received.
    pub messages_dropped: u64,
    /// Datagrams, including pings, that the kernel dropped because the socket buffer was full or
    /// their checksum was wrong. A batch of up to 64 datagrams that the kernel handles together
    /// counts as one.
    pub kernel_drops: u64,
    /// Messages, streams and pings refused because of their source, a limit, or their form.
    pub rejected: u64,
    /// Bytes written to streams.
    pub stream_bytes_sent: u64,
    /// Bytes read from streams.
    pub stream_bytes_received: u64,
    /// Streams that are open now. A reset does not change it.
    pub streams_open: u64,
    /// Pings sent, including those of discovery.
    pub pings_sent: u64,
    /// Pongs that answered a ping of this transport.
    pub pongs_received: u64,
    /// Pings of peers that this transport answered.
    pub pings_answered: u64,
    /// The most recent round trip, in nanoseconds.
    pub last_rtt_ns: u64,
    /// Number of times that the link went down or came up.
    pub link_changes: u64,
    /// Callbacks that failed in a way that the library noticed.
    pub callback_failures: u64,
    /// Bytes of send buffer that the kernel granted to the control socket.
    pub udp_send_buffer: u64,
    /// Bytes of receive buffer that the kernel granted to the control socket.
    pub udp_receive_buffer: u64,
    /// Part of `rejected`: the source is neither link-local nor loopback.
    pub rejected_source: u64,
    /// Part of `rejected`: `max_streams` were open, or a connection of a DCF plugin host was closed
    /// to make room for others.
    pub rejected_max_streams: u64,
    /// Part of `rejected`: `max_silent_streams` were silent.
    pub rejected_silent: u64,
    /// Part of `rejected`: no descriptor, thread or memory was left for a connection.
    pub rejected_resources: u64,
    /// Part of `messages_dropped`: no memory was left, in the limit of `receive_queue_bytes` or in
    /// the process.
    pub dropped_memory: u64,
    /// Pongs and ICMP errors that match no waiting ping: late, duplicate or forged.
    pub pongs_ignored: u64,
    /// Part of `rejected`: a connection that broke the protocol between DCF plugin hosts.
    pub rejected_malformed: u64,
    /// Discovery answers left out because `DCF_TB_MAX_DISCOVERED` hosts had answered before.
    pub discovery_dropped: u64,
    /// Datagrams that were not sent because the interface's queue was full: messages whose call
    /// returned `DCF_TB_ERR_QUEUE_FULL`, pings, and pongs. Datagrams that a queue drops after
    /// accepting them are unknown to the kernel and not counted.
    pub send_drops: u64,
    /// Pings that were not answered, because too many came from new addresses: those without an
    /// answer within the last minute. It means that a host on the link forges addresses.
    pub pings_limited: u64,
    /// Part of `messages_dropped`: large messages to a DCF plugin host that came too slowly.
    pub dropped_slow: u64,
    /// Pings for which an ICMP error came back: no program listens on that port, or no host has the
    /// address.
    pub pings_undelivered: u64,
    /// Traffic of peers that the peer callback did not report, because too many had appeared
    /// recently or 1,024 were present: datagrams, pings, streams, and reads of streams.
    pub peers_not_reported: u64,
}

const _: () = assert!(size_of::<dcf_tb_stats>() == 2 * 4 + 35 * 8);

// SAFETY: C layout, a u32 first, and by the assertion above no padding.
unsafe impl Output for dcf_tb_stats {}

/// Reads the statistics of a transport.
///
/// - `transport`: the handle.
/// - `stats`: receives them. The caller sets `struct_size` to `sizeof(dcf_tb_stats)`; the call does
///   not change it.
///
/// Ownership: the figures are copies that belong to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `stats` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE     `struct_size` is less than 4
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_get_stats(
    transport: dcf_tb_transport,
    stats: *mut dcf_tb_stats,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_get_stats", transport, |owner| {
        // SAFETY: the caller's promise about `stats`.
        let out = unsafe { SizedOut::new(stats, "stats") }?;
        out.set(&stats_for_c(&owner.transport.get_stats()));
        Ok(())
    })
}

/// Most members are a `u64` of the same name on both sides, as `with_statistics` lists them.
macro_rules! copy {
    ($($name:ident,)*) => {
        fn stats_for_c(stats: &Stats) -> dcf_tb_stats {
            dcf_tb_stats {
                struct_size: size_of::<dcf_tb_stats>() as u32,
                link_up: stats.link_up.into(),
                uptime_ns: nanoseconds(stats.uptime),
                $($name: stats.$name,)*
            }
        }
    };
}

thunderbolt_transport::with_statistics!(copy);

/// Sets the counters to 0, and the start of the uptime to now. Members that describe the present
/// state (`link_up`, `streams_open`, the buffers) stay.
///
/// - `transport`: the handle.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub extern "C" fn dcf_tb_reset_stats(transport: dcf_tb_transport) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_reset_stats", transport, |owner| {
        owner.transport.reset_stats();
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_get_stats,
    dcf_tb_reset_stats,
}
