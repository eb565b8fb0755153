//! Sending datagrams: many with one system call (sendmmsg(2)), and one from a given source address.

use std::io;
use std::mem::{size_of, zeroed, MaybeUninit};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::receive::{Control, CONTROL};
use super::socket::to_c;
use super::{check_size, direct};

/// Sends one datagram from a given local address. Never blocks, never raises SIGPIPE.
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
    // SAFETY: a C struct for which all bytes zero are valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = std::ptr::from_mut(&mut address).cast();
    header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    header.msg_iov = &mut vector;
    header.msg_iovlen = 1;
    header.msg_control = std::ptr::from_mut(&mut control).cast();
    let size = size_of::<libc::in6_pktinfo>() as libc::c_uint;
    // SAFETY: the control area has room for the header and the data that are written to it. The
    // message points to memory that outlives the call and that the kernel only reads.
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

/// The most datagrams that one call of [`send`] sends.
pub(crate) const SEND_BATCH: usize = 256;
/// The most packets of one call.
const PACKETS: usize = 64;
/// The most datagrams into which the kernel splits one packet (UDP_MAX_SEGMENTS of Linux 4.18; later
/// kernels allow more).
const MAX_SEGMENTS: usize = 64;
/// The most bytes of one packet to be split.
const MAX_BYTES: usize = crate::wire::MAX_MESSAGE_SIZE;

/// A datagram to be sent, and the index of its peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub peer: usize,
    pub data: &'a [u8],
}

/// The arrays for sendmmsg. Only the entries of the packets to be sent are initialized.
struct Packets {
    addresses: [MaybeUninit<libc::sockaddr_in6>; PACKETS],
    vectors: [MaybeUninit<libc::iovec>; SEND_BATCH],
    controls: [MaybeUninit<Control>; PACKETS],
    headers: [MaybeUninit<libc::mmsghdr>; PACKETS],
    /// The number of datagrams in each packet.
    datagrams: [u8; PACKETS],
}

/// Sends up to [`SEND_BATCH`] datagrams, and returns how many it sent: at least one. Each goes to its
/// peer in `peers`, or to the connected address if `peers` is empty. Consecutive datagrams of one size
/// to one peer are passed as one packet, which the kernel or the network hardware splits (UDP_SEGMENT,
/// udp(7)), unless they are larger than `largest_segment`. On the wire they are single datagrams. Never
/// blocks.
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
    // SAFETY: `add` initialized the first `count` headers. They point to data, addresses, vectors and
    // control areas that outlive the call and that the kernel only reads.
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

/// Whether the kernel may have refused a packet because it cannot split it: there is no checksum
/// offload (EIO), or the parts are larger than the interface's MTU (EINVAL, EMSGSIZE).
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE)
    )
}

/// How many of the first datagrams can be sent as one packet.
fn train_length(datagrams: &[Outgoing<'_>], largest_segment: usize) -> usize {
    let first = &datagrams[0];
    let size = first.data.len();
    if size == 0 || size > largest_segment {
        return 1;
    }
    let most = (MAX_BYTES / size).min(MAX_SEGMENTS);
    let same = |next: &&Outgoing<'_>| next.data.len() == size && next.peer == first.peer;
    datagrams.iter().take(most).take_while(same).count().max(1)
}

impl Packets {
    /// Initializes packet `at` with a train of datagrams, and the vectors from `first` on. Returns the
    /// number of vectors: datagrams that are adjacent in memory share one.
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
                // SAFETY: the vector before `first + count` was written in an earlier round.
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
        // SAFETY: a C struct for which all bytes zero are valid.
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

/// Adds the control message that splits a packet into datagrams of `size` bytes.
fn write_segment_size(header: &mut libc::msghdr, size: u16) {
    let length = size_of::<u16>() as libc::c_uint;
    // SAFETY: the control area has CONTROL bytes, which are enough for the header and the data that are
    // written to it.
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
    use crate::sys::receive::ReceiveBatch;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

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
        assert_eq!(train_length(&of_10, 9), 1, "larger than may be split");
        assert_eq!(train_length(&[to(1, &a); 100], 1000), MAX_SEGMENTS);
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
