//! Sockets that are bound to one interface, and socket calls that socket2 does not have.

mod address;
mod transfer;

use std::io;
use std::mem::size_of;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub(crate) use address::{from_c, to_c};
pub(crate) use transfer::{
    abort, accept, receive, receive_from, receive_uninit, send, send_to, send_vectored,
};

use super::check;

/// Makes a non-blocking, close-on-exec IPv6 UDP socket that sends and receives on `interface` only.
/// Multicast datagrams are not looped back to this host.
pub(crate) fn udp(interface: &str) -> Result<Socket, SocketError> {
    let socket = bound_to(interface, Type::DGRAM, Protocol::UDP)?;
    socket
        .set_multicast_loop_v6(false)
        .map_err(SocketError::Socket)?;
    Ok(socket)
}

/// Makes a non-blocking, close-on-exec IPv6 TCP socket that sends and receives on `interface` only.
pub(crate) fn tcp(interface: &str) -> Result<Socket, SocketError> {
    bound_to(interface, Type::STREAM, Protocol::TCP)
}

/// Why a socket could not be made.
#[derive(Debug)]
pub(crate) enum SocketError {
    /// Creating it or setting an option failed.
    Socket(io::Error),
    /// Binding it to the interface failed.
    Device(io::Error),
}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Socket(source) | SocketError::Device(source) => source,
        }
    }
}

fn bound_to(interface: &str, kind: Type, protocol: Protocol) -> Result<Socket, SocketError> {
    let socket = Socket::new(Domain::IPV6, kind.nonblocking(), Some(protocol))
        .and_then(|socket| socket.set_only_v6(true).map(|()| socket))
        .map_err(SocketError::Socket)?;
    let bound = socket.bind_device(Some(interface.as_bytes()));
    bound.map_err(SocketError::Device)?;
    Ok(socket)
}

/// Binds to `[::]:port`. The socket is bound to its interface already.
pub(crate) fn bind_port(socket: &Socket, port: u16) -> io::Result<()> {
    socket.bind(&SockAddr::from(SocketAddrV6::new(
        Ipv6Addr::UNSPECIFIED,
        port,
        0,
        0,
    )))
}

/// The port of a bound socket.
pub(crate) fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?;
    Ok(address.as_socket_ipv6().map_or(0, |address| address.port()))
}

/// Sets the size of a socket buffer in bytes, without the limit of `rmem_max` or `wmem_max`. It needs
/// CAP_NET_ADMIN (socket(7)).
pub(crate) fn force_buffer(socket: &Socket, option: BufferOption, bytes: usize) -> io::Result<()> {
    let bytes = bytes.min(i32::MAX as usize);
    match option {
        BufferOption::Send => sockopt::set_socket_send_buffer_size_force(socket, bytes),
        BufferOption::Receive => sockopt::set_socket_recv_buffer_size_force(socket, bytes),
    }?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferOption {
    Send,
    Receive,
}

/// Lets the kernel coalesce datagrams of one flow, and report their size in a control message
/// (UDP_GRO, udp(7)). False if the kernel does not support it. It must never be disabled again:
/// datagrams that were coalesced before would then be delivered without their size.
pub(crate) fn join_datagrams(socket: &Socket) -> bool {
    set_int(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).is_ok()
}

/// Makes closing the socket reset the connection, so that the peer learns of it at once.
pub(crate) fn reset_on_close(socket: &Socket) {
    // It fails for no socket that is open.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Lets a receive or poll on an empty socket poll the device for up to `time`, instead of waiting for
/// its interrupt (SO_BUSY_POLL, socket(7)). The driver and the kernel must support it, and it needs
/// CAP_NET_ADMIN. False if it could not be set; the socket works as before then.
pub(crate) fn busy_poll(socket: &Socket, time: Duration) -> bool {
    let micros = libc::c_int::try_from(time.as_micros()).unwrap_or(libc::c_int::MAX);
    set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, micros).is_ok()
}

/// Sets whether the socket reports the destination address of each datagram (IPV6_RECVPKTINFO,
/// ipv6(7)).
pub(crate) fn tell_destination(socket: &Socket, on: bool) -> io::Result<()> {
    set_int(
        socket.as_fd(),
        libc::IPPROTO_IPV6,
        libc::IPV6_RECVPKTINFO,
        on.into(),
    )
}

pub(super) fn set_int(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: pointer and size are those of an int.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// The number of datagrams that the kernel dropped because this socket's buffer was full (SO_MEMINFO).
/// SO_RXQ_OVFL would report the same number with each message, at a cost per message.
pub(crate) fn dropped_by_kernel(socket: &Socket) -> io::Result<u32> {
    // SK_MEMINFO_DROPS of linux/sock_diag.h.
    const DROPS: usize = 8;
    let mut info = [0u32; 9];
    let mut length = size_of::<[u32; 9]>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    Ok(info[DROPS])
}
