//! Sockets bound to one interface, and the few calls that socket2 does not have.

use std::io::{self, IoSlice};
use std::mem::{size_of, MaybeUninit};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::read_buffer::ReadBuffer;
use super::{check, check_size, direct};

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

/// `struct sockaddr_in6` of an address.
pub(crate) fn to_c(address: &SocketAddrV6) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: address.flowinfo(),
        sin6_addr: libc::in6_addr {
            s6_addr: address.ip().octets(),
        },
        sin6_scope_id: address.scope_id(),
    }
}

/// The address in a `struct sockaddr_in6`. Flow information is of no use to anyone here.
pub(crate) fn from_c(address: &libc::sockaddr_in6) -> SocketAddrV6 {
    SocketAddrV6::new(
        Ipv6Addr::from(address.sin6_addr.s6_addr),
        u16::from_be(address.sin6_port),
        0,
        address.sin6_scope_id,
    )
}

/// Sends one datagram. Never blocks, never raises SIGPIPE.
pub(crate) fn send_to(socket: BorrowedFd<'_>, data: &[u8], to: &SocketAddrV6) -> io::Result<()> {
    let address = to_c(to);
    // SAFETY: pointers and lengths of the data and of the address belong together.
    check_size(unsafe {
        direct!(
            SYS_sendto,
            socket.as_raw_fd(),
            data.as_ptr(),
            data.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            &raw const address,
            size_of::<libc::sockaddr_in6>(),
        )
    })
    .map(drop)
}

/// Sends on a connected socket what it takes. Never blocks, never raises SIGPIPE.
pub(crate) fn send(socket: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length belong together.
    check_size(unsafe {
        direct!(
            SYS_sendto,
            socket.as_raw_fd(),
            data.as_ptr(),
            data.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            std::ptr::null::<libc::sockaddr>(),
            0usize,
        )
    })
}

/// Most pieces that one call takes (IOV_MAX of limits.h).
const PIECES: usize = 1024;

/// Sends several pieces on a connected socket as if they were one, or as much of them as it takes.
/// Never blocks, never raises SIGPIPE.
pub(crate) fn send_vectored(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: all bytes zero is a valid msghdr: no address, no pieces, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An IoSlice is an iovec, by the documentation of the standard library. The kernel only reads.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len().min(PIECES) as _;
    // SAFETY: pointer and number of the pieces belong together, and they outlive the call.
    check_size(unsafe {
        direct!(
            SYS_sendmsg,
            socket.as_raw_fd(),
            &raw const message,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })
}

/// Receives what is there. Never blocks.
pub(crate) fn receive(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    ReadBuffer::from(buf).receive(socket)
}

/// The same into memory that need not be initialised: as many bytes of it are then.
pub(crate) fn receive_uninit(
    socket: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    // SAFETY: pointer and length belong together.
    check_size(unsafe {
        direct!(
            SYS_recvfrom,
            socket.as_raw_fd(),
            buf.as_mut_ptr(),
            buf.len(),
            libc::MSG_DONTWAIT,
            std::ptr::null::<libc::sockaddr>(),
            std::ptr::null::<libc::socklen_t>(),
        )
    })
}

/// Receives one datagram that is there, and its sender. Never blocks.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
) -> io::Result<(usize, SocketAddrV6)> {
    let mut from = MaybeUninit::<libc::sockaddr_in6>::zeroed();
    let mut length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: pointers and lengths of the buffer and of the address belong together.
    let size = check_size(unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_DONTWAIT,
            from.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    // SAFETY: all bytes zero is a valid address, and so is what the kernel writes over it.
    Ok((size, from_c(unsafe { from.assume_init_ref() })))
}

/// Resets a connection now, although others may still hold the socket (connect(2) on AF_UNSPEC).
pub(crate) fn abort(socket: &Socket) {
    let nobody = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    // SAFETY: the address and its length belong together. It fails for what has ended already.
    unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &raw const nobody,
            size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
}

/// Takes a connection that waits on a listener: non-blocking, close-on-exec, and its peer.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(Socket, SocketAddrV6)> {
    let mut from = MaybeUninit::<libc::sockaddr_in6>::zeroed();
    let mut length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: the address pointer and its length belong together.
    let fd = check(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            from.as_mut_ptr().cast(),
            &mut length,
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        )
    })?;
    // SAFETY: the kernel just gave us this descriptor; nobody else has it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: all bytes zero is a valid address, and so is what the kernel writes over it.
    Ok((socket, from_c(unsafe { from.assume_init_ref() })))
}
