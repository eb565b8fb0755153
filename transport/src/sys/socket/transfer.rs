//! Sending, receiving, accepting and resetting. No call here blocks.

use std::io::{self, IoSlice};
use std::mem::{size_of, MaybeUninit};
use std::net::SocketAddrV6;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use socket2::Socket;

use super::{from_c, to_c};
use crate::sys::{check, check_size, direct};

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
    // SAFETY: both have the same layout, and the call writes initialized bytes only.
    receive_uninit(socket, unsafe {
        &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>])
    })
}

/// Receives into memory that need not be initialized, and initializes as many bytes as it returns.
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
    // SAFETY: the kernel just returned this descriptor, so it has no other owner.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: all bytes zero is a valid address, and so is what the kernel writes over it.
    Ok((socket, from_c(unsafe { from.assume_init_ref() })))
}
