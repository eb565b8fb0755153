//! Binding sockets to the interface: the errors, and the sizes of their buffers.

use std::io;

use socket2::Socket;

use crate::error::TransportError;
use crate::sys::socket::{self, BufferOption, SocketError};

/// The error of a socket that cannot be bound to the interface. Starting fails then: nothing ever falls back to
/// another network.
pub(crate) fn cannot_bind_device(interface: &str, error: SocketError) -> TransportError {
    let source = match error {
        SocketError::Device(source) => source,
        SocketError::Socket(source) => {
            let why = match source.raw_os_error() {
                Some(libc::EAFNOSUPPORT) => {
                    ": this kernel has no IPv6; remove ipv6.disable=1 from its command line"
                }
                _ => "",
            };
            return TransportError::from_os(format!("cannot make an IPv6 socket{why}"), source);
        }
    };
    match source.raw_os_error() {
        Some(libc::EPERM) => TransportError::PermissionDenied {
            action: format!(
                "cannot bind to interface \"{interface}\" (CAP_NET_RAW before Linux 5.7)"
            ),
            source,
        },
        // The cable was pulled a moment ago.
        Some(errno @ libc::ENODEV) => TransportError::LinkDown {
            interface: interface.to_owned(),
            reason: format!("there is no such interface: cannot bind a socket to it: {source}"),
            errno: Some(errno),
            back: false,
        },
        _ => TransportError::socket_option(
            "SO_BINDTODEVICE",
            format_args!("\"{interface}\""),
            &source,
        ),
    }
}

/// The error of a socket that cannot be bound to its port.
pub(crate) fn cannot_bind_port(
    protocol: &'static str,
    interface: &str,
    port: u16,
    source: io::Error,
) -> TransportError {
    let action = format!("cannot bind {protocol} port {port} on \"{interface}\"");
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => TransportError::AddressInUse {
            protocol,
            port,
            interface: interface.to_owned(),
            source,
        },
        Some(libc::EACCES | libc::EPERM) => TransportError::PermissionDenied {
            action: format!(
                "{action} (ports below net.ipv4.ip_unprivileged_port_start, usually 1024, need \
                 CAP_NET_BIND_SERVICE; choose a higher one)"
            ),
            source,
        },
        // The cable was pulled a moment ago.
        Some(errno @ (libc::ENODEV | libc::ENETDOWN)) => TransportError::LinkDown {
            interface: interface.to_owned(),
            reason: format!("{action}: {source}"),
            errno: Some(errno),
            back: false,
        },
        _ => TransportError::from_os(action, source),
    }
}

/// Asks for `wanted` bytes of buffer and returns what was granted. It never makes the buffer smaller.
pub(crate) fn enlarge_buffer(socket: &Socket, option: BufferOption, wanted: usize) -> usize {
    let granted = || match option {
        BufferOption::Send => socket.send_buffer_size().unwrap_or(0) / 2,
        BufferOption::Receive => socket.recv_buffer_size().unwrap_or(0) / 2,
    };
    // The kernel doubles the value in an int.
    let wanted = wanted.min((i32::MAX / 2) as usize);
    if granted() >= wanted || socket::force_buffer(socket, option, wanted).is_ok() {
        return granted();
    }
    // Without privilege the kernel caps it at rmem_max or wmem_max, without an error.
    let _ = match option {
        BufferOption::Send => socket.set_send_buffer_size(wanted),
        BufferOption::Receive => socket.set_recv_buffer_size(wanted),
    };
    granted()
}
