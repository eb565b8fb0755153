//! Sockets for round trips, kept for the next one, and the pings that are out on each.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::event::Wake;
use crate::sys::{report, reserve_alloc, socket};
use crate::wire::{self, Kind};

/// Sockets that are kept at most.
const KEPT: usize = 8;

/// Pongs that wait at most for whoever measures, of those that came to the control port.
const DELIVERED: usize = 1024;

/// A pong that has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pong {
    pub token: u64,
    pub from: SocketAddrV6,
    pub at: Instant,
}

/// What came of a ping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Pong(Pong),
    /// It did not reach the peer, as an ICMP error says that quotes it.
    Undelivered {
        token: u64,
        errno: i32,
    },
}

/// Pings that are remembered after they were given up.
const GIVEN_UP: usize = 16;

/// For how long an ICMP error explains that later pings are not answered. The kernel takes three seconds
/// to find out that an address does not resolve, one for each question (ndisc), and begins anew with the
/// next ping; a peer's kernel sends few errors a second (net.ipv6.icmp.ratelimit).
const UNREACHABLE_FOR: Duration = Duration::from_secs(4);

/// A socket of its own for the round trips of one thread, or task, at a time.
pub(crate) struct Port {
    pub socket: Socket,
    /// Who it is connected to; `None`: it is not, for discovery.
    peer: Option<SocketAddrV6>,
    generation: u64,
    pings: Mutex<Pings>,
    /// There is something in `undelivered`.
    has_undelivered: AtomicBool,
    /// A pong was left for it, or the state of the transport changed.
    pub wake: Wake,
}

/// The pings that may still be answered, and pongs of theirs that came to the control port.
#[derive(Default)]
struct Pings {
    /// Tokens, each larger than the one before it.
    outstanding: Vec<u64>,
    delivered: Vec<Pong>,
    /// The last ones that nobody waits for any more.
    given_up: VecDeque<u64>,
    /// Of outstanding ones that did not reach the peer: the token, and why.
    undelivered: Vec<(u64, i32)>,
    /// Why the last ping that did not reach the peer did not, and when that was told.
    unreachable: Option<(i32, Instant)>,
}

impl Port {
    fn new(core: &Core, generation: u64, peer: Option<SocketAddrV6>) -> Result<Self> {
        let interface = core.link.name();
        let socket =
            socket::udp(&interface).map_err(|error| core.cannot_bind_device(&interface, error))?;
        // Where the kernel does not know it, drops of its queue are not told; nothing else changes.
        let _ = report::tell(&socket);
        let busy_poll = core.spin.budget();
        if !busy_poll.is_zero() {
            socket::busy_poll(&socket, busy_poll);
        }
        if let Some(peer) = &peer {
            let connected = socket.connect(&SockAddr::from(*peer));
            connected.map_err(|error| core.failed_to("cannot send a ping", peer, error))?;
        }
        let wake = Wake::new()
            .map_err(|error| TransportError::from_os("cannot make an eventfd", error))?;
        Ok(Self {
            socket,
            peer,
            generation,
            pings: Mutex::default(),
            has_undelivered: AtomicBool::new(false),
            wake,
        })
    }

    pub fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// `token` is about to go out. It is the largest so far, as tokens are.
    pub fn expect(&self, token: u64) -> Result<()> {
        let outstanding = &mut lock(&self.pings).outstanding;
        let room = outstanding.try_reserve(1);
        room.map_err(|_| reserve_alloc::exhausted("cannot wait for more pongs"))?;
        outstanding.push(token);
        Ok(())
    }

    /// A pong of this token is no longer waited for.
    pub fn forget(&self, token: u64) {
        let outstanding = &mut lock(&self.pings).outstanding;
        if let Ok(place) = outstanding.binary_search(&token) {
            outstanding.remove(place);
        }
    }

    /// The same of a ping that was not answered in time. The kernel may still tell why.
    pub fn give_up(&self, token: u64) {
        let pings = &mut *lock(&self.pings);
        if let Ok(place) = pings.outstanding.binary_search(&token) {
            pings.outstanding.remove(place);
            pings.remember_given_up(token);
        }
    }

