//! Many datagrams in one system call: recvmmsg(2) and sendmmsg(2).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::check;
use super::socket::{from_c, to_c};

/// Room for one datagram, or for several that UDP_GRO joined: no IP packet is larger.
const SLOT: usize = 1 << 16;
/// Room for the control messages that may be asked for: the `int` of UDP_GRO and the `in6_pktinfo`
/// of IPV6_PKTINFO, each with its header.
const CONTROL: usize = 64;

/// Something that came: one datagram, or several of `segment` bytes each (the last may be shorter).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub data: &'a [u8],
    pub from: SocketAddrV6,
    /// Our address that it was sent to, where that was asked for (`socket::tell_destination`).
    pub to: Option<Ipv6Addr>,
    pub segment: usize,
}

impl<'a> Received<'a> {
    /// The datagrams as they were sent.
    pub fn datagrams(&self) -> Datagrams<'a> {
        Datagrams {
            rest: self.data,
            segment: self.segment,
            first: true,
        }
    }
}

/// Iterator over the datagrams of a [`Received`]: an empty one counts too, so `chunks` won't do.
pub(crate) struct Datagrams<'a> {
    rest: &'a [u8],
    segment: usize,
    first: bool,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() && !self.first {
            return None;
        }
        self.first = false;
        let (datagram, rest) = self.rest.split_at(self.segment.min(self.rest.len()));
        self.rest = rest;
        Some(datagram)
    }
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Buffers that recvmmsg fills again and again. Pages that no message ever reached cost nothing.
pub(crate) struct ReceiveBatch {
    buffers: Pages,
    addresses: Vec<libc::sockaddr_in6>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// Headers that the kernel has written to since they were last made ready.
    used: usize,
}

// SAFETY: the raw pointers inside lead only into the pages and vectors beside them, which are never
// resized, and whose memory does not move with the struct.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    /// Buffers for up to `slots` datagrams a call.
    pub fn new(slots: usize) -> io::Result<Self> {
        let mut batch = Self {
            buffers: Pages::new(slots * SLOT)?,
            // SAFETY: all of these are plain C structs, for which zero is a valid value.
            addresses: vec![unsafe { zeroed() }; slots],
            controls: vec![Control([0; CONTROL]); slots],
            // SAFETY: as above.
            vectors: vec![unsafe { zeroed() }; slots],
            // SAFETY: as above.
            headers: vec![unsafe { zeroed() }; slots],
            used: slots,
        };
        for slot in 0..slots {
            let buffer = batch.buffers.as_mut_slice()[slot * SLOT..].as_mut_ptr();
            batch.vectors[slot] = libc::iovec {
                iov_base: buffer.cast(),
                iov_len: SLOT,
            };
            let header = &mut batch.headers[slot].msg_hdr;
            header.msg_name = std::ptr::from_mut(&mut batch.addresses[slot]).cast();
            header.msg_iov = &mut batch.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::from_mut(&mut batch.controls[slot]).cast();
        }
        Ok(batch)
    }

    /// Takes what is there, as far as there is room, and says how many. Never blocks.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.used = 0;
        // SAFETY: every header points to a buffer, an address and a control area of its own, with
        // their sizes (`new`), all alive as long as `self`.
        let count = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        })?;
        self.used = count as usize;
        Ok(self.used)
    }

    /// What the last `receive` put into `slot`, which must be below its count.
    pub fn get(&self, slot: usize) -> Received<'_> {
        let header = &self.headers[slot];
        let start = slot * SLOT;
        let length = (header.msg_len as usize).min(SLOT);
        let mut received = Received {
            data: &self.buffers.as_slice()[start..start + length],
            from: from_c(&self.addresses[slot]),
            to: None,
            segment: SLOT,
        };
        read_control(&header.msg_hdr, &mut received);
        received
    }
}

/// Zeroed memory straight from the kernel. From the allocator, the second such buffer of a process
/// would be a recycled one, which it clears by writing to every page.
struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Pages {}

