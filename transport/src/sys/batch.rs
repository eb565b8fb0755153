//! Many datagrams in one system call: recvmmsg(2) and sendmmsg(2).

use std::io;
use std::mem::{size_of, zeroed, MaybeUninit};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::socket::{from_c, to_c};
use super::{check_size, direct};

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

    /// Whether the kernel said that it joined them.
    pub fn is_joined(&self) -> bool {
        self.segment != SLOT
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
    check_size(unsafe {
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

/// Datagrams that [`send`] takes in one call at most.
pub(crate) const SEND_BATCH: usize = 256;
/// Packets of one call at most.
const PACKETS: usize = 64;
/// Datagrams that the kernel cuts out of one packet (UDP_MAX_SEGMENTS of Linux 4.18; later kernels
/// take more).
const MOST_SEGMENTS: usize = 64;
/// Bytes of one packet that is to be cut, at most.
const MOST_BYTES: usize = crate::MAX_MESSAGE_SIZE;

/// A datagram to be sent, and to which of the peers beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub peer: usize,
    pub data: &'a [u8],
}

/// Packets in the making: arrays for sendmmsg, of which only the first few entries are set.
struct Packets {
    addresses: [MaybeUninit<libc::sockaddr_in6>; PACKETS],
    vectors: [MaybeUninit<libc::iovec>; SEND_BATCH],
    controls: [MaybeUninit<Control>; PACKETS],
    headers: [MaybeUninit<libc::mmsghdr>; PACKETS],
    /// Datagrams in each packet.
    datagrams: [u8; PACKETS],
}

/// Sends up to [`SEND_BATCH`] datagrams; gives the number that left, at least one. Each goes to its
/// one of `peers` or, if there are none, to where the socket is connected. Runs of one size to one peer leave in packets
/// that the kernel, or the network hardware, cuts (UDP_SEGMENT, udp(7)), unless they are larger than
/// `largest_segment`: on the wire they are single datagrams all the same. Never blocks.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    peers: &[SocketAddrV6],
    datagrams: &[Outgoing<'_>],
    largest_segment: usize,
) -> io::Result<usize> {
    let mut packets = Packets {
        addresses: [const { MaybeUninit::uninit() }; PACKETS],
        vectors: [const { MaybeUninit::uninit() }; SEND_BATCH],
        controls: [const { MaybeUninit::uninit() }; PACKETS],
        headers: [const { MaybeUninit::uninit() }; PACKETS],
        datagrams: [0; PACKETS],
    };
    let mut rest = &datagrams[..datagrams.len().min(SEND_BATCH)];
    let (mut count, mut vectors) = (0, 0);
    while !rest.is_empty() && count < PACKETS {
        let (train, after) = rest.split_at(train_length(rest, largest_segment));
        vectors += packets.add(count, vectors, train, peers.get(train[0].peer));
        count += 1;
        rest = after;
    }
    // SAFETY: the first `count` headers were set (`add`) and point to data, addresses, vectors and
    // control areas that outlive the call; the kernel only reads what they point to.
    let sent = check_size(unsafe {
        direct!(
            SYS_sendmmsg,
            socket.as_raw_fd(),
            packets.headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })?;
    let left = packets.datagrams[..sent].iter();
    Ok(left.map(|&datagrams| usize::from(datagrams)).sum())
}

/// Whether the kernel may have refused a packet because it cannot or must not cut it: no checksum
/// offload (EIO), or parts that are larger than the interface's packets (EINVAL, EMSGSIZE).
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE)
    )
}

