//! Ready-made callbacks for languages whose code must not run on threads of the library. They write
//! each event to a socket, and a thread of the program reads it there.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::os::fd::RawFd;

use crate::symbol_versions::exported_since;

/// A ready-made log callback that sends each record as one datagram to a socket. It is for
/// languages whose code must not run on threads of the library.
///
/// The datagram is text without a NUL: `log`, a space, the level, a space, the record. Sending does
/// not wait and raises no SIGPIPE. If the socket has no room, the record is lost. Close the socket
/// after `dcf_tb_close` has returned.
///
/// - `level`, `message`: the arguments of a log callback.
/// - `user_data`: the descriptor of a connected socket that preserves message boundaries, cast to a
///   pointer: `(void *)(intptr_t)pair[0]` after `socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)`.
///
/// Ownership: the descriptor belongs to the caller.
/// Blocks: never.
/// In callbacks: it is a callback itself, and any code may call it.
/// Returns: no value.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_log_to_socket(
    level: i32,
    message: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: every caller of a log callback passes a valid string.
    unsafe { send(&format!("log {level} "), message, user_data) };
}

/// A ready-made link callback that sends each change as one datagram to a socket. It is for
/// languages whose code must not run on threads of the library.
///
/// The datagram is text without a NUL: `link`, a space, `up`, a space, the name of the interface.
/// The socket can be that of `dcf_tb_log_to_socket`, and then receives all datagrams in the order
/// of the events. It is used in the same way.
///
/// - `up`, `interface_name`: the arguments of a link callback.
/// - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
///
/// Ownership: the descriptor belongs to the caller.
/// Blocks: never.
/// In callbacks: it is a callback itself, and any code may call it.
/// Returns: no value.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_link_to_socket(
    up: i32,
    interface_name: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: every caller of a link callback passes a valid string.
    unsafe { send(&format!("link {up} "), interface_name, user_data) };
}

/// A ready-made peer callback that sends each change as one datagram to a socket. It is for
/// languages whose code must not run on threads of the library.
///
/// The datagram is text without a NUL: `peer`, a space, `appeared`, a space, the peer. The socket
/// can be that of `dcf_tb_log_to_socket`, and is used in the same way.
///
/// - `appeared`, `peer`: the arguments of a peer callback.
/// - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
///
/// Ownership: the descriptor belongs to the caller.
/// Blocks: never.
/// In callbacks: it is a callback itself, and any code may call it.
/// Returns: no value.
#[no_mangle]
pub unsafe extern "C-unwind" fn dcf_tb_peer_to_socket(
    appeared: i32,
    peer: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: every caller of a peer callback passes a valid string.
    unsafe { send(&format!("peer {appeared} "), peer, user_data) };
}

/// # Safety
///
/// `text` is NULL, or a string that is valid during the call.
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
    // SAFETY: an all-zero msghdr is valid, and has no address and no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    let flags: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message and its parts are valid during the call, which only reads them. A
    // descriptor that is no socket, or is not open, gives an error, which cannot be reported.
    unsafe { libc::sendmsg(socket, &message, flags) };
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_log_to_socket,
    dcf_tb_link_to_socket,
    dcf_tb_peer_to_socket,
}
