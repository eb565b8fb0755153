//! The layout that C sees is Rust's: `tests/c/layout.c` asserts each offset with the C compiler,
//! and these tests compare the same numbers.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

use crate::config::dcf_tb_config;
use crate::control::{dcf_tb_datagram, dcf_tb_received};
use crate::rtt::{dcf_tb_peer, dcf_tb_rtt};
use crate::stats::dcf_tb_stats;
use crate::stream_io::dcf_tb_slice;
use crate::stream_stats::dcf_tb_stream_stats;

const LAYOUT: &str = include_str!("../tests/c/layout.c");

/// The offsets that the C compiler checks: `AT(type, member, offset)`.
fn places(name: &str) -> BTreeMap<&'static str, usize> {
    let of_type = format!("AT({name}, ");
    let lines = LAYOUT.lines();
    lines
        .filter_map(|line| {
            let member = line.strip_prefix(&of_type)?.strip_suffix(");")?;
            let (member, place) = member.split_once(", ")?;
            Some((member, place.parse().expect("a number")))
        })
        .collect()
}

/// The C test must have each member with its offset in Rust, and the size of the struct.
macro_rules! same_in_c {
    ($($name:ident { $($member:ident)* })*) => {$(
        #[test]
        fn $name() {
            let rust = BTreeMap::from([$((stringify!($member), offset_of!($name, $member))),*]);
            assert_eq!(rust, places(stringify!($name)));
            let size = format!("ASSERT(sizeof({}) == {});", stringify!($name), size_of::<$name>());
            assert!(LAYOUT.contains(&size), "layout.c does not say: {size}");
        }
    )*};
}

same_in_c! {
    dcf_tb_config {
        struct_size control_port data_port interface_name buffer_size tcp_nodelay tcp_keepalive
        allow_any_source wait_for_interface busy_poll_us receive_queue max_streams
        connect_timeout_ms stream_dead_after_ms log_level on_message on_stream on_log on_link
        on_closed user_data receive_queue_bytes max_silent_streams silent_after_ms
        on_peer peer_timeout_ms remember_peers
    }
    dcf_tb_stats {
        struct_size link_up messages_sent messages_received bytes_sent bytes_received
        connections_accepted connections_initiated errors uptime_ns messages_dropped kernel_drops
        rejected stream_bytes_sent stream_bytes_received streams_open pings_sent pongs_received
        pings_answered last_rtt_ns link_changes callback_failures udp_send_buffer
        udp_receive_buffer rejected_source rejected_max_streams rejected_silent
        rejected_resources dropped_memory pongs_ignored rejected_malformed
        discovery_dropped send_drops pings_limited
        dropped_slow pings_undelivered peers_not_reported
    }
    dcf_tb_rtt {
        struct_size sent received reserved min_ns mean_ns p50_ns p90_ns p99_ns p999_ns max_ns
    }
    dcf_tb_peer { address rtt_ns }
    dcf_tb_datagram { peer data len }
    dcf_tb_received { data len sender }
    dcf_tb_slice { data len }
    dcf_tb_stream_stats {
        struct_size connected bytes_sent bytes_received writes reads age_ns idle_ns since_sent_ns
        since_received_ns bytes_unsent bytes_unacknowledged rtt_ns rtt_variation_ns rtt_min_ns
        retransmits delivery_rate peer_window stalled stalled_ns congestion_window mss
    }
}