    /// The peer answered.
    pub fn reached(&self) {
        lock(&self.pings).unreachable = None;
    }

    /// Why earlier pings did not reach the peer a moment ago.
    pub fn unreachable(&self) -> Option<i32> {
        let (errno, at) = lock(&self.pings).unreachable?;
        (at.elapsed() < UNREACHABLE_FOR).then_some(errno)
    }

    /// Reads the ICMP errors that came back. One counts if it quotes a ping that is out: its token is
    /// known to the peer and to who sees the packets in between, so nobody else can make one up. Gives
    /// the number of the others.
    pub fn read_reports(&self) -> u64 {
        let mut others = 0;
        report::read(self.socket.as_fd(), |report| {
            let Kind::Ping(token) = wire::classify(report.quoted()) else {
                others += 1;
                return;
            };
            let mut pings = lock(&self.pings);
            // Not of a ping to everybody: many hosts are asked. And no link is too narrow for a ping.
            let counts = self.is_connected() && report.errno != libc::EMSGSIZE;
            let expected = pings.expects(token);
            if !counts || !(expected || pings.given_up.contains(&token)) {
                others += 1;
                return;
            }
            pings.unreachable = Some((report.errno, Instant::now()));
            if expected {
                let known = pings.undelivered.iter().any(|(known, _)| *known == token);
                if !known && pings.undelivered.try_reserve(1).is_ok() {
                    pings.undelivered.push((token, report.errno));
                    self.has_undelivered.store(true, Ordering::Release);
                }
            }
        });
        others
    }

    /// A ping that is still waited for, and why it did not reach the peer.
    pub fn take_undelivered(&self) -> Option<Answer> {
        if !self.has_undelivered.load(Ordering::Acquire) {
            return None;
        }
        let mut pings = lock(&self.pings);
        while let Some((token, errno)) = pings.undelivered.pop() {
            if pings.expects(token) {
                return Some(Answer::Undelivered { token, errno });
            }
        }
        self.has_undelivered.store(false, Ordering::Release);
        None
    }

    pub fn expects(&self, token: u64) -> bool {
        lock(&self.pings).expects(token)
    }

    pub fn expects_any(&self) -> bool {
        !lock(&self.pings).outstanding.is_empty()
    }

    /// Leaves a pong that came to the control port, if it is one of ours from whom we pinged.
    fn deliver(&self, pong: Pong) -> bool {
        let from: &Ipv6Addr = pong.from.ip();
        if self.peer.is_some_and(|peer| peer.ip() != from) {
            return false;
        }
        let mut pings = lock(&self.pings);
        // Once is enough: of one peer so as many wait here as there are pings out. Everybody may
        // answer a discovery, and is bounded.
        let one_peer = self.is_connected();
        let same = |had: &Pong| had.token == pong.token && (one_peer || had.from == pong.from);
        if pings.delivered.iter().any(same) {
            return true;
        }
        let full = pings.delivered.len() >= DELIVERED;
        if full || !pings.expects(pong.token) || pings.delivered.try_reserve(1).is_err() {
            return false;
        }
        pings.delivered.push(pong);
        drop(pings);
        self.wake.signal();
        true
    }

    /// A pong that was left here and is still waited for.
    pub fn take_delivered(&self) -> Option<Pong> {
        let mut pings = lock(&self.pings);
        while let Some(pong) = pings.delivered.pop() {
            if pings.expects(pong.token) {
                return Some(pong);
            }
        }
        None
    }

    fn reset(&self) {
        let mut pings = lock(&self.pings);
        for token in std::mem::take(&mut pings.outstanding) {
            pings.remember_given_up(token);
        }
        pings.delivered.clear();
        pings.undelivered.clear();
    }
}

impl Pings {
    fn expects(&self, token: u64) -> bool {
        self.outstanding.binary_search(&token).is_ok()
    }

    fn remember_given_up(&mut self, token: u64) {
        if self.given_up.len() >= GIVEN_UP {
            self.given_up.pop_front();
        }
        // Without memory the kernel's word about it is not understood.
        if self.given_up.try_reserve(1).is_ok() {
            self.given_up.push_back(token);
        }
    }
}

