//! A socket for round trips, and the pings that are outstanding on it.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::event::Wake;
use crate::sys::{report, reserve_alloc, socket};
use crate::wire::{self, Kind};

/// The most pongs from the control port that wait on one socket.
pub(super) const MAX_DELIVERED: usize = 1024;

/// A pong that has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pong {
    pub token: u64,
    pub from: SocketAddrV6,
    pub at: Instant,
}

/// The result of a ping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Pong(Pong),
    /// It did not reach the peer, according to an ICMP error that quotes it.
    Undelivered {
        token: u64,
        errno: i32,
    },
}

/// The pings that are remembered after they timed out.
const TIMED_OUT: usize = 16;

/// How long an ICMP error explains that later pings are not answered. The kernel takes three seconds to find out
/// that an address does not resolve, one for each solicitation (ndisc), and starts again with the next ping. A peer's
/// kernel sends few errors a second (net.ipv6.icmp.ratelimit).
const UNREACHABLE_FOR: Duration = Duration::from_secs(4);

/// A socket for round trips. One thread or task uses it at any time.
pub(crate) struct PingSocket {
    pub socket: Socket,
    /// The peer that it is connected to. `None`: it is not connected, for discovery.
    pub(super) peer: Option<SocketAddrV6>,
    pub(super) epoch: u64,
    pings: Mutex<Pings>,
    /// `undelivered` is not empty.
    has_undelivered: AtomicBool,
    /// A pong was delivered, or the state of the transport changed.
    pub wake: Wake,
}

/// The pings that may still be answered, and those of their pongs that came to the control port.
#[derive(Default)]
struct Pings {
    /// Tokens, in ascending order.
    outstanding: Vec<u64>,
    delivered: Vec<Pong>,
    /// The last ones that timed out.
    timed_out: VecDeque<u64>,
    /// The outstanding ones that did not reach the peer, each with its token and errno.
    undelivered: Vec<(u64, i32)>,
    /// The errno of the last ICMP error, and its time.
    unreachable: Option<(i32, Instant)>,
}

impl PingSocket {
    pub(super) fn new(context: &Context, epoch: u64, peer: Option<SocketAddrV6>) -> Result<Self> {
        let interface = context.link.name();
        let socket = socket::udp(&interface)
            .map_err(|error| context.cannot_bind_device(&interface, error))?;
        // Without the option, the kernel does not report drops of the queue. All else works.
        let _ = report::tell(&socket);
        let busy_poll = context.spin.budget();
        if !busy_poll.is_zero() {
            socket::busy_poll(&socket, busy_poll);
        }
        if let Some(peer) = &peer {
            let connected = socket.connect(&SockAddr::from(*peer));
            connected.map_err(|error| context.failed_to("cannot send a ping", peer, error))?;
        }
        let wake = Wake::new()
            .map_err(|error| TransportError::from_os("cannot make an eventfd", error))?;
        Ok(Self {
            socket,
            peer,
            epoch,
            pings: Mutex::default(),
            has_undelivered: AtomicBool::new(false),
            wake,
        })
    }

    pub fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// A ping with this token is about to leave. Tokens ascend, so it is the largest one.
    pub fn expect(&self, token: u64) -> Result<()> {
        let outstanding = &mut lock(&self.pings).outstanding;
        let room = outstanding.try_reserve(1);
        room.map_err(|_| reserve_alloc::exhausted("cannot wait for more pongs"))?;
        outstanding.push(token);
        Ok(())
    }

    /// Stops waiting for the pong with this token.
    pub fn forget(&self, token: u64) {
        let outstanding = &mut lock(&self.pings).outstanding;
        if let Ok(place) = outstanding.binary_search(&token) {
            outstanding.remove(place);
        }
    }

    /// The ping with this token timed out. The kernel may still report why.
    pub fn time_out(&self, token: u64) {
        let pings = &mut *lock(&self.pings);
        if let Ok(place) = pings.outstanding.binary_search(&token) {
            pings.outstanding.remove(place);
            pings.remember_timed_out(token);
        }
    }

    /// The peer answered.
    pub fn reached(&self) {
        lock(&self.pings).unreachable = None;
    }

    /// The errno of the last ICMP error, if it is recent.
    pub fn unreachable(&self) -> Option<i32> {
        let (errno, at) = lock(&self.pings).unreachable?;
        (at.elapsed() < UNREACHABLE_FOR).then_some(errno)
    }

    /// Reads the ICMP errors that came back. One counts if it quotes an outstanding ping. Only the peer, and hosts
    /// that see the packets in between, know the token, so no other host can forge such an error. Returns the number of
    /// the others.
    pub fn read_reports(&self) -> u64 {
        let mut others = 0;
        report::read(self.socket.as_fd(), |report| {
            let Kind::Ping(token) = wire::classify(report.quoted()) else {
                others += 1;
                return;
            };
            let mut pings = lock(&self.pings);
            // A ping to all hosts may be answered by others, so one error does not count. And no MTU is too small for a ping.
            let counts = self.is_connected() && report.errno != libc::EMSGSIZE;
            let expected = pings.expects(token);
            if !counts || !(expected || pings.timed_out.contains(&token)) {
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

    /// An outstanding ping that did not reach the peer, and why.
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

    /// Delivers a pong that came to the control port, if it answers an outstanding ping and came from its peer.
    pub(super) fn deliver(&self, pong: Pong) -> bool {
        let from: &Ipv6Addr = pong.from.ip();
        if self.peer.is_some_and(|peer| peer.ip() != from) {
            return false;
        }
        let mut pings = lock(&self.pings);
        // Each pong is kept once, so one peer leaves no more than there are outstanding pings. Any host may answer a
        // discovery, and `MAX_DELIVERED` bounds those.
        let one_peer = self.is_connected();
        let same = |had: &Pong| had.token == pong.token && (one_peer || had.from == pong.from);
        if pings.delivered.iter().any(same) {
            return true;
        }
        let full = pings.delivered.len() >= MAX_DELIVERED;
        if full || !pings.expects(pong.token) || pings.delivered.try_reserve(1).is_err() {
            return false;
        }
        pings.delivered.push(pong);
        drop(pings);
        self.wake.signal();
        true
    }

    /// A delivered pong whose ping is outstanding.
    pub fn take_delivered(&self) -> Option<Pong> {
        let mut pings = lock(&self.pings);
        while let Some(pong) = pings.delivered.pop() {
            if pings.expects(pong.token) {
                return Some(pong);
            }
        }
        None
    }

    /// Forgets the pings of the last user.
    pub(super) fn reset(&self) {
        let mut pings = lock(&self.pings);
        for token in std::mem::take(&mut pings.outstanding) {
            pings.remember_timed_out(token);
        }
        pings.delivered.clear();
        pings.undelivered.clear();
    }
}

impl Pings {
    fn expects(&self, token: u64) -> bool {
        self.outstanding.binary_search(&token).is_ok()
    }

    fn remember_timed_out(&mut self, token: u64) {
        if self.timed_out.len() >= TIMED_OUT {
            self.timed_out.pop_front();
        }
        // If there is no memory, an error that quotes this ping counts as forged.
        if self.timed_out.try_reserve(1).is_ok() {
            self.timed_out.push_back(token);
        }
    }
}
