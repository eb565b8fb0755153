//! A connected send socket for each busy peer.
//!
//! A send on a connected socket costs a fifth to a quarter less than one that names its destination: the route and
//! the source address are looked up once. But a socket that is bound to the control port and connected to a peer
//! would also take that peer's datagrams away from the control socket, and break the order of its messages.
//!
//! So a connected socket only sends. It is bound to the control port and to a multicast group without members. The
//! kernel compares the destination of a datagram with the address that a socket is bound to, so no datagram to one
//! of our addresses matches. A multicast address is not used as a source either: the source is chosen when the
//! socket is connected, as always. Each connected socket has a group of its own, so only the control socket shares the
//! port with it, and only while it is bound.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use crate::bind::enlarge_buffer;
use crate::sync::{lock, Mutex};
use crate::sys::report;
use crate::sys::socket::{self, BufferOption};

/// The most sockets to peers that the application sends to. The oldest makes room for another, so peers that went
/// away do not hold descriptors for long.
const LIMIT: usize = 56;
/// The most sockets for the pongs that peers ask for. A stranger that pings under many addresses closes no socket of
/// the application's.
const PONG_LIMIT: usize = 8;
/// A peer is busy when this many messages went to it within this time. Connecting a socket pays then.
const BUSY_SENDS: u32 = 256;
const BUSY_WITHIN: Duration = Duration::from_millis(256);

/// A group without members for the next socket of this process. It is interface-local, so no other host can send to
/// it (RFC 4291, 2.7). No two sockets in use have the same group: they would need to share it.
fn unused_group() -> Ipv6Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = [number >> 16, number & 0xffff].map(|half| half as u16);
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0x0dcf, high, low)
}

/// The connected sockets of a transport, oldest first. It owns them; all others have weak references.
#[derive(Default)]
pub(super) struct ConnectedSockets(Mutex<Vec<ConnectedSocket>>);

/// The use of a connected socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages, to a peer that the application chose.
    Messages,
    /// Pongs, to any host that pings.
    Pongs,
}

impl Purpose {
    fn limit(self) -> usize {
        match self {
            Self::Messages => LIMIT,
            Self::Pongs => PONG_LIMIT,
        }
    }
}

struct ConnectedSocket {
    to: SocketAddrV6,
    purpose: Purpose,
    /// The state of the link in which its source address was chosen.
    epoch: u64,
    socket: Arc<Socket>,
}

impl ConnectedSockets {
    /// The socket to a peer; connects one if there is none. `control` returns the control socket, or `None` if there is
    /// none. It is called under the lock, so no connected socket outlives `close`.
    pub fn open(
        &self,
        to: &SocketAddrV6,
        purpose: Purpose,
        epoch: u64,
        interface: &str,
        control: impl FnOnce() -> Option<Arc<Socket>>,
    ) -> Option<Weak<Socket>> {
        let mut sockets = lock(&self.0);
        let control = control()?;
        sockets.retain(|one| one.epoch == epoch);
        let same = |one: &&ConnectedSocket| one.to == *to && one.purpose == purpose;
        if let Some(one) = sockets.iter().find(same) {
            return Some(Arc::downgrade(&one.socket));
        }
        let others = sockets.iter().filter(|one| one.purpose == purpose);
        if others.count() >= purpose.limit() {
            if let Some(oldest) = sockets.iter().position(|one| one.purpose == purpose) {
                sockets.remove(oldest);
            }
        }
        // Without descriptors, or without the interface, the outbound socket has to do.
        let socket = Arc::new(connect(&control, interface, to).ok()?);
        let weak = Arc::downgrade(&socket);
        sockets.push(ConnectedSocket {
            to: *to,
            purpose,
            epoch,
            socket,
        });
        Some(weak)
    }

    /// Takes all of them out of use. Each is closed when the last send on it is done.
    pub fn close(&self) -> Vec<Arc<Socket>> {
        let sockets = std::mem::take(&mut *lock(&self.0));
        sockets.into_iter().map(|one| one.socket).collect()
    }
}

