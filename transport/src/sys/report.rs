//! Reports of the kernel about sent datagrams: drops in the interface's queue, and ICMP errors.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::Socket;

use super::socket::set_int;
use crate::wire::PING_SIZE;

/// Enables reports on a socket (IPV6_RECVERR, ipv6(7)). A send then fails with ENOBUFS if the
/// interface's queue is full. The kernel also reports ICMP errors: the next call on the socket fails,
/// and the error queue has the details. See [`is_report`], [`read`] and [`discard`].
pub(crate) fn tell(socket: &Socket) -> io::Result<()> {
    set_int(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
}

/// Whether the interface's queue was full, on a socket that reports it.
pub(crate) fn is_drop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
}

/// Whether an error may be about an earlier datagram, from an ICMP message (icmpv6_err_convert in
/// net/ipv6/icmp.c). Any host on the link can send one.
pub(crate) fn is_report(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EACCES
                | libc::EPROTO
                | libc::EMSGSIZE
        )
    )
}

/// An ICMP error about a datagram that this host sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    /// The errno for its type and code.
    pub errno: i32,
    quoted: [u8; QUOTED],
    length: usize,
}

/// The number of bytes to read of a quoted datagram: one with more than a ping has is not a ping.
const QUOTED: usize = PING_SIZE + 1;

impl Report {
    /// The first bytes of the datagram that the ICMP message quotes.
    pub fn quoted(&self) -> &[u8] {
        &self.quoted[..self.length]
    }
}

/// The most reports to read in one call, so that a flood of them does not delay the caller.
const MAX_REPORTS: usize = 64;

/// Drains the error queue, which has the reports of ICMP errors. While it is not empty, poll(2) returns
/// at once. Never blocks.
pub(crate) fn read(socket: BorrowedFd<'_>, mut take: impl FnMut(Report)) {
    for _ in 0..MAX_REPORTS {
        match read_one(socket) {
            Ok(Some(report)) => take(report),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// Drains the error queue and ignores the reports. Never blocks.
pub(crate) fn discard(socket: BorrowedFd<'_>) {
    read(socket, drop);
}

/// A buffer for a control message of a `sock_extended_err` and an address, aligned for its header.
#[repr(C, align(8))]
struct Control([u8; 128]);

/// Reads one report. `None` if it is not about an ICMP error.
fn read_one(socket: BorrowedFd<'_>) -> io::Result<Option<Report>> {
    let mut quoted = [0; QUOTED];
    let mut vector = libc::iovec {
        iov_base: quoted.as_mut_ptr().cast(),
        iov_len: quoted.len(),
    };
    let mut control = Control([0; 128]);
    // SAFETY: a C struct for which all bytes zero are valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the header points to memory of the lengths in it, which outlives the call.
    let taken = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) };
    let length = super::check_size(taken)?;
    let error = error_of(&message).filter(|error| error.ee_origin == libc::SO_EE_ORIGIN_ICMP6);
    Ok(error.map(|error| Report {
        errno: error.ee_errno as i32,
        quoted,
        length,
    }))
}

/// The error in a report (IPV6_RECVERR, ipv6(7)).
fn error_of(message: &libc::msghdr) -> Option<libc::sock_extended_err> {
    let size = size_of::<libc::sock_extended_err>() as libc::c_uint;
    // SAFETY: the kernel wrote whole control messages to memory that is aligned for their headers, and
    // their total length to the header. A message of this type and length contains the struct.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = head.as_ref() {
            let is_error = found.cmsg_level == libc::IPPROTO_IPV6
                && found.cmsg_type == libc::IPV6_RECVERR
                && found.cmsg_len as u64 >= u64::from(libc::CMSG_LEN(size));
            if is_error {
                let data = libc::CMSG_DATA(head).cast::<libc::sock_extended_err>();
                return Some(data.read_unaligned());
            }
            head = libc::CMSG_NXTHDR(message, head);
        }
    }
    None
}

/// Sends on a socket with reports enabled. If the send fails with the error of an earlier datagram, it
/// calls `take` to read the reports, and sends again.
pub(crate) fn send_after<T>(
    mut take: impl FnMut(),
    mut send: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    // During a flood, a report could arrive before each attempt. An error of this datagram repeats, and
    // the last attempt returns it.
    const ATTEMPTS: usize = 8;
    for _ in 0..ATTEMPTS {
        match send() {
            Err(error) if is_report(&error) => take(),
            sent => return sent,
        }
    }
    send()
}

/// Sends like [`send_after`], and ignores the reports.
pub(crate) fn send_despite<T>(
    socket: BorrowedFd<'_>,
    send: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    send_after(|| discard(socket), send)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use testkit::{wait_until, GENEROUS};

    use super::*;
    use crate::sys::poll::{wait, Deadline, Interest};
    use crate::sys::socket;

    #[test]
    fn a_port_that_nothing_listens_on_is_reported_with_the_datagram() {
        let taken = UdpSocket::bind("[::1]:0").unwrap();
        let to = taken.local_addr().unwrap();
        drop(taken);
        let socket = socket::udp("lo").unwrap();
        tell(&socket).unwrap();
        socket.connect(&to.into()).unwrap();
        for data in [&[7; 16][..], &[8; 40], b""] {
            let mut reports = Vec::new();
            // A busy kernel drops some ICMP errors.
            wait_until("a report", GENEROUS, || {
                send_despite(socket.as_fd(), || socket::send(socket.as_fd(), data)).unwrap();
                let mut interests = [Interest::readable(socket.as_fd())];
                let deadline = Deadline::after(Some(Duration::from_millis(100)));
                if wait(&mut interests, deadline).unwrap() {
                    assert!(interests[0].is_in_error());
                    read(socket.as_fd(), |report| reports.push(report));
                }
                !reports.is_empty()
            });
            assert_eq!(reports[0].errno, libc::ECONNREFUSED);
            assert_eq!(reports[0].quoted(), &data[..data.len().min(QUOTED)]);
            let mut interests = [Interest::readable(socket.as_fd())];
            assert!(!wait(&mut interests, Deadline::Now).unwrap(), "read once");
        }
    }
}
