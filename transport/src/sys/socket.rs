//! Sockets bound to one interface, and the few calls that socket2 does not have.

mod address;
mod transfer;

use std::io;
use std::mem::size_of;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub(crate) use address::{from_c, to_c};
pub(crate) use transfer::{
    abort, accept, receive, receive_from, receive_uninit, send, send_to, send_vectored,
};

use super::check;

/// A non-blocking, close-on-exec IPv6 UDP socket that sends and receives on `interface` only. What it
/// sends to a multicast group goes to other hosts and does not come back to this one.
pub(crate) fn udp(interface: &str) -> Result<Socket, SocketError> {
    let socket = bound_to(interface, Type::DGRAM, Protocol::UDP)?;
    let quiet = socket.set_multicast_loop_v6(false);
    quiet.map_err(SocketError::Socket)?;
    Ok(socket)
}

/// The same for TCP.
pub(crate) fn tcp(interface: &str) -> Result<Socket, SocketError> {
    bound_to(interface, Type::STREAM, Protocol::TCP)
}

/// Why there is no such socket.
#[derive(Debug)]
pub(crate) enum SocketError {
    /// It could not be made.
    Socket(io::Error),
    /// It could not be tied to the interface.
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

/// Binds to `[::]:port`; the interface is the socket's already.
pub(crate) fn bind_port(socket: &Socket, port: u16) -> io::Result<()> {
    socket.bind(&SockAddr::from(SocketAddrV6::new(
        Ipv6Addr::UNSPECIFIED,
        port,
        0,
        0,
    )))
}

/// The port that a bound socket has.
pub(crate) fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?;
    Ok(address.as_socket_ipv6().map_or(0, |address| address.port()))
}

/// Sets a socket buffer past `rmem_max`/`wmem_max`, for which CAP_NET_ADMIN is needed (socket(7)).
pub(crate) fn force_buffer(socket: &Socket, option: BufferOption, bytes: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let name = match option {
        BufferOption::Send => libc::SO_SNDBUFFORCE,
        BufferOption::Receive => libc::SO_RCVBUFFORCE,
    };
    set_int(socket.as_fd(), libc::SOL_SOCKET, name, value)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferOption {
    Send,
    Receive,
}

/// Asks that datagrams of one flow come joined, with their size beside them (UDP_GRO, udp(7)). False
/// where the kernel does not know it. There is no way back: the kernel tells that size only as long
/// as it is on, of datagrams too that it joined before.
pub(crate) fn join_datagrams(socket: &Socket) -> bool {
    set_int(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).is_ok()
}

/// Lets each look at an empty socket ask the device itself, instead of waiting for its interrupt
/// (SO_BUSY_POLL, socket(7)). It takes effect where the driver has NAPI and the kernel was built with
/// it, and needs CAP_NET_ADMIN; without it nothing changes.
pub(crate) fn busy_poll(socket: &Socket, time: Duration) -> bool {
    let micros = libc::c_int::try_from(time.as_micros()).unwrap_or(libc::c_int::MAX);
    set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, micros).is_ok()
}

/// Asks that the address which a datagram was sent to comes with it (IPV6_RECVPKTINFO, ipv6(7)).
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
    // SAFETY: the value is an int, and its size is given.
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

/// Datagrams that the kernel dropped on this socket because its buffer was full: what SO_RXQ_OVFL
/// would tell beside the next message, at any time and without a cost per message (SO_MEMINFO).
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