fn connect(control: &Socket, interface: &str, to: &SocketAddrV6) -> std::io::Result<Socket> {
    let socket = outbound(control, interface)?;
    socket.connect(&SockAddr::from(*to))?;
    Ok(socket)
}

/// A socket that sends from the control port to any peer, and receives nothing. It reports datagrams for which the
/// interface's own queue has no room.
pub(super) fn outbound(control: &Socket, interface: &str) -> std::io::Result<Socket> {
    let outbound = socket::udp(interface)?;
    let port = socket::local_port(control)?;
    // Both sockets have to allow the sharing while the second is bound. SO_REUSEPORT admits sockets of the same user
    // only; with SO_REUSEADDR any user could bind the port in that moment. Afterwards neither socket allows it, so a
    // second transport of the same user is refused. Binding fails in a program that changed its user id since it
    // opened the control socket; messages then go without connected sockets.
    outbound.set_reuse_port(true)?;
    control.set_reuse_port(true)?;
    let group = SocketAddrV6::new(unused_group(), port, 0, 0);
    let bound = outbound.bind(&SockAddr::from(group));
    control.set_reuse_port(false)?;
    bound?;
    outbound.set_reuse_port(false)?;
    // A kernel without the option does not report drops of the queue; nothing else changes.
    let _ = report::tell(&outbound);
    // Room for a report or two only: whatever else arrives here is forged.
    outbound.set_recv_buffer_size(0)?;
    enlarge_buffer(
        &outbound,
        BufferOption::Send,
        control.send_buffer_size()? / 2,
    );
    Ok(outbound)
}

/// One sender's record of its traffic to one peer.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    sends: u32,
    since: Option<Instant>,
    socket: Weak<Socket>,
}

/// Which socket the next message takes.
pub(super) enum Route {
    Connected(Arc<Socket>),
    /// The outbound socket. If the peer is busy, a socket should be connected to it.
    Shared {
        busy: bool,
    },
}

impl Usage {
    /// The peer's connected socket, if there is one.
    #[inline]
    pub(super) fn socket(&self) -> Option<Arc<Socket>> {
        self.socket.upgrade()
    }

    /// Counts `sends` messages that are about to go to the peer, and says which socket they take.
    pub(super) fn route(&mut self, sends: u32) -> Route {
        if let Some(socket) = self.socket() {
            return Route::Connected(socket);
        }
        self.sends = self.sends.saturating_add(sends);
        if self.sends < BUSY_SENDS {
            return Route::Shared { busy: false };
        }
        let now = Instant::now();
        let before = self.since.replace(now);
        self.sends = 0;
        let busy = before.is_some_and(|before| now.duration_since(before) <= BUSY_WITHIN);
        Route::Shared { busy }
    }

