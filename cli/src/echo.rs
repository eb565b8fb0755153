//! Asks hosts on the link for an ICMPv6 echo, as ping(8) does. The kernel answers for a host that runs no program of
//! this transport.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// All hosts on a link (RFC 4291, section 2.7.1).
pub const ALL_HOSTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The types of an echo request and of its answer (RFC 4443).
const REQUEST: u8 = 128;
const ANSWER: u8 = 129;
/// Requests are repeated, because the first one may be lost while the address is resolved.
const EVERY: Duration = Duration::from_millis(150);
const WITHIN: Duration = Duration::from_secs(1);
/// How long to wait for further hosts after the first answer.
const OTHERS: Duration = Duration::from_millis(50);
/// The most hosts that are listed: a host can answer under any number of addresses.
const MOST: usize = 8;

/// The hosts that answer an echo. An error: this user may not ask.
pub fn answering(interface: u32, to: Ipv6Addr) -> io::Result<BTreeSet<Ipv6Addr>> {
    let socket = socket(interface)?;
    let to = SocketAddrV6::new(to, 0, 0, interface);
    let mut token = [0; 8];
    rustix::rand::getrandom(&mut token, rustix::rand::GetRandomFlags::empty())?;
    // Type, code, checksum, identifier, sequence number. The kernel fills in the checksum, and the identifier of a
    // socket that is not raw.
    let request = [&[REQUEST, 0, 0, 0, 0, 0, 0, 1][..], &token].concat();
    let begin = Instant::now();
    let (mut next, mut end) = (begin, begin + WITHIN);
    let mut found = BTreeSet::new();
    let mut buf = [0; 256];
    while Instant::now() < end && found.len() < MOST {
        if Instant::now() >= next {
            // An error here means that no answer comes.
            drop(socket.send_to(&request, to));
            next += EVERY;
        }
        let left = end.min(next).saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        // An error is the time limit, or an earlier packet that could not be delivered.
        let Ok((length, SocketAddr::V6(from))) = socket.recv_from(&mut buf) else {
            continue;
        };
        let is_answer = buf[0] == ANSWER && buf[..length].ends_with(&token);
        if is_answer && found.insert(*from.ip()) {
            end = end.min(Instant::now() + OTHERS);
        }
    }
    Ok(found)
}

fn socket(interface: u32) -> io::Result<UdpSocket> {
    let of = |kind| Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6));
    // Most systems let every user ping by a datagram socket (net.ipv4.ping_group_range).
    let socket = of(Type::DGRAM).or_else(|_| of(Type::RAW))?;
    socket.set_multicast_if_v6(interface)?;
    socket.set_multicast_loop_v6(false)?;
    Ok(UdpSocket::from(OwnedFd::from(socket)))
}
