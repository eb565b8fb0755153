//! Sending, receiving, accepting and resetting. No call here blocks.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::BorrowedFd;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags};
use socket2::Socket;

/// Never block, never raise SIGPIPE.
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Sends one datagram.
pub(crate) fn send_to(socket: BorrowedFd<'_>, data: &[u8], to: &SocketAddrV6) -> io::Result<()> {
    rustix::net::sendto(socket, data, SEND, to)?;
    Ok(())
}

/// Sends on a connected socket, and returns how many bytes it took.
pub(crate) fn send(socket: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, data, SEND)?)
}

/// The most pieces that one call takes (IOV_MAX of limits.h).
const MAX_PIECES: usize = 1024;

/// Sends the pieces on a connected socket as if they were one, and returns how many bytes it took.
pub(crate) fn send_vectored(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let pieces = &pieces[..pieces.len().min(MAX_PIECES)];
    let mut no_control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, pieces, &mut no_control, SEND)?)
}

/// Receives what is there.
pub(crate) fn receive(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(socket, buf, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// Receives into memory that need not be initialized, and initializes as many bytes as it returns.
pub(crate) fn receive_uninit(
    socket: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let ((filled, _), _) = rustix::net::recv(socket, buf, RecvFlags::DONTWAIT)?;
    Ok(filled.len())
}

/// Receives one datagram that is there, and returns its size and its sender.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
) -> io::Result<(usize, SocketAddrV6)> {
    let (count, _, from) = rustix::net::recvfrom(socket, buf, RecvFlags::DONTWAIT)?;
    Ok((count, address(from)))
}

/// Resets a connection now, even if other threads still hold the socket (connect(2) to AF_UNSPEC).
/// It has no effect on a connection that has ended.
pub(crate) fn abort(socket: &Socket) {
    let _ = rustix::net::connect_unspec(socket);
}

/// Takes a connection that waits on a listener, and returns it, non-blocking and close-on-exec, with
/// the peer's address.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(Socket, SocketAddrV6)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, from) = rustix::net::acceptfrom_with(listener, flags)?;
    Ok((socket.into(), address(from)))
}

/// The IPv6 address that the kernel returned, without the flow information, which this crate does not use.
fn address(given: Option<SocketAddrAny>) -> SocketAddrV6 {
    let Some(Ok(address)) = given.map(SocketAddrV6::try_from) else {
        return SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    };
    SocketAddrV6::new(*address.ip(), address.port(), 0, address.scope_id())
}
