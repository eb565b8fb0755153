//! Receiving many datagrams in one system call: recvmmsg(2).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::socket::from_c;
use super::{check_size, direct};

/// Room for one datagram, or for several that UDP_GRO joined: no IP packet is larger.
const SLOT: usize = 1 << 16;
/// Room for the control messages that may be asked for: the `int` of UDP_GRO and the `in6_pktinfo`
/// of IPV6_PKTINFO, each with its header.
pub(super) const CONTROL: usize = 64;

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

    /// Whether one of them is `size` bytes long.
    pub fn has_size(&self, size: usize) -> bool {
        // All are of one size but the last, which may be shorter.
        let last = self.data.len() % self.segment;
        self.segment.min(self.data.len()) == size || last == size
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

    /// Takes what is there, up to `most` and as far as there is room, and says how many. Never blocks.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.used = 0;
        // SAFETY: every header points to a buffer, an address and a control area of its own, with
        // their sizes (`new`), all alive as long as `self`.
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
