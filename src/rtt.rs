//! Round trips and discovery.

use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;

use thunderbolt_transport::{
    DiscoveredPeer, PingOptions, RttSummary, ThunderboltTransport, TransportError,
};

use crate::boundary;
use crate::failure::Failure;
use crate::pointers::{
    buffer, nanoseconds, peer as peer_text, peer_member, reject_overlap, timeout, zero_count, Out,
    Region,
};
use crate::sized_struct::{Output, SizedOut};
use crate::status::{
    dcf_tb_status, DCF_TB_ERR_BUFFER_TOO_SMALL, DCF_TB_ERR_TIMEOUT, DCF_TB_WOULD_BLOCK,
};
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_transport, DCF_TB_PEER_SIZE};

/// The result of a series of pings. All times are 0 if no answer came.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_rtt {
    /// Size of this struct in the caller's header. The caller sets it.
    pub struct_size: u32,
    /// Pings sent.
    pub sent: u32,
    /// Answers that came in time.
    pub received: u32,
    /// Always 0.
    pub reserved: u32,
    /// The shortest round trip, in nanoseconds.
    pub min_ns: u64,
    /// The mean, in nanoseconds.
    pub mean_ns: u64,
    /// The median: half of the round trips took at most this many nanoseconds.
    pub p50_ns: u64,
    /// 90 % of the round trips took at most this many nanoseconds.
    pub p90_ns: u64,
    /// 99 % of the round trips took at most this many nanoseconds.
    pub p99_ns: u64,
    /// 99.9 % of the round trips took at most this many nanoseconds.
    pub p999_ns: u64,
    /// The longest round trip, in nanoseconds.
    pub max_ns: u64,
}

/// A peer that answered a discovery.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_peer {
    /// Its address with the scope: a NUL-terminated peer string for all other calls.
    pub address: [c_char; DCF_TB_PEER_SIZE],
    /// The time until its answer came, in nanoseconds.
    pub rtt_ns: u64,
}

const _: () = assert!(size_of::<dcf_tb_rtt>() == 4 * 4 + 7 * 8);
const _: () = assert!(size_of::<dcf_tb_peer>() == DCF_TB_PEER_SIZE + 8);

// SAFETY: C layout, a u32 first, and by the assertion above no padding.
unsafe impl Output for dcf_tb_rtt {}

/// Measures one round trip to a peer. The result also tells whether a program with a transport runs
/// there. `DCF_TB_OK` means that it does. `DCF_TB_ERR_CONNECTION_REFUSED`, which comes at once, means
/// that the host is there, but no program listens on that port. `DCF_TB_ERR_HOST_UNREACHABLE` means
/// that no host has the address. The kernel needs about three seconds to find that out, so a call with
/// a shorter timeout returns `DCF_TB_ERR_TIMEOUT`, and a later call returns the error.
/// `DCF_TB_ERR_TIMEOUT` means that neither an answer nor an error came back. A firewall may drop them.
///
/// The errors are ICMP errors of the peer's kernel or of this host's kernel. An error counts only
/// if it quotes the ping. The peer's kernel limits them to about one per second. So a call without
/// an answer or an error returns the error of an earlier ping, if that came within the last four
/// seconds and no answer came since. All of these errors are counted in `pings_undelivered`.
///
/// - `transport`: the handle.
/// - `peer`: the peer to ping; see "Peers" at the top of this header.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `rtt_ns`: receives the time in nanoseconds.
///
/// Ownership: `peer` is used only during the call.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                   the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` or `rtt_ns` is NULL
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT                 no answer
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
///   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but no program listens on that port
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_measure_rtt(
    transport: dcf_tb_transport,
    peer: *const c_char,
    timeout_ms: u32,
    rtt_ns: *mut u64,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_measure_rtt", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        reject_overlap(&[
            Region::text("peer", peer),
            Region::written("rtt_ns", rtt_ns, 1),
        ])?;
        // SAFETY: the caller's promise about `rtt_ns`.
        let rtt_ns = unsafe { Out::new(rtt_ns, "rtt_ns") }?;
        let time = owner.transport.round_trip(peer, timeout(timeout_ms))?;
        rtt_ns.set(nanoseconds(time));
        Ok(())
    })
}

/// Measures a series of round trips, one after another.
///
/// If an ICMP error comes back for a ping (see `dcf_tb_measure_rtt`) and no earlier ping was
/// answered, the series ends with that error. After an answer, such a ping only counts as lost.
///
/// - `transport`: the handle.
/// - `peer`: the peer to ping; see "Peers" at the top of this header.
/// - `count`: the number of pings, at least 1.
/// - `interval_us`: microseconds from one ping to the next; 0 = send the next ping as soon as the
///   answer comes.
/// - `timeout_ms`: milliseconds to wait for each answer; `DCF_TB_WAIT_FOREVER` = no limit.
/// - `summary`: receives the figures, also if no answer came. The caller sets `struct_size`; the
///   call does not change it.
///
/// Ownership: `peer` is used only during the call.
/// Blocks: for the whole series.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                          at least one answer came
///   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                   the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` or `summary` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE            `count` is 0, or `struct_size` is less than 4
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT                 no answer came
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
///   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but no program listens on that port
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_ping(
    transport: dcf_tb_transport,
    peer: *const c_char,
    count: u32,
    interval_us: u32,
    timeout_ms: u32,
    summary: *mut dcf_tb_rtt,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_ping", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        // SAFETY: the caller's promise about `summary`.
        let out = unsafe { SizedOut::new(summary, "summary") }?;
        reject_overlap(&[Region::text("peer", peer), out.region("summary")])?;
        if count == 0 {
            return Err(Failure::out_of_range(
                "count",
                count,
                "it must be at least 1",
            ));
        }
        let options = PingOptions {
            count,
            interval: Duration::from_micros(interval_us.into()),
            timeout: timeout(timeout_ms),
        };
        let (summary, error) = owner.transport.ping_counting(peer, &options)?;
        out.set(&summary_for_c(&summary));
        if let Some(error) = error {
            return Err(error.into());
        }
        match (summary.received, timeout_ms) {
            (1.., _) => Ok(()),
            (0, 0) => Err(Failure::new(
                DCF_TB_WOULD_BLOCK,
                "no answer came yet, and the timeout is 0",
            )),
            (0, _) => Err(Failure::new(
                DCF_TB_ERR_TIMEOUT,
                format!(
                    "no answer from {peer} to {} pings within {timeout_ms} ms each",
                    summary.sent
                ),
            )),
        }
    })
}