    pub(super) fn connect(&mut self, socket: Weak<Socket>) {
        self.socket = socket;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::UdpSocket;

    fn peer(socket: &UdpSocket) -> SocketAddrV6 {
        match socket.local_addr() {
            Ok(std::net::SocketAddr::V6(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    fn main_socket() -> Arc<Socket> {
        let control = socket::udp("lo").unwrap();
        socket::bind_port(&control, 0).unwrap();
        Arc::new(control)
    }

    #[test]
    fn a_connected_socket_sends_from_the_control_port_and_takes_nothing_from_it() {
        let control = main_socket();
        let port = socket::local_port(&control).unwrap();
        let far = UdpSocket::bind("[::1]:0").unwrap();
        let sockets = ConnectedSockets::default();
        let open = || {
            sockets.open(&peer(&far), Purpose::Messages, 1, "lo", || {
                Some(Arc::clone(&control))
            })
        };
        let socket = open().unwrap().upgrade().unwrap();
        socket.send(b"over the socket").unwrap();
        let mut buf = [0; 64];
        let (size, from) = far.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..size], b"over the socket");
        assert_eq!(
            (from.ip(), from.port()),
            ("::1".parse::<Ipv6Addr>().unwrap().into(), port)
        );

        far.send_to(b"back", from).unwrap();
        control.set_nonblocking(false).unwrap();
        let size = (&*control).read(&mut buf).unwrap();
        assert_eq!(&buf[..size], b"back");
        let nothing = (&*socket).read(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_connected_socket_is_found_again_until_the_link_changes_or_it_is_closed() {
        let control = main_socket();
        let far = UdpSocket::bind("[::1]:0").unwrap();
        let sockets = ConnectedSockets::default();
        let open = |epoch| {
            sockets.open(&peer(&far), Purpose::Messages, epoch, "lo", || {
                Some(Arc::clone(&control))
            })
        };
        let first = open(1).unwrap();
        assert!(Weak::ptr_eq(&first, &open(1).unwrap()));
        assert!(!Weak::ptr_eq(&first, &open(2).unwrap()));
        assert!(first.upgrade().is_none());
        assert_eq!(sockets.close().len(), 1);
        assert!(sockets
            .open(&peer(&far), Purpose::Messages, 2, "lo", || None)
            .is_none());
    }

    #[test]
    fn sockets_for_pongs_close_none_for_messages_and_the_oldest_makes_room() {
        let control = main_socket();
        let sockets = ConnectedSockets::default();
        let open = |port: u16, purpose| {
            let to = SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0);
            let control = || Some(Arc::clone(&control));
            let socket = sockets
                .open(&to, purpose, 1, "lo", control)
                .expect("a socket");
            move || socket.upgrade().is_some()
        };
        let own: Vec<_> = (1..=LIMIT as u16)
            .map(|port| open(port, Purpose::Messages))
            .collect();
        // Strangers in the names of our peers, and in others.
        let pongs: Vec<_> = (1..=3 * LIMIT as u16)
            .map(|port| open(port, Purpose::Pongs))
            .collect();
        assert!(own.iter().all(|lives| lives()));
        assert_eq!(pongs.iter().filter(|lives| lives()).count(), PONG_LIMIT);
        assert!(pongs.last().is_some_and(|lives| lives()));
        let newest = open(1000, Purpose::Messages);
        assert!(newest() && !own[0]() && own[1]());
    }

    #[test]
    fn every_peer_may_have_a_socket_and_the_port_stays_ours_alone() {
        let control = main_socket();
        let port = socket::local_port(&control).unwrap();
        let sockets = ConnectedSockets::default();
        let open = |to: &UdpSocket| {
            sockets.open(&peer(to), Purpose::Messages, 1, "lo", || {
                Some(Arc::clone(&control))
            })
        };
        let far = [0; 3].map(|_| UdpSocket::bind("[::1]:0").unwrap());
        for far in &far {
            let socket = open(far).expect("a socket beside the others").upgrade();
            socket.unwrap().send(b"x").unwrap();
            assert_eq!(far.recv_from(&mut [0; 8]).unwrap().1.port(), port);
        }
        // This one has our user id, so nothing may be left that lets its sockets in.
        for address in ["::", "::1", "ff01::dcf:0:0"] {
            for (address_too, port_too) in [(true, false), (false, true), (true, true)] {
                let thief = socket::udp("lo").unwrap();
                thief.set_reuse_address(address_too).unwrap();
                thief.set_reuse_port(port_too).unwrap();
                let own = SocketAddrV6::new(address.parse().unwrap(), port, 0, 1);
                assert!(thief.bind(&SockAddr::from(own)).is_err(), "{address}");
            }
        }
    }

    #[test]
    fn only_a_busy_peer_is_busy() {
        let mut usage = Usage::default();
        let busy = |usage: &mut Usage, sends| match usage.route(sends) {
            Route::Shared { busy } => busy,
            Route::Connected(_) => panic!("there is no socket"),
        };
        assert!(!busy(&mut usage, BUSY_SENDS - 1));
        assert!(!busy(&mut usage, 1), "how long they took is not known yet");
        assert!(busy(&mut usage, BUSY_SENDS));
        usage.since = Instant::now().checked_sub(2 * BUSY_WITHIN);
        assert!(!busy(&mut usage, BUSY_SENDS), "they were too far apart");
    }
}
