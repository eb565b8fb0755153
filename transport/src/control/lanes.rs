//! Sockets of their own for busy peers.
//!
//! A send on a connected socket is a fifth to a quarter cheaper than one that names its destination:
//! the route is looked up once, and so is the source address. But a socket that is bound to the
//! control port and connected to a peer would also take that peer's datagrams away from the control
//! socket, and the order of its messages with it.
//!
//! A *lane* only sends. It is bound to the control port and to a multicast group that nobody has
//! joined, so no datagram that comes to one of our addresses ever matches it (the kernel compares
//! the destination with the address a socket is bound to), while a multicast address is not taken
//! as a source: that is chosen when it is connected, as always. Each lane has a group of its own, so
//! that only the control socket has to share the port, and only while a lane is bound.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use super::bind::enlarge_buffer;
use crate::sync::{lock, Mutex};
use crate::sys::report;
use crate::sys::socket::{self, BufferOption};

/// Lanes at most to peers that the application sends to. The oldest makes room for another, so that
/// peers that went away cost nothing for long.
const LIMIT: usize = 56;
/// Lanes at most for the pongs that peers ask for: a stranger that pings in many names closes no lane
/// of the application's.
const PONG_LIMIT: usize = 8;
/// A peer is busy when this many messages went to it within this time: making a lane pays then.
const BUSY_SENDS: u32 = 256;
const BUSY_WITHIN: Duration = Duration::from_millis(256);
/// A group for the next lane of this process. Interface-local, so no other host can send to it
/// (RFC 4291, 2.7). Lanes in use never get the same one: two of them would need to share it.
fn nobody() -> Ipv6Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = [number >> 16, number & 0xffff].map(|half| half as u16);
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0x0dcf, high, low)
}

/// The lanes of a transport, oldest first.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<Vec<Lane>>);

/// What a lane is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// Messages, to a peer that the application chose.
    Messages,
    /// Pongs, to whoever pings.
    Pongs,
}

impl Cargo {
    fn limit(self) -> usize {
        match self {
            Self::Messages => LIMIT,
            Self::Pongs => PONG_LIMIT,
        }
    }
}

struct Lane {
    to: SocketAddrV6,
    cargo: Cargo,
    /// The state of the link in which its source address was chosen.
    epoch: u64,
    socket: Arc<Socket>,
}

impl Lanes {
    /// The lane to a peer, made now if need be. `main` is the control socket of the moment, or there
    /// is none: it is asked for under the lock, so that no lane outlives `close`.
    pub fn open(
        &self,
        to: &SocketAddrV6,
        cargo: Cargo,
        epoch: u64,
        interface: &str,
        main: impl FnOnce() -> Option<Arc<Socket>>,
    ) -> Option<Weak<Socket>> {
        let mut lanes = lock(&self.0);
        let main = main()?;
        lanes.retain(|lane| lane.epoch == epoch);
        let same = |lane: &&Lane| lane.to == *to && lane.cargo == cargo;
        if let Some(lane) = lanes.iter().find(same) {
            return Some(Arc::downgrade(&lane.socket));
        }
        let others = lanes.iter().filter(|lane| lane.cargo == cargo);
        if others.count() >= cargo.limit() {
            if let Some(oldest) = lanes.iter().position(|lane| lane.cargo == cargo) {
                lanes.remove(oldest);
            }
        }
        // It fails for want of descriptors, or of an interface: then the control socket does it.
        let socket = Arc::new(connect(&main, interface, to).ok()?);
        let lane = Arc::downgrade(&socket);
        lanes.push(Lane {
            to: *to,
            cargo,
            epoch,
            socket,
        });
        Some(lane)
    }

    /// Takes them all out of use; they are closed when the last send over them is done.
    pub fn close(&self) -> Vec<Arc<Socket>> {
        let lanes = std::mem::take(&mut *lock(&self.0));
        lanes.into_iter().map(|lane| lane.socket).collect()
    }
}

fn connect(main: &Socket, interface: &str, to: &SocketAddrV6) -> std::io::Result<Socket> {
    let lane = outbound(main, interface)?;
    lane.connect(&SockAddr::from(*to))?;
    Ok(lane)
}

/// A socket that sends from the control port to anybody, and receives nothing. It tells of datagrams
/// that the interface's own queue has no room for.
pub(super) fn outbound(main: &Socket, interface: &str) -> std::io::Result<Socket> {
    let lane = socket::udp(interface)?;
    let port = socket::local_port(main)?;
    // Both have to allow it while the lane is bound. SO_REUSEPORT lets in sockets of the same user
    // only; with SO_REUSEADDR any user could bind the port in that moment. Afterwards neither allows it, so a
    // second transport of the same user is refused. Binding fails in a program that changed its user
    // id since it opened the control socket; messages then go without lanes.
    lane.set_reuse_port(true)?;
    main.set_reuse_port(true)?;
    let group = SocketAddrV6::new(nobody(), port, 0, 0);
    let bound = lane.bind(&SockAddr::from(group));
    main.set_reuse_port(false)?;
    bound?;
    lane.set_reuse_port(false)?;
    // Where the kernel does not know it, drops of its queue are not told; nothing else changes.
    let _ = report::tell(&lane);
    // Room for nothing but a report or two: whatever else should come here is made up.
    lane.set_recv_buffer_size(0)?;
    enlarge_buffer(&lane, BufferOption::Send, main.send_buffer_size()? / 2);
    Ok(lane)
}

