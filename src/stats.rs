//! Statistics.

use std::mem::size_of;

use thunderbolt_transport::Stats;

use crate::boundary;
use crate::pointers::nanoseconds;
use crate::sized_struct::{Output, SizedOut};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_transport;

/// What a transport has done since `dcf_tb_init` or the last `dcf_tb_reset_stats`. Later versions
/// may append members.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_stats {
    /// Size of this struct as the caller knows it; the caller sets it.
    pub struct_size: u32,
    /// 1 while the interface can carry traffic, else 0.
    pub link_up: u32,
    /// Control messages sent. Pings are not counted here.
    pub messages_sent: u64,
    /// Control messages received, including those that were then dropped.
    pub messages_received: u64,
    /// Bytes of the control messages sent.
    pub bytes_sent: u64,
    /// Bytes of the control messages received.
    pub bytes_received: u64,
    /// Streams that peers opened.
    pub connections_accepted: u64,
    /// Streams that we opened.
    pub connections_initiated: u64,
    /// Failed sends, receives, accepts and stream calls; not timeouts, and not the end of a stream.
    pub errors: u64,
    /// Nanoseconds since init or the last reset.
    pub uptime_ns: u64,
    /// Control messages dropped because the receive queue was full; counted as received too.
    pub messages_dropped: u64,
    /// Datagrams dropped by the kernel because the socket buffer was full, or because they arrived
    /// damaged (their checksum was wrong), pings included. Those of a batch that it handled in one
    /// piece, up to 64, count as one.
    pub kernel_drops: u64,
    /// What was refused: by its source, by a limit, or because it was malformed.
    pub rejected: u64,
    /// Bytes written to streams.
    pub stream_bytes_sent: u64,
    /// Bytes read from streams.
    pub stream_bytes_received: u64,
    /// Streams open at the moment. A reset does not change it.
    pub streams_open: u64,
    /// Pings sent, including those of discovery.
    pub pings_sent: u64,
    /// Answers to our pings.
    pub pongs_received: u64,
    /// Pings of others that we answered.
    pub pings_answered: u64,
    /// The last round trip, in nanoseconds.
    pub last_rtt_ns: u64,
    /// How often the link went down or came up.
    pub link_changes: u64,
    /// Callbacks that failed in a way that the library noticed.
    pub callback_failures: u64,
    /// Bytes of send buffer that the kernel granted to control messages.
    pub udp_send_buffer: u64,
    /// Bytes of receive buffer that the kernel granted to control messages.
    pub udp_receive_buffer: u64,
    /// Of `rejected`: the source is neither link-local nor loopback.
    pub rejected_source: u64,
    /// Of `rejected`: `max_streams` were open, or a connection of a DCF plugin host made room for others.
    pub rejected_max_streams: u64,
    /// Of `rejected`: `max_silent_streams` were silent.
    pub rejected_silent: u64,
    /// Of `rejected`: no descriptor, thread or memory was left for a connection.
    pub rejected_resources: u64,
    /// Of `messages_dropped`: there was no memory for them (`receive_queue_bytes`, or none at all).
    pub dropped_memory: u64,
    /// Pongs without a waiting ping, and ICMP errors about no waiting ping: late, doubled or forged.
    pub pongs_ignored: u64,
    /// Of `rejected`: a connection that did not follow the protocol between DCF plugin hosts.
    pub rejected_malformed: u64,
    /// Answers to discovery that were left out, from hosts beyond `DCF_TB_MAX_DISCOVERED`.
    pub discovery_dropped: u64,
    /// Datagrams that did not leave because the interface's own queue had no room for them: messages
    /// whose call gave `DCF_TB_ERR_QUEUE_FULL`, pings, and pongs. As far as the kernel tells: a queue
    /// that drops what it took before does not say so.
    pub send_drops: u64,
    /// Pings that were not answered, because too many came from addresses that were not answered within
    /// the last minute: a host on the link forges addresses.
    pub pings_limited: u64,
    /// Of `messages_dropped`: large messages to a DCF plugin host that came too slowly.
    pub dropped_slow: u64,
    /// Pings that did not reach the peer, as an ICMP error said that quotes them: nothing listens on that
    /// port there, or no host has the address.
    pub pings_undelivered: u64,
    /// What came from peers that the peer callback was not told of, because too many appeared of late or
    /// 1,024 were there: datagrams, pings, streams, reads of streams.
    pub peers_not_reported: u64,
}

const _: () = assert!(size_of::<dcf_tb_stats>() == 2 * 4 + 35 * 8);

// SAFETY: C layout, a u32 first, and by the assertion above no padding.
unsafe impl Output for dcf_tb_stats {}

/// Reads the statistics.
///
/// - `transport`: the handle.
/// - `stats`: gets them. The caller sets `struct_size` to `sizeof(dcf_tb_stats)`, and it stays.
///
/// Ownership: the figures are the caller's copy.
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

/// The copy for C: most figures are a `u64` of the same name, as `with_statistics` lists them.
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

/// Sets the counts to 0 and the uptime's begin to now. What describes the present (`link_up`,
/// `streams_open`, the buffers) stays.
///
/// - `transport`: the handle.
///
/// Ownership: nothing changes hands.
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
