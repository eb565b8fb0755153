//! Receiving many datagrams with one system call: recvmmsg(2).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::socket::from_c;
use super::{check_size, direct};

/// The buffer size for one datagram, or for several that UDP_GRO coalesced: the largest IP packet.
const SLOT: usize = 1 << 16;
/// The buffer size for control messages: the `int` of UDP_GRO and the `in6_pktinfo` of IPV6_PKTINFO,
/// each with its header.
pub(super) const CONTROL: usize = 64;

/// One received datagram, or several that UDP_GRO coalesced. Each has `segment` bytes; the last may be
/// shorter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub data: &'a [u8],
    pub from: SocketAddrV6,
    /// The destination address, if the socket reports it (`socket::tell_destination`).
    pub to: Option<Ipv6Addr>,
    pub segment: usize,
}

impl<'a> Received<'a> {
    /// The single datagrams.
    pub fn datagrams(&self) -> Datagrams<'a> {
        Datagrams {
            rest: self.data,
            segment: self.segment,
            first: true,
        }
    }

    /// Whether one of the datagrams has `size` bytes.
    pub fn has_size(&self, size: usize) -> bool {
        // All have the same size, except that the last one may be shorter.
        let last = self.data.len() % self.segment;
        self.segment.min(self.data.len()) == size || last == size
    }
}

/// Iterator over the datagrams of a [`Received`]. Unlike `chunks`, it also returns an empty datagram.
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

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rest.len().div_ceil(self.segment);
        let left = left.max(usize::from(self.first));
        (left, Some(left))
    }
}

impl ExactSizeIterator for Datagrams<'_> {}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control(pub [u8; CONTROL]);

/// Reusable buffers for recvmmsg. Pages that no message has reached use no memory.
pub(crate) struct ReceiveBatch {
    buffers: Pages,
    addresses: Vec<libc::sockaddr_in6>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// The number of headers that the kernel has written since they were reset.
    used: usize,
}

// SAFETY: the raw pointers lead only into the pages and vectors of the same struct. These are never
// resized, and moving the struct does not move their memory.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    /// Buffers for up to `slots` datagrams a call.
    pub fn new(slots: usize) -> io::Result<Self> {
        let mut batch = Self {
            buffers: Pages::new(slots * SLOT)?,
            // SAFETY: a C struct for which all bytes zero are valid.
            addresses: vec![unsafe { zeroed() }; slots],
            controls: vec![Control([0; CONTROL]); slots],
            // SAFETY: a C struct for which all bytes zero are valid.
            vectors: vec![unsafe { zeroed() }; slots],
            // SAFETY: a C struct for which all bytes zero are valid.
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

    /// Receives the available datagrams, up to `most` and up to the number of slots, and returns how many
    /// slots it filled. Never blocks.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.used = 0;
        // SAFETY: each header points to its own buffer, address and control area, and has their sizes
        // (`new`). They live as long as `self`.
        self.used = check_size(unsafe {
            direct!(
                SYS_recvmmsg,
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len().min(most),
                libc::MSG_DONTWAIT,
                std::ptr::null::<libc::timespec>(),
            )
        })?;
        Ok(self.used)
    }

    /// The content of `slot`, which must be less than the result of the last `receive`.
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

/// Zeroed memory from mmap(2). The allocator may reuse a freed buffer for the second one of a process,
/// and clear it by writing to each page.
struct Pages {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Pages {}

impl Pages {
    fn new(size: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address that the kernel chooses overlaps no other memory.
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
        // SAFETY: the mapping has this size, is initialized to zero, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping, and no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// Parses the control messages: the size of datagrams that UDP_GRO coalesced, and their destination.
fn read_control(header: &libc::msghdr, received: &mut Received<'_>) {
    // SAFETY: the kernel filled the control area and its length; the CMSG functions stay within.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: it is not null, so it points to a whole header that is followed by its data.
        let (head, data) = unsafe { (&*control, libc::CMSG_DATA(control)) };
        match (head.cmsg_level, head.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: an int follows this header (udp(7)).
                let size: libc::c_int = unsafe { std::ptr::read_unaligned(data.cast()) };
                received.segment = usize::try_from(size).unwrap_or(SLOT).max(1);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: an in6_pktinfo follows this header (ipv6(7)).
                let info: libc::in6_pktinfo = unsafe { std::ptr::read_unaligned(data.cast()) };
                received.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn received(data: &[u8], segment: usize) -> Received<'_> {
        Received {
            data,
            from: SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 0),
            to: None,
            segment,
        }
    }

    #[test]
    fn sizes_are_known_without_a_look_at_each() {
        let has_16 = |size, segment| received(&[0; 256][..size], segment).has_size(16);
        assert!(has_16(16, SLOT), "one of 16 bytes");
        assert!(has_16(64, 16), "four of 16");
        assert!(has_16(76, 20), "three of 20 and one of 16");
        assert!(!has_16(80, 20));
        assert!(!has_16(17, SLOT));
        assert!(!has_16(0, SLOT));
        assert!(!has_16(35, 18));
    }

    #[test]
    fn joined_datagrams_come_apart_as_they_were_sent() {
        let split = |data: &'static [u8], segment| {
            let datagrams = received(data, segment).datagrams();
            let count = datagrams.len();
            let all: Vec<_> = datagrams.collect();
            assert_eq!(all.len(), count);
            all
        };
        assert_eq!(split(b"aabbc", 2), [b"aa".as_slice(), b"bb", b"c"]);
        assert_eq!(split(b"abc", SLOT), [b"abc"]);
        assert_eq!(split(b"", SLOT), [b""]);
    }
}