fn summary_for_c(summary: &RttSummary) -> dcf_tb_rtt {
    dcf_tb_rtt {
        struct_size: size_of::<dcf_tb_rtt>() as u32,
        sent: summary.sent,
        received: summary.received,
        reserved: 0,
        min_ns: nanoseconds(summary.min),
        mean_ns: nanoseconds(summary.mean),
        p50_ns: nanoseconds(summary.p50),
        p90_ns: nanoseconds(summary.p90),
        p99_ns: nanoseconds(summary.p99),
        p999_ns: nanoseconds(summary.p999),
        max_ns: nanoseconds(summary.max),
    }
}

/// Finds the other transports on the link with this control port, by one ping to the multicast
/// address. The transport itself is not among them. An interface without multicast (lo) has no
/// peers.
///
/// Finds the first `DCF_TB_MAX_DISCOVERED` peers that answer. Further answers are counted in
/// `discovery_dropped` and logged, because they mean that a host on the link forges addresses.
///
/// - `transport`: the handle.
/// - `timeout_ms`: milliseconds to collect answers. The call always takes that long.
/// - `peers`, `cap`: an array for the peers, and its length. `(NULL, 0)` only counts them.
/// - `count`: receives the number of peers. If that is more than `cap`, the array has the first
///   `cap` peers.
///
/// Ownership: the peers are copies that belong to the caller.
/// Blocks: for `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                        also if there is no peer
///   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
///   DCF_TB_CANCELLED                 the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER          `count` is NULL, or `peers` is NULL and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE          `cap` is larger than any buffer, or `control_port` was configured
///                                    as 0, so that no other host can have the same port
///   DCF_TB_ERR_BUFFER_TOO_SMALL      there are more than `cap`
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_discover(
    transport: dcf_tb_transport,
    timeout_ms: u32,
    peers: *mut dcf_tb_peer,
    cap: usize,
    count: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promises about the pointers.
    unsafe {
        find(
            "dcf_tb_discover",
            transport,
            peers,
            cap,
            count,
            |transport| transport.discover(timeout(timeout_ms)),
        )
    }
}

/// Like `dcf_tb_discover`, but returns as soon as `cap` peers have answered, and finds no more. A
/// cable has one peer, so with a `cap` of 1 the call takes one round trip.
///
/// - `transport`: the handle.
/// - `timeout_ms`: the longest time to wait, in milliseconds; `DCF_TB_WAIT_FOREVER` = no limit.
/// - `peers`, `cap`: an array for the peers, and how many to find, at least 1.
/// - `count`: receives the number of peers. It is less than `cap` if the time was up before.
///
/// Ownership: the peers are copies that belong to the caller.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                        also if there is no peer
///   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
///   DCF_TB_CANCELLED                 the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER          `count` or `peers` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE          `cap` is 0 or larger than any buffer, or `control_port` was
///                                    configured as 0, so that no other host can have the same port
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_discover_first(
    transport: dcf_tb_transport,
    timeout_ms: u32,
    peers: *mut dcf_tb_peer,
    cap: usize,
    count: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promises about the pointers.
    unsafe {
        find(
            "dcf_tb_discover_first",
            transport,
            peers,
            cap,
            count,
            |transport| transport.discover_first(cap, timeout(timeout_ms)),
        )
    }
}

/// Searches for peers, and writes those that fit and the number of all.
///
/// # Safety
///
/// `peers` is NULL or has room for `cap` of them; `count` is NULL or can be written to.
unsafe fn find(
    name: &'static str,
    transport: dcf_tb_transport,
    peers: *mut dcf_tb_peer,
    cap: usize,
    count: *mut usize,
    search: impl FnOnce(&ThunderboltTransport) -> Result<Vec<DiscoveredPeer>, TransportError>,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `count`.
    unsafe { zero_count(count) };
    boundary::on_transport(name, transport, |owner| {
        reject_overlap(&[
            Region::written("peers", peers, cap),
            Region::written("count", count, 1),
        ])?;
        // SAFETY: the caller's promise about `count`.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller's promise about `peers` and `cap`.
        let places = unsafe { buffer(peers, cap, "peers") }?;
        let found = search(&owner.transport)?;
        for (place, peer) in places.iter_mut().zip(&found) {
            place.address = peer_member(&peer.address);
            place.rtt_ns = nanoseconds(peer.rtt);
        }
        count.set(found.len());
        if found.len() > cap {
            let text = format!(
                "peers is too small: it has room for {cap} peers, and {} answered",
                found.len()
            );
            return Err(Failure::new(DCF_TB_ERR_BUFFER_TOO_SMALL, text));
        }
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_measure_rtt,
    dcf_tb_ping,
    dcf_tb_discover,
    dcf_tb_discover_first,
}
