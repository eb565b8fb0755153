//! Status codes and their texts, and the version of the library.

use crate::symbol_versions::exported_since;
use std::ffi::{c_char, CStr};

/// Success.
pub const DCF_TB_OK: i32 = 0x0000;
/// The call would have to wait, and its timeout is 0. Poll, or call again later.
pub const DCF_TB_WOULD_BLOCK: i32 = 0x0002;
/// The stream or its transport was closed during the call. Do not use the handle any more.
pub const DCF_TB_CANCELLED: i32 = 0x0003;
/// The peer ended the stream, or the file ended. Compare the count with what you expected.
pub const DCF_TB_EOF: i32 = 0x0004;
/// A required pointer is NULL. Fix the call.
pub const DCF_TB_ERR_NULL_POINTER: i32 = 0x0100;
/// No memory is left, in the process or in the kernel. Free some, then call again.
pub const DCF_TB_ERR_OUT_OF_MEMORY: i32 = 0x0103;
/// A buffer is too small. No data is lost. Call again with the size in the out-length.
pub const DCF_TB_ERR_BUFFER_TOO_SMALL: i32 = 0x0104;
/// A setting is outside its range, or `struct_size` is wrong. Call `dcf_tb_config_init` first;
/// `dcf_tb_last_error` names the setting.
pub const DCF_TB_ERR_CONFIG_INVALID: i32 = 0x0201;
/// The kernel refused a socket option that the library needs. `dcf_tb_last_error` names it; the
/// kernel may be too old.
pub const DCF_TB_ERR_SOCKET_OPTION: i32 = 0x0300;
/// The host is there, but no program listens on that port. Start the program there, and compare the
/// ports.
pub const DCF_TB_ERR_CONNECTION_REFUSED: i32 = 0x0302;
/// This host has no such network interface. Plug in the cable, load the driver (`modprobe
/// thunderbolt-net`), or set `wait_for_interface`.
pub const DCF_TB_ERR_INTERFACE_NOT_FOUND: i32 = 0x0306;
/// A connection failed in another way. `dcf_tb_last_error` says how.
pub const DCF_TB_ERR_CONNECTION_FAILED: i32 = 0x030B;
/// The peer reset the connection: its program ended, or it has `max_streams` streams open. Open a
/// new stream later.
pub const DCF_TB_ERR_CONNECTION_RESET: i32 = 0x030D;
/// The link is up, but no route leads to that address, or no host answers for it. Waiting for the
/// link does not help: use the peer's link-local address, or discover the peer again.
pub const DCF_TB_ERR_HOST_UNREACHABLE: i32 = 0x030E;
/// The interface is down or gone, or has no carrier or address; or that was the case when the
/// stream ended. `dcf_tb_last_error` says which, why, and what to do. Wait with `dcf_tb_wait_link`,
/// or for `on_link`, until it is up again.
pub const DCF_TB_ERR_LINK_DOWN: i32 = 0x030F;
/// The peer stopped answering, or this host ended the connection. Open a new stream when the peer
/// is back.
pub const DCF_TB_ERR_CONNECTION_ABORTED: i32 = 0x0310;
/// `max_streams` streams are open on this host. Close some, or raise it.
pub const DCF_TB_ERR_TOO_MANY_CONNECTIONS: i32 = 0x0311;
/// Another program uses a port. `dcf_tb_last_error` says which port: stop that program, or
/// configure another port.
pub const DCF_TB_ERR_ADDRESS_IN_USE: i32 = 0x0312;
/// Received bytes are invalid, or `dcf_tb_stream_detach` found bytes that a failed
/// `dcf_tb_stream_receive_file` left. Read those first.
pub const DCF_TB_ERR_INVALID_MESSAGE: i32 = 0x0402;
/// One control message has more than `DCF_TB_MAX_MESSAGE_SIZE` bytes. Use a stream.
pub const DCF_TB_ERR_MESSAGE_TOO_LARGE: i32 = 0x0403;
/// This process was forked from one that had a transport open. Call exec, or fork before you open
/// one.
pub const DCF_TB_ERR_FORKED: i32 = 0x0600;
/// The transport was not started. The functions of this header do not return this.
pub const DCF_TB_ERR_NOT_INITIALIZED: i32 = 0x0601;
/// The transport was closed during the call. The functions of this header return `DCF_TB_CANCELLED`
/// or `DCF_TB_ERR_INVALID_HANDLE` instead.
pub const DCF_TB_ERR_SHUTDOWN: i32 = 0x0604;
/// A plugin was already set up, with other values. Only the plugin contracts return it.
pub(crate) const ALREADY_INITIALIZED: i32 = 0x0605;
/// This user has no permission for a port below 1024 or, before Linux 5.7, for binding to an
/// interface (CAP_NET_RAW).
pub const DCF_TB_ERR_PERMISSION_DENIED: i32 = 0x0701;
/// A peer string is not an address, or not one on the transport's interface. Use an IPv6 address,
/// with that interface or without `%`.
pub const DCF_TB_ERR_INVALID_ADDRESS: i32 = 0x0800;
/// An argument is outside its range. Fix the call.
pub const DCF_TB_ERR_OUT_OF_RANGE: i32 = 0x0801;
/// A handle is closed or stale, is of another kind, or never existed. Fix the call.
pub const DCF_TB_ERR_INVALID_HANDLE: i32 = 0x0805;
/// Another error of the operating system. `dcf_tb_last_errno` gives its number.
pub const DCF_TB_ERR_IO: i32 = 0x0900;
/// The stream was finished or closed on one side, or the peer is gone. Stop writing.
pub const DCF_TB_ERR_BROKEN_PIPE: i32 = 0x0908;
/// The time was up. Call again, or give up.
pub const DCF_TB_ERR_TIMEOUT: i32 = 0x0A00;
/// The process or the system has no file descriptors left. Raise `ulimit -n`, or close some.
pub const DCF_TB_ERR_TOO_MANY_FILES: i32 = 0x0B01;
/// The socket's send buffer or the interface's queue stayed full for a second. Send less, and check
/// that the peer receives.
pub const DCF_TB_ERR_QUEUE_FULL: i32 = 0x0B02;
/// A thread could not be started. Raise `ulimit -u`, or end other threads.
pub const DCF_TB_ERR_THREAD: i32 = 0x0B06;
/// An internal error, which the library caught. The process can go on. Please report it.
pub const DCF_TB_ERR_PANIC: i32 = 0xFFFF;