/// What one sender knows of its traffic to one peer.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    sends: u32,
    since: Option<Instant>,
    lane: Weak<Socket>,
}

/// Which way the next message goes.
pub(crate) enum Route {
    Lane(Arc<Socket>),
    /// The control socket, and perhaps it is time for a lane.
    Shared {
        busy: bool,
    },
}

impl Usage {
    pub fn lane(&self) -> Option<Arc<Socket>> {
        self.lane.upgrade()
    }

    /// Counts `sends` messages that are about to go to the peer, and says which way.
    pub fn route(&mut self, sends: u32) -> Route {
        if let Some(lane) = self.lane() {
            return Route::Lane(lane);
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

    pub fn set_lane(&mut self, lane: Weak<Socket>) {
        self.lane = lane;
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
        let main = socket::udp("lo").unwrap();
        socket::bind_port(&main, 0).unwrap();
        Arc::new(main)
    }

    #[test]
    fn a_lane_sends_from_the_control_port_and_takes_nothing_from_it() {
        let main = main_socket();
        let port = socket::local_port(&main).unwrap();
        let far = UdpSocket::bind("[::1]:0").unwrap();
        let lanes = Lanes::default();
        let open = || {
            lanes.open(&peer(&far), Cargo::Messages, 1, "lo", || {
                Some(Arc::clone(&main))
            })
        };
        let lane = open().unwrap().upgrade().unwrap();
        lane.send(b"over the lane").unwrap();
        let mut buf = [0; 64];
        let (size, from) = far.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..size], b"over the lane");
        assert_eq!(
            (from.ip(), from.port()),
            ("::1".parse::<Ipv6Addr>().unwrap().into(), port)
        );

        far.send_to(b"back", from).unwrap();
        main.set_nonblocking(false).unwrap();
        let size = (&*main).read(&mut buf).unwrap();
        assert_eq!(&buf[..size], b"back");
        let nothing = (&*lane).read(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_lane_is_found_again_until_the_link_changes_or_it_is_closed() {
        let main = main_socket();
        let far = UdpSocket::bind("[::1]:0").unwrap();
        let lanes = Lanes::default();
        let open = |epoch| {
            lanes.open(&peer(&far), Cargo::Messages, epoch, "lo", || {
                Some(Arc::clone(&main))
            })
        };
        let first = open(1).unwrap();
        assert!(Weak::ptr_eq(&first, &open(1).unwrap()));
        assert!(!Weak::ptr_eq(&first, &open(2).unwrap()));
        assert!(first.upgrade().is_none());
        assert_eq!(lanes.close().len(), 1);
        assert!(lanes
            .open(&peer(&far), Cargo::Messages, 2, "lo", || None)
            .is_none());
    }

    #[test]
    fn lanes_for_pongs_close_no_lane_for_messages_and_the_oldest_makes_room() {
        let main = main_socket();
        let lanes = Lanes::default();
        let open = |port: u16, cargo| {
            let to = SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0);
            let main = || Some(Arc::clone(&main));
            let lane = lanes.open(&to, cargo, 1, "lo", main).expect("a lane");
            move || lane.upgrade().is_some()
        };
        let own: Vec<_> = (1..=LIMIT as u16)
            .map(|port| open(port, Cargo::Messages))
            .collect();
        // Strangers in the names of our peers, and in others.
        let pongs: Vec<_> = (1..=3 * LIMIT as u16)
            .map(|port| open(port, Cargo::Pongs))
            .collect();
        assert!(own.iter().all(|lives| lives()));
        assert_eq!(pongs.iter().filter(|lives| lives()).count(), PONG_LIMIT);
        assert!(pongs.last().is_some_and(|lives| lives()));
        let newest = open(1000, Cargo::Messages);
        assert!(newest() && !own[0]() && own[1]());
    }

    #[test]
    fn every_peer_may_have_a_lane_and_the_port_stays_ours_alone() {
        let main = main_socket();
        let port = socket::local_port(&main).unwrap();
        let lanes = Lanes::default();
        let open = |to: &UdpSocket| {
            lanes.open(&peer(to), Cargo::Messages, 1, "lo", || {
                Some(Arc::clone(&main))
            })
        };
        let far = [0; 3].map(|_| UdpSocket::bind("[::1]:0").unwrap());
        for far in &far {
            let lane = open(far).expect("a lane beside the others").upgrade();
            lane.unwrap().send(b"x").unwrap();
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
            Route::Lane(_) => panic!("there is no lane"),
        };
        assert!(!busy(&mut usage, BUSY_SENDS - 1));
        assert!(!busy(&mut usage, 1), "how long they took is not known yet");
        assert!(busy(&mut usage, BUSY_SENDS));
        usage.since = Instant::now().checked_sub(2 * BUSY_WITHIN);
        assert!(!busy(&mut usage, BUSY_SENDS), "they were too far apart");
    }
}
