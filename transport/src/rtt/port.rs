//! Sockets for round trips, kept for the next one, and the pings that are out on each.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::Instant;

use socket2::{SockAddr, Socket};

use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::handlers::lock;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::Mutex;
use crate::sys::event::Wake;
use crate::sys::{memory, socket};

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

/// A socket of its own for the round trips of one thread, or task, at a time.
pub(crate) struct Port {
    pub socket: Socket,
    /// Who it is connected to; `None`: it is not, for discovery.
    peer: Option<SocketAddrV6>,
    generation: u64,
    pings: Mutex<Pings>,
    /// A pong was left for it, or the state of the transport changed.
    pub wake: Wake,
}

/// The pings that may still be answered, and pongs of theirs that came to the control port.
#[derive(Default)]
struct Pings {
    /// Tokens, each larger than the one before it.
    outstanding: Vec<u64>,
    delivered: Vec<Pong>,
}

impl Port {
    fn new(core: &Core, generation: u64, peer: Option<SocketAddrV6>) -> Result<Self> {
        let interface = core.link.name();
        let socket =
            socket::udp(&interface).map_err(|error| core.cannot_bind_device(&interface, error))?;
        // Where the kernel does not know it, drops of its queue are not told; nothing else changes.
        let _ = socket::report_drops(&socket);
        if !core.settings.busy_poll.is_zero() {
            socket::busy_poll(&socket, core.settings.busy_poll);
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
        room.map_err(|_| memory::exhausted("cannot wait for more pongs"))?;
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
        pings.outstanding.clear();
        pings.delivered.clear();
    }
}

impl Pings {
    fn expects(&self, token: u64) -> bool {
        self.outstanding.binary_search(&token).is_ok()
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
        memory::check("cannot measure round trips")?;
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