/// How many of the first datagrams can leave as one packet.
fn train_length(datagrams: &[Outgoing<'_>], largest_segment: usize) -> usize {
    let first = &datagrams[0];
    let size = first.data.len();
    if size == 0 || size > largest_segment {
        return 1;
    }
    let most = (MOST_BYTES / size).min(MOST_SEGMENTS);
    let same = |next: &&Outgoing<'_>| next.data.len() == size && next.peer == first.peer;
    datagrams.iter().take(most).take_while(same).count().max(1)
}

impl Packets {
    /// Sets packet number `at` from a train of datagrams, with vectors from number `first` on. Gives
    /// the number of vectors: datagrams that lie one behind the other in memory need only one.
    fn add(
        &mut self,
        at: usize,
        first: usize,
        train: &[Outgoing<'_>],
        to: Option<&SocketAddrV6>,
    ) -> usize {
        let mut count = 0;
        let mut end = std::ptr::null();
        for Outgoing { data, .. } in train {
            if data.as_ptr() == end && count > 0 {
                // SAFETY: this vector was written when `count` became what it is.
                let vector = unsafe { self.vectors[first + count - 1].assume_init_mut() };
                vector.iov_len += data.len();
            } else {
                self.vectors[first + count].write(libc::iovec {
                    iov_base: data.as_ptr().cast_mut().cast(),
                    iov_len: data.len(),
                });
                count += 1;
            }
            end = data.as_ptr_range().end;
        }
        // SAFETY: a plain C struct, for which zero is a valid value.
        let header = self.headers[at].write(unsafe { zeroed() });
        let header = &mut header.msg_hdr;
        if let Some(to) = to {
            header.msg_name = std::ptr::from_mut(self.addresses[at].write(to_c(to))).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        }
        header.msg_iov = self.vectors[first].as_mut_ptr();
        header.msg_iovlen = count;
        if train.len() > 1 {
            let control = self.controls[at].write(Control([0; CONTROL]));
            header.msg_control = std::ptr::from_mut(control).cast();
            write_segment_size(header, train[0].data.len() as u16);
        }
        self.datagrams[at] = train.len() as u8;
        count
    }
}

/// Asks that a packet is cut into datagrams of `size` bytes.
fn write_segment_size(header: &mut libc::msghdr, size: u16) {
    let length = size_of::<u16>() as libc::c_uint;
    // SAFETY: the control area, of CONTROL bytes, has room for the header and the data that are
    // written into it.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(length) as _;
        let head = libc::CMSG_FIRSTHDR(header);
        (*head).cmsg_level = libc::SOL_UDP;
        (*head).cmsg_type = libc::UDP_SEGMENT;
        (*head).cmsg_len = libc::CMSG_LEN(length) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(head).cast(), size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, UdpSocket};
    use std::os::fd::AsFd;

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

    #[test]
    fn a_batch_goes_out_and_comes_in() {
        let receiver = UdpSocket::bind("[::1]:0").unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        let std::net::SocketAddr::V6(to) = receiver.local_addr().unwrap() else {
            unreachable!()
        };
        let messages: [&[u8]; 3] = [b"", b"one", &[7; 60_000]];
        let batch = messages.map(|data| Outgoing { peer: 0, data });
        assert_eq!(send(sender.as_fd(), &[to], &batch, 0).unwrap(), 3);
        let mut buffers = ReceiveBatch::new(4).unwrap();
        let count = buffers.receive(receiver.as_fd(), 4).unwrap();
        assert_eq!(count, 3);
        for (slot, message) in messages.iter().enumerate() {
            let received = buffers.get(slot);
            assert_eq!(received.data, *message);
            assert_eq!(received.from.port(), sender.local_addr().unwrap().port());
        }
    }
    #[test]
    fn a_train_is_what_goes_to_one_peer_in_one_size() {
        fn to(peer: usize, data: &[u8]) -> Outgoing<'_> {
            Outgoing { peer, data }
        }
        let (a, b) = ([1u8; 10], [2u8; 20]);
        let of_10 = [to(1, &a); 5];
        assert_eq!(train_length(&of_10, 1000), 5);
        assert_eq!(train_length(&of_10, 9), 1, "larger than may be cut");
        assert_eq!(train_length(&[to(1, &a); 100], 1000), MOST_SEGMENTS);
        assert_eq!(train_length(&[to(1, &a), to(1, &a), to(1, &b)], 1000), 2);
        assert_eq!(train_length(&[to(1, &a), to(2, &a)], 1000), 1);
        assert_eq!(train_length(&[to(1, &[]), to(1, &[])], 1000), 1);
        let large = vec![3; 30_000];
        assert_eq!(train_length(&[to(1, &large); 3], 65_507), 2);
    }

    #[test]
    fn what_is_too_much_for_one_call_is_left() {
        let receiver = UdpSocket::bind("[::1]:0").unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        let batch = [Outgoing {
            peer: 0,
            data: b"x",
        }; SEND_BATCH + 1];
        assert_eq!(send(sender.as_fd(), &[], &batch, 0).unwrap(), PACKETS);
        assert_eq!(send(sender.as_fd(), &[], &batch, 1).unwrap(), SEND_BATCH);
    }

    #[test]
    fn trains_arrive_as_single_datagrams_from_scattered_and_joined_memory() {
        let receiver = UdpSocket::bind("[::1]:0").unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        let std::net::SocketAddr::V6(to) = receiver.local_addr().unwrap() else {
            unreachable!()
        };
        let joined: Vec<u8> = (0..40).collect();
        let scattered = [vec![100u8; 10], vec![101; 10]];
        let mut messages: Vec<&[u8]> = joined.chunks(10).collect();
        messages.extend(scattered.iter().map(Vec::as_slice));
        messages.push(b"odd");
        messages.push(b"");
        let batch: Vec<_> = messages
            .iter()
            .map(|data| Outgoing { peer: 0, data })
            .collect();
        sender.connect(to).unwrap();
        for peers in [&[to][..], &[]] {
            assert_eq!(send(sender.as_fd(), peers, &batch, 65_507).unwrap(), 8);
            for message in &messages {
                let mut buf = [0; 64];
                let size = receiver.recv(&mut buf).unwrap();
                assert_eq!(&buf[..size], *message);
            }
        }
    }
}
