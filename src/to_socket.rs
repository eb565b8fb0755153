//! Ready-made callbacks for programs in languages that a foreign thread must not call: they put what
//! happens into a socket, and a thread of the program's own takes it from there.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::os::fd::RawFd;

use crate::symbol_versions::exported_since;

/// A log callback that is ready-made: it sends each record as one datagram to a socket, for programs in
/// languages that a thread of the library must not call.
///
/// The datagram is text without a NUL: `log`, a space, the level, a space, the record. It is sent without
/// waiting and without a SIGPIPE: where the socket has no room, the record is lost. Close the socket when
/// `dcf_tb_close` has returned.
///
/// - `level`, `message`: the record, as any log callback gets it.
/// - `user_data`: the descriptor of a connected socket that keeps datagrams apart, such as one of
///   `socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)`, cast to a pointer: `(void *)(intptr_t)pair[0]`.
///
/// Ownership: the descriptor stays the caller's.
/// Blocks: never.
/// In callbacks: it is one. Called by the program itself, it does the same.
/// Returns: nothing.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_log_to_socket(
    level: i32,
    message: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: the promise of whoever calls a log callback.
    unsafe { send(&format!("log {level} "), message, user_data) };
}

/// A link callback that is ready-made: it sends each change as one datagram to a socket, for programs in
/// languages that a thread of the library must not call.
///
/// The datagram is text without a NUL: `link`, a space, `up`, a space, the interface's name. It may be the
/// socket of `dcf_tb_log_to_socket`: what happens first comes first. All that is said there holds.
///
/// - `up`, `interface_name`: the change, as any link callback gets it.
/// - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
///
/// Ownership: the descriptor stays the caller's.
/// Blocks: never.
/// In callbacks: it is one. Called by the program itself, it does the same.
/// Returns: nothing.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_link_to_socket(
    up: i32,
    interface_name: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: the promise of whoever calls a link callback.
    unsafe { send(&format!("link {up} "), interface_name, user_data) };
}

/// A peer callback that is ready-made: it sends each change as one datagram to a socket, for programs in
/// languages that a thread of the library must not call.
///
/// The datagram is text without a NUL: `peer`, a space, `appeared`, a space, the peer. It may be the
/// socket of `dcf_tb_log_to_socket`. All that is said there holds.
///
/// - `appeared`, `peer`: the change, as any peer callback gets it.
/// - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
///
/// Ownership: the descriptor stays the caller's.
/// Blocks: never.
/// In callbacks: it is one. Called by the program itself, it does the same.
/// Returns: nothing.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_peer_to_socket(
    appeared: i32,
    peer: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: the promise of whoever calls a peer callback.
    unsafe { send(&format!("peer {appeared} "), peer, user_data) };
}

/// # Safety
///
/// `text` is NULL or a string that lives for the call.
unsafe fn send(what: &str, text: *const c_char, user_data: *mut c_void) {
    let Ok(socket) = RawFd::try_from(user_data.addr()) else {
        return;
    };
    let text = match text.is_null() {
        true => c"",
        // SAFETY: the caller's promise.
        false => unsafe { CStr::from_ptr(text) },
    };
    let mut parts = [what.as_bytes(), text.to_bytes()].map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    // SAFETY: all zero is a message without an address and without control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    let flags: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message and what it leads to live for the call, which only reads them. A descriptor
    // that is no socket, or none at all, is an error; there is nobody to tell of it.
    unsafe { libc::sendmsg(socket, &message, flags) };
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_log_to_socket,
    dcf_tb_link_to_socket,
    dcf_tb_peer_to_socket,
}