/// The result of a call: one of `DCF_TB_OK` to `DCF_TB_ERR_PANIC`. The numbers are those of DCF's
/// `DCFError` table.
#[allow(non_camel_case_types)]
pub type dcf_tb_status = i32;

fn text(status: dcf_tb_status) -> &'static CStr {
    match status {
        DCF_TB_OK => c"success",
        DCF_TB_WOULD_BLOCK => c"the call would have to wait, and its timeout is 0",
        DCF_TB_CANCELLED => c"cancelled by a close",
        DCF_TB_EOF => c"end of stream or file",
        DCF_TB_ERR_NULL_POINTER => c"NULL where a pointer is needed",
        DCF_TB_ERR_OUT_OF_MEMORY => c"out of memory",
        DCF_TB_ERR_BUFFER_TOO_SMALL => c"buffer too small",
        DCF_TB_ERR_CONFIG_INVALID => c"invalid configuration",
        DCF_TB_ERR_SOCKET_OPTION => c"a socket option could not be set",
        DCF_TB_ERR_CONNECTION_REFUSED => c"connection refused",
        DCF_TB_ERR_INTERFACE_NOT_FOUND => c"network interface not found",
        DCF_TB_ERR_CONNECTION_FAILED => c"connection failed",
        DCF_TB_ERR_CONNECTION_RESET => c"connection reset by the peer",
        DCF_TB_ERR_HOST_UNREACHABLE => c"host unreachable",
        DCF_TB_ERR_LINK_DOWN => c"the link is down, or was",
        DCF_TB_ERR_CONNECTION_ABORTED => c"connection aborted",
        DCF_TB_ERR_TOO_MANY_CONNECTIONS => c"too many streams are open",
        DCF_TB_ERR_ADDRESS_IN_USE => c"port already in use",
        DCF_TB_ERR_INVALID_MESSAGE => c"invalid message",
        DCF_TB_ERR_MESSAGE_TOO_LARGE => c"message too large",
        DCF_TB_ERR_FORKED => c"forked while a transport was open",
        DCF_TB_ERR_NOT_INITIALIZED => c"not initialized",
        DCF_TB_ERR_SHUTDOWN => c"the transport was closed",
        ALREADY_INITIALIZED => c"already set up with other values",
        DCF_TB_ERR_PERMISSION_DENIED => c"permission denied",
        DCF_TB_ERR_INVALID_ADDRESS => c"invalid peer address",
        DCF_TB_ERR_OUT_OF_RANGE => c"argument out of range",
        DCF_TB_ERR_INVALID_HANDLE => c"invalid handle",
        DCF_TB_ERR_IO => c"input/output error",
        DCF_TB_ERR_BROKEN_PIPE => c"broken pipe",
        DCF_TB_ERR_TIMEOUT => c"timed out",
        DCF_TB_ERR_TOO_MANY_FILES => c"too many open files",
        DCF_TB_ERR_QUEUE_FULL => c"send queue full",
        DCF_TB_ERR_THREAD => c"a thread could not be started",
        DCF_TB_ERR_PANIC => c"internal fault",
        _ => c"unknown status",
    }
}