impl Pages {
    fn new(size: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nobody's memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match NonNull::new(start.cast()) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED.cast() => Ok(Self { start, size }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping has this size, is initialized (to zero), and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// Reads what the kernel says beside the data: the size of datagrams that UDP_GRO joined, and where
/// they were sent to.
fn read_control(header: &libc::msghdr, received: &mut Received<'_>) {
    // SAFETY: the kernel filled the control area and its length; the CMSG functions stay within.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so a whole header stands there, and its data behind it.
        let (head, data) = unsafe { (&*control, libc::CMSG_DATA(control)) };
        match (head.cmsg_level, head.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: the kernel puts an int behind this header (udp(7)).
                let size: libc::c_int = unsafe { std::ptr::read_unaligned(data.cast()) };
                received.segment = usize::try_from(size).unwrap_or(SLOT).max(1);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel puts an in6_pktinfo behind this header (ipv6(7)).
                let info: libc::in6_pktinfo = unsafe { std::ptr::read_unaligned(data.cast()) };
                received.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
}

/// Sends one datagram from a given address of ours. Never blocks, never raises SIGPIPE.
pub(crate) fn send_from(
    socket: BorrowedFd<'_>,
    data: &[u8],
    from: Ipv6Addr,
    to: &SocketAddrV6,
) -> io::Result<()> {
    let mut address = to_c(to);
    let mut vector = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: from.octets(),
        },
        ipi6_ifindex: 0,
    };
    let mut control = Control([0; CONTROL]);
    // SAFETY: a plain C struct, for which zero is a valid value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = std::ptr::from_mut(&mut address).cast();
    header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    header.msg_iov = &mut vector;
    header.msg_iovlen = 1;
    header.msg_control = std::ptr::from_mut(&mut control).cast();
    let size = size_of::<libc::in6_pktinfo>() as libc::c_uint;
    // SAFETY: the control area has room for the header and the data that are written into it; the
    // message points to areas that outlive the call; the kernel only reads them.
    super::check_size(unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size) as _;
        let head = libc::CMSG_FIRSTHDR(&header);
        (*head).cmsg_level = libc::IPPROTO_IPV6;
        (*head).cmsg_type = libc::IPV6_PKTINFO;
        (*head).cmsg_len = libc::CMSG_LEN(size) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(head).cast(), info);
        libc::sendmsg(
            socket.as_raw_fd(),
            &header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })
    .map(drop)
}

/// Datagrams that [`send`] takes in one call.
pub(crate) const SEND_BATCH: usize = 64;

/// Sends up to [`SEND_BATCH`] datagrams; gives the number that left, at least one. Never blocks.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    datagrams: &[(SocketAddrV6, &[u8])],
) -> io::Result<usize> {
    let count = datagrams.len().min(SEND_BATCH);
    // SAFETY: plain C structs, for which zero is a valid value.
    let mut addresses: [libc::sockaddr_in6; SEND_BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut vectors: [libc::iovec; SEND_BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; SEND_BATCH] = unsafe { zeroed() };
    for (slot, (to, data)) in datagrams[..count].iter().enumerate() {
        addresses[slot] = to_c(to);
        vectors[slot] = libc::iovec {
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: data.len(),
        };
        let header = &mut headers[slot].msg_hdr;
        header.msg_name = std::ptr::from_mut(&mut addresses[slot]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        header.msg_iov = &mut vectors[slot];
        header.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers point to data, addresses and vectors that outlive the
    // call; the kernel only reads the data.
    let sent = check(unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })?;
    Ok(sent as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, UdpSocket};
    use std::os::fd::AsFd;

    #[test]
    fn joined_datagrams_come_apart_as_they_were_sent() {
        let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 0);
        let split = |data: &'static [u8], segment| {
            Received {
                data,
                from,
                to: None,
                segment,
            }
            .datagrams()
            .collect::<Vec<_>>()
        };
        assert_eq!(split(b"aabbc", 2), [b"aa".as_slice(), b"bb", b"c"]);
        assert_eq!(split(b"abc", SLOT), [b"abc"]);
        assert_eq!(split(b"", SLOT), [b""]);
    }

    #[test]
    fn a_batch_goes_out_and_comes_in() {
        let receiver = UdpSocket::bind("[::1]:0").unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        let std::net::SocketAddr::V6(to) = receiver.local_addr().unwrap() else {
            unreachable!()
        };
        let messages: [&[u8]; 3] = [b"", b"one", &[7; 60_000]];
        let batch: Vec<_> = messages.iter().map(|data| (to, *data)).collect();
        assert_eq!(send(sender.as_fd(), &batch).unwrap(), 3);
        let mut buffers = ReceiveBatch::new(4).unwrap();
        let count = buffers.receive(receiver.as_fd()).unwrap();
        assert_eq!(count, 3);
        for (slot, message) in messages.iter().enumerate() {
            let received = buffers.get(slot);
            assert_eq!(received.data, *message);
            assert_eq!(received.from.port(), sender.local_addr().unwrap().port());
        }
    }
}
