//! When a peer was last heard from.

use std::ffi::c_char;

use crate::boundary;
use crate::failure::Failure;
use crate::pointers::{nanoseconds, peer as peer_text, reject_overlap, Out, Region};
use crate::status::{dcf_tb_status, DCF_TB_WOULD_BLOCK};
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_transport;

/// Returns how long ago anything last came from a peer: a message, a ping, a pong, a stream, or
/// data of a stream. The port of the peer does not matter.
///
/// A transport remembers this if `remember_peers` is set, or while it has a peer callback. It
/// remembers up to 4,096 peers that this function was called for, and up to 4,096 others. So forged
/// source addresses cannot displace a peer that the program asked for.
///
/// - `transport`: the handle.
/// - `peer`: the peer; see "Peers" at the top of this header.
/// - `ns_ago`: receives the time in nanoseconds.
///
/// Ownership: `peer` is used only during the call.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK                 nothing came from it yet or since `dcf_tb_forget`, or the
///                                      transport does not remember peers
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` or `ns_ago` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE            `peer` and `ns_ago` overlap
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_last_heard(
    transport: dcf_tb_transport,
    peer: *const c_char,
    ns_ago: *mut u64,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_last_heard", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        reject_overlap(&[
            Region::text("peer", peer),
            Region::written("ns_ago", ns_ago, 1),
        ])?;
        // SAFETY: the caller's promise about `ns_ago`.
        let ns_ago = unsafe { Out::new(ns_ago, "ns_ago") }?;
        let Some(last) = owner.transport.last_heard(peer)? else {
            let text = format!("nothing came from {peer} yet");
            return Err(Failure::new(DCF_TB_WOULD_BLOCK, text));
        };
        ns_ago.set(nanoseconds(last.elapsed()));
        Ok(())
    })
}

/// Forgets when a peer was last heard from. The peer callback does not report that the peer
/// vanished. It reports that the peer appears when something comes from it again.
///
/// - `transport`: the handle.
/// - `peer`: the peer; see "Peers" at the top of this header.
///
/// Ownership: `peer` is used only during the call.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                          also if nothing ever came from it
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` is NULL
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_forget(
    transport: dcf_tb_transport,
    peer: *const c_char,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_forget", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        Ok(owner.transport.forget(peer)?)
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_last_heard,
    dcf_tb_forget,
}