/// All sockets for round trips: those in use, and those that wait for the next one.
#[derive(Default)]
pub(super) struct Ports {
    ports: Mutex<AllPorts>,
    /// Goes up when the interface or its addresses change: older sockets are of no use.
    generation: AtomicU64,
}

#[derive(Default)]
struct AllPorts {
    used: Vec<Arc<Port>>,
    kept: Vec<Arc<Port>>,
}

impl Ports {
    /// A socket for this thread's pings to `peer`, or to nobody in particular.
    pub fn take(&self, core: &Core, peer: Option<&SocketAddrV6>) -> Result<Arc<Port>> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut ports = lock(&self.ports);
        let same = |port: &Arc<Port>| peer.is_some() && port.peer.as_ref() == peer;
        if let Some(place) = ports.kept.iter().position(same) {
            let port = ports.kept.swap_remove(place);
            ports.used.push(Arc::clone(&port));
            return Ok(port);
        }
        // Making one takes system calls, which others should not wait for.
        drop(ports);
        reserve_alloc::check("cannot measure round trips")?;
        let port = Arc::new(Port::new(core, generation, peer.copied())?);
        lock(&self.ports).used.push(Arc::clone(&port));
        Ok(port)
    }

    /// Keeps a socket for the next round trip to the same peer.
    pub fn give_back(&self, port: &Arc<Port>) {
        port.reset();
        let mut ports = lock(&self.ports);
        if let Some(place) = ports.used.iter().position(|used| Arc::ptr_eq(used, port)) {
            ports.used.swap_remove(place);
        }
        if port.is_connected() && port.generation == self.generation.load(Ordering::Acquire) {
            if ports.kept.len() >= KEPT {
                // The one that was not used for longest, or nearly.
                ports.kept.remove(0);
            }
            ports.kept.push(Arc::clone(port));
        }
    }

    /// Hands a pong that came to the control port to whoever waits for it.
    pub fn deliver(&self, pong: Pong) -> bool {
        lock(&self.ports).used.iter().any(|port| port.deliver(pong))
    }

    /// Makes every waiting thread look at the state of the transport.
    pub fn wake_all(&self) {
        for port in &lock(&self.ports).used {
            port.wake.signal();
        }
    }

    /// Closes the sockets that are kept for the next round trip.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        lock(&self.ports).kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThunderboltTransportBuilder;

    fn pong(token: u64, n: usize) -> Pong {
        let ip = Ipv6Addr::from((0xfe80 << 112) | n as u128);
        Pong {
            token,
            from: SocketAddrV6::new(ip, 5000, 0, 1),
            at: Instant::now(),
        }
    }

    /// Peers whose applications answer by hand do so at the control port, and several may at once.
    #[test]
    fn pongs_that_are_left_for_a_discovery_are_one_for_each_peer_and_limited() {
        let core = Core::new(ThunderboltTransportBuilder::new().interface("lo")).unwrap();
        let port = core.rtt.ports.take(&core, None).unwrap();
        port.expect(7).unwrap();
        assert!(!port.deliver(pong(8, 1)), "nobody waits for that");
        for n in 0..2 * DELIVERED {
            assert_eq!(port.deliver(pong(7, n)), n < DELIVERED, "{n}");
            assert!(port.deliver(pong(7, 0)), "it is there already");
        }
        let mut delivered = 0;
        while port.take_delivered().is_some() {
            delivered += 1;
        }
        assert_eq!(delivered, DELIVERED);
        core.rtt.ports.give_back(&port);
    }

    #[test]
    fn one_peer_leaves_no_more_pongs_than_there_are_pings_out() {
        let core = Core::new(ThunderboltTransportBuilder::new().interface("lo")).unwrap();
        let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1);
        let port = core.rtt.ports.take(&core, Some(&peer)).unwrap();
        port.expect(7).unwrap();
        for source in 1..1000 {
            let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, source, 0, 1);
            assert!(port.deliver(Pong { from, ..pong(7, 0) }));
        }
        assert!(!port.deliver(pong(7, 1)), "another address");
        assert!(port.take_delivered().is_some() && port.take_delivered().is_none());
        core.rtt.ports.give_back(&port);
    }
}
