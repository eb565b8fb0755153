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

/// The result of a series of pings. The times are 0 if no answer came.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_rtt {
    /// Size of this struct as the caller knows it; the caller sets it.
    pub struct_size: u32,
    /// Pings sent.
    pub sent: u32,
    /// Answers that came in time.
    pub received: u32,
    /// 0.
    pub reserved: u32,
    /// The shortest round trip, in nanoseconds.
    pub min_ns: u64,
    /// The mean, in nanoseconds.
    pub mean_ns: u64,
    /// Half of the round trips took at most so many nanoseconds.
    pub p50_ns: u64,
    /// 90 % took at most so many nanoseconds.
    pub p90_ns: u64,
    /// 99 % took at most so many nanoseconds.
    pub p99_ns: u64,
    /// 99.9 % took at most so many nanoseconds.
    pub p999_ns: u64,
    /// The longest round trip, in nanoseconds.
    pub max_ns: u64,
}

/// A peer that answered to discovery.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_peer {
    /// Its address with the scope, NUL-terminated: ready to be a peer in every other call.
    pub address: [c_char; DCF_TB_PEER_SIZE],
    /// How long its answer took, in nanoseconds.
    pub rtt_ns: u64,
}

const _: () = assert!(size_of::<dcf_tb_rtt>() == 4 * 4 + 7 * 8);
const _: () = assert!(size_of::<dcf_tb_peer>() == DCF_TB_PEER_SIZE + 8);

// SAFETY: C layout, a u32 first, and by the assertion above no padding.
unsafe impl Output for dcf_tb_rtt {}

/// Measures one round trip to a peer. This tells whether a program with a transport runs there:
/// `DCF_TB_OK`: it does. `DCF_TB_ERR_CONNECTION_REFUSED`, at once: the host is there, but nothing listens on
/// that port. `DCF_TB_ERR_HOST_UNREACHABLE`: no host has the address. The kernel takes about three
/// seconds to find that out; a call with a shorter timeout gives `DCF_TB_ERR_TIMEOUT`, and later ones say
/// it. `DCF_TB_ERR_TIMEOUT`: neither an answer nor an error came back; a firewall may drop them.
///
/// The errors are ICMP errors of the peer's kernel and of ours. One counts only if it quotes the ping. The
/// peer's kernel sends about one a second when many are asked for: a call that gets neither answer nor error
/// gives the error of an earlier one, if that came within the last four seconds and no answer came since.
/// They are counted in `pings_undelivered`.
///
/// - `transport`: the handle.
/// - `peer`: whom to ask; the strings are described at the top of this header.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `rtt_ns`: gets the time in nanoseconds.
///
/// Ownership: `peer` is used during the call only.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                   the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` or `rtt_ns` is NULL
///   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT                 no answer
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
///   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but nothing listens on that port
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
/// A ping that an ICMP error came back for (see `dcf_tb_measure_rtt`) ends the series, if none was answered
/// before it; else it counts as lost.
///
/// - `transport`: the handle.
/// - `peer`: whom to ask; the strings are described at the top of this header.
/// - `count`: how many pings, at least 1.
/// - `interval_us`: microseconds from one ping to the next; 0 = at once after the answer.
/// - `timeout_ms`: milliseconds to wait for each answer; `DCF_TB_WAIT_FOREVER` = no limit.
/// - `summary`: gets the figures. The caller sets `struct_size`, which stays. It is written if
///   there was no answer at all, too, whatever the reason.
///
/// Ownership: `peer` is used during the call only.
/// Blocks: for the whole series.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                          at least one answer came
///   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                   the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` or `summary` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE            `count` is 0, or `struct_size` less than 4
///   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT                 no answer at all
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
///   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but nothing listens on that port
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
            return Err(Failure::out_of_range("count", count, "at least 1 ping"));
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
                "no answer is there, and the call was not to wait",
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

/// Finds the other transports on the link, by a ping to all of them. We are not among them. An
/// interface without multicast (lo) has no peers.
///
/// The first `DCF_TB_MAX_DISCOVERED` that answer are found. Answers of others are counted in
/// `discovery_dropped` and logged: somebody on the link makes up addresses.
///
/// - `transport`: the handle.
/// - `timeout_ms`: milliseconds to collect answers; the call always takes that long.
/// - `peers`, `cap`: where to, and how many fit. `(NULL, 0)` only counts.
/// - `count`: gets how many there are, also if they do not all fit; then `cap` of them are written.
///
/// Ownership: the peers are the caller's copies.
/// Blocks: for `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                        also if there is no peer
///   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
///   DCF_TB_CANCELLED                 the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER          `count` is NULL, or `peers` is and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE          `cap` is more than any buffer has, or `control_port` is 0: no other
///                                    host has the one that the kernel chose
///   DCF_TB_ERR_BUFFER_TOO_SMALL      more than `cap`
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

/// As `dcf_tb_discover`, but returns as soon as `cap` peers have answered, and finds no more than that.
/// On a cable there is one peer: with a `cap` of 1 the call takes one round trip.
///
/// - `transport`: the handle.
/// - `timeout_ms`: milliseconds to wait at most; `DCF_TB_WAIT_FOREVER` = no limit.
/// - `peers`, `cap`: where to, and how many to find, at least one.
/// - `count`: gets how many were found: less than `cap`, or none, when the time was up.
///
/// Ownership: the peers are the caller's copies.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                        also if there is no peer
///   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
///   DCF_TB_CANCELLED                 the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER          `count` or `peers` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE          `cap` is 0, or more than any buffer has, or `control_port` is 0: no
///                                    other host has the one that the kernel chose
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

/// Searches, and writes the peers that fit and how many there are.
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