/// A short text for a status. Works in a forked child.
///
/// Ownership: static text, valid for the life of the process. It is never NULL and must not be freed.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns: the text; "unknown status" for any other number.
#[no_mangle]
pub extern "C" fn dcf_tb_status_string(status: dcf_tb_status) -> *const c_char {
    text(status).as_ptr()
}

/// The ABI version of the loaded library. Compare it with `DCF_TB_ABI_VERSION` of the header that the
/// caller was compiled with. Works in a forked child.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns: the number.
#[no_mangle]
pub extern "C" fn dcf_tb_abi_version() -> u32 {
    crate::types::DCF_TB_ABI_VERSION
}

/// The version of the library, for example "1.0.0". Works in a forked child.
///
/// Ownership: static text, valid for the life of the process. It is never NULL and must not be freed.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns: the text.
#[no_mangle]
pub extern "C" fn dcf_tb_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_status_string,
    dcf_tb_abi_version,
    dcf_tb_version,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are DCF's and must never change.
    #[test]
    fn numbers_are_dcfs() {
        let table = [
            (DCF_TB_OK, 0x0000),
            (DCF_TB_WOULD_BLOCK, 0x0002),
            (DCF_TB_CANCELLED, 0x0003),
            (DCF_TB_EOF, 0x0004),
            (DCF_TB_ERR_NULL_POINTER, 0x0100),
            (DCF_TB_ERR_OUT_OF_MEMORY, 0x0103),
            (DCF_TB_ERR_BUFFER_TOO_SMALL, 0x0104),
            (DCF_TB_ERR_CONFIG_INVALID, 0x0201),
            (DCF_TB_ERR_SOCKET_OPTION, 0x0300),
            (DCF_TB_ERR_CONNECTION_REFUSED, 0x0302),
            (DCF_TB_ERR_INTERFACE_NOT_FOUND, 0x0306),
            (DCF_TB_ERR_CONNECTION_FAILED, 0x030B),
            (DCF_TB_ERR_CONNECTION_RESET, 0x030D),
            (DCF_TB_ERR_HOST_UNREACHABLE, 0x030E),
            (DCF_TB_ERR_LINK_DOWN, 0x030F),
            (DCF_TB_ERR_CONNECTION_ABORTED, 0x0310),
            (DCF_TB_ERR_TOO_MANY_CONNECTIONS, 0x0311),
            (DCF_TB_ERR_ADDRESS_IN_USE, 0x0312),
            (DCF_TB_ERR_INVALID_MESSAGE, 0x0402),
            (DCF_TB_ERR_MESSAGE_TOO_LARGE, 0x0403),
            (DCF_TB_ERR_FORKED, 0x0600),
            (DCF_TB_ERR_NOT_INITIALIZED, 0x0601),
            (DCF_TB_ERR_SHUTDOWN, 0x0604),
            (ALREADY_INITIALIZED, 0x0605),
            (DCF_TB_ERR_PERMISSION_DENIED, 0x0701),
            (DCF_TB_ERR_INVALID_ADDRESS, 0x0800),
            (DCF_TB_ERR_OUT_OF_RANGE, 0x0801),
            (DCF_TB_ERR_INVALID_HANDLE, 0x0805),
            (DCF_TB_ERR_IO, 0x0900),
            (DCF_TB_ERR_BROKEN_PIPE, 0x0908),
            (DCF_TB_ERR_TIMEOUT, 0x0A00),
            (DCF_TB_ERR_TOO_MANY_FILES, 0x0B01),
            (DCF_TB_ERR_QUEUE_FULL, 0x0B02),
            (DCF_TB_ERR_THREAD, 0x0B06),
            (DCF_TB_ERR_PANIC, 0xFFFF),
        ];
        let mut texts = std::collections::HashSet::new();
        for (status, number) in table {
            assert_eq!(status, number);
            assert_ne!(text(status), c"unknown status");
            assert!(texts.insert(text(status)), "{number:#x} shares its text");
        }
        for unknown in [-1, 1, 0x7FFF_FFFF, i32::MIN] {
            assert_eq!(text(unknown), c"unknown status");
        }
    }
}
