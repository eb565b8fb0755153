//! Discovery: a ping to all hosts on the link.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use super::measure::{Measurement, Next};
use super::ping_socket::Answer;
use super::round_trips::RoundTrips;
use super::session::Session;
use crate::address::OwnPort;
use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::link::Current;
use crate::log::log;
use crate::sys::poll::Deadline;
use crate::sys::reserve_alloc;

/// A peer that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveredPeer {
    /// Its peer string, `fe80::…%thunderbolt0`, as other calls accept it.
    pub address: String,
    /// The shortest measured round trip.
    pub rtt: Duration,
}

/// The most peers that one discovery finds; more than a link has. Any host on the link can answer under any number of
/// forged addresses. The first ones stay, and later ones are counted
/// ([`Stats::discovery_dropped`](crate::Stats::discovery_dropped)) and left out.
pub const MAX_DISCOVERED_PEERS: usize = 1024;
/// The pings of a discovery that are remembered. An answer to an older one is too late.
const AWAITED: usize = 64;

/// The network may lose a ping, so a discovery repeats it this many times within the waiting time, at intervals
/// from `SHORTEST` to `LONGEST`.
const REPEATS: u32 = 5;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Fails if no peer can have this control port.
pub(crate) fn check_port(port: u16) -> Result<()> {
    if port == 0 {
        return Err(TransportError::OutOfRange {
            what: "port",
            value: "0".to_owned(),
            allowed: "a peer listens on a port from 1 to 65535".to_owned(),
        });
    }
    Ok(())
}

/// A running discovery.
pub(crate) struct Discovery<'a> {
    context: &'a Context,
    multicast: bool,
    deadline: Deadline,
    /// The interval between pings.
    pause: Duration,
    next: Instant,
    /// The tokens of the pings in ascending order, and when each left.
    sent: VecDeque<(u64, Instant)>,
    found: HashMap<SocketAddrV6, Duration>,
    /// The discovery ends when it has found this many peers.
    enough: usize,
    /// The answers for which there was no room.
    left_out: u64,
}

impl<'a> Discovery<'a> {
    pub fn begin(
        round_trips: &'a RoundTrips,
        port: u16,
        enough: usize,
        wait: Option<Duration>,
    ) -> Result<(Session<'a>, Self)> {
        if enough == 0 {
            return Err(TransportError::OutOfRange {
                what: "the number of peers to find",
                value: "0".to_owned(),
                allowed: "ask for at least one".to_owned(),
            });
        }
        let context = &*round_trips.context;
        if context.is_closing() {
            return Err(TransportError::Shutdown);
        }
        context.link.check()?;
        let state = |now: &Current| (now.index.unwrap_or(0), now.multicast);
        let (index, multicast) = context.link.with(state);
        let deadline = Deadline::after(wait);
        let session = Session::with_everybody(round_trips, index, port)?;
        let discovery = Self {
            context,
            multicast,
            deadline,
            pause: wait.map_or(LONGEST, |time| (time / REPEATS).clamp(SHORTEST, LONGEST)),
            next: Instant::now(),
            sent: VecDeque::new(),
            found: HashMap::new(),
            enough,
            left_out: 0,
        };
        Ok((session, discovery))
    }

    fn peers(&mut self, session: &Session<'_>) -> Vec<DiscoveredPeer> {
        if self.left_out > 0 {
            log!(
                self.context.log,
                Warn,
                "more than {MAX_DISCOVERED_PEERS} hosts answered on \"{}\": left out {} answers of \
                 others; check whether a host on the link forges addresses",
                self.context.link.name(),
                self.left_out
            );
        }
        let mut peers: Vec<_> = self
            .found
            .drain()
            .map(|(address, rtt)| DiscoveredPeer {
                address: session.peer_string(&address),
                rtt,
            })
            .collect();
        peers.sort_by(|a, b| a.address.cmp(&b.address));
        peers
    }

    /// Remembers a ping, for which there is room in the queue. The oldest is forgotten if there are too many.
    fn await_answers(&mut self, session: &mut Session<'_>, token: u64, left: Instant) {
        if self.sent.len() >= AWAITED {
            if let Some((oldest, _)) = self.sent.pop_front() {
                session.forget(oldest);
            }
        }
        self.sent.push_back((token, left));
    }

    /// The time when the ping with this token was sent.
    fn left(&self, token: u64) -> Option<Instant> {
        let place = self.sent.binary_search_by_key(&token, |(token, _)| *token);
        place.ok().map(|place| self.sent[place].1)
    }
}

impl Measurement for Discovery<'_> {
    type Outcome = Vec<DiscoveredPeer>;

    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Self::Outcome>> {
        if self.found.len() >= self.enough || self.deadline.passed() {
            return Ok(Next::Done(self.peers(session)));
        }
        // An interface without multicast (lo) has no other hosts, but the call still waits.
        if !self.multicast {
            return Ok(Next::Wait(self.deadline));
        }
        if Instant::now() >= self.next {
            let room = self.sent.try_reserve(1);
            room.map_err(|_| reserve_alloc::exhausted("cannot wait for more pongs"))?;
            match session.ping() {
                Ok((token, left)) => self.await_answers(session, token, left),
                // It counts as lost, and is repeated.
                Err(TransportError::QueueFull { .. }) => {}
                Err(error) => return Err(error),
            }
            self.next = Instant::now() + self.pause;
        }
        Ok(Next::Wait(self.deadline.min(Deadline::At(self.next))))
    }

    fn take(&mut self, _: &mut Session<'_>, answer: &Answer) -> Result<()> {
        let Answer::Pong(pong) = answer else {
            return Ok(());
        };
        let context = self.context;
        let ours = context
            .link
            .with(|now| now.addresses.contains(pong.from.ip()));
        let Some(left) = self.left(pong.token).filter(|_| !ours) else {
            return Ok(());
        };
        let rtt = pong.at.saturating_duration_since(left);
        let cold = &context.counters.cold;
        cold.pongs_received.increment();
        cold.last_rtt_ns.set(rtt.as_nanos() as u64);
        if let Some(shortest) = self.found.get_mut(&pong.from) {
            *shortest = rtt.min(*shortest);
            return Ok(());
        }
        if self.found.len() >= self.enough {
            return Ok(());
        }
        if self.found.len() >= MAX_DISCOVERED_PEERS {
            cold.discovery_dropped.increment();
            self.left_out += 1;
            return Ok(());
        }
        const ANOTHER: &str = "cannot keep another answer";
        reserve_alloc::check(ANOTHER)?;
        let room = self.found.try_reserve(1);
        room.map_err(|_| reserve_alloc::exhausted(ANOTHER))?;
        self.found.insert(pong.from, rtt);
        Ok(())
    }
}

impl RoundTrips {
    /// The control port to which discovery sends, if other hosts can have the same one. An interface without
    /// multicast has no other hosts.
    pub fn discovery_port(&self) -> Result<u16> {
        match self.context.own_control_port() {
            OwnPort::AnyFree { setting, .. } if self.context.link.with(|now| now.multicast) => {
                Err(TransportError::OutOfRange {
                    what: setting,
                    value: "0".to_owned(),
                    allowed: "discovery asks hosts at our own control port, and no other host has \
                              one that the kernel chose; configure it, or name theirs \
                              (discover_port in Rust)"
                        .to_owned(),
                })
            }
            own => Ok(own.number()),
        }
    }

    /// Lists the other hosts on the link that answer on control port `port` within `wait`, sorted by address. It
    /// ends early when `enough` of them have answered.
    pub fn discover(
        &self,
        port: u16,
        enough: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let measured = Discovery::begin(self, port, enough, wait);
        self.context
            .count(measured.and_then(|(session, discovery)| session.run(discovery)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Core;
    use crate::rtt::ping_socket::Pong;
    use crate::ThunderboltTransportBuilder;
    use std::net::Ipv6Addr;
    use std::sync::Arc;

    fn host(n: usize) -> SocketAddrV6 {
        SocketAddrV6::new(Ipv6Addr::from((0xfe80 << 112) | n as u128), 5000, 0, 1)
    }

    fn core() -> Arc<Core> {
        crate::start::build(ThunderboltTransportBuilder::new().interface("lo")).unwrap()
    }

    fn discovery(core: &Core) -> Discovery<'_> {
        let now = Instant::now();
        Discovery {
            context: &core.context,
            multicast: true,
            deadline: Deadline::Never,
            pause: LONGEST,
            next: now,
            sent: VecDeque::from([(7, now)]),
            found: HashMap::new(),
            enough: usize::MAX,
            left_out: 0,
        }
    }

    #[test]
    fn made_up_answers_are_bounded_counted_and_push_nobody_out() {
        let core = core();
        let mut session = Session::with_everybody(&core.round_trips, 1, 5000).unwrap();
        let mut discovery = discovery(&core);
        let mut answer = |from, micros| {
            let at = discovery.sent[0].1 + Duration::from_micros(micros);
            let pong = Answer::Pong(Pong { token: 7, from, at });
            discovery.take(&mut session, &pong).unwrap();
        };
        answer(host(0), 90);
        for made_up in 1..10 * MAX_DISCOVERED_PEERS {
            answer(host(made_up), 50);
        }
        answer(host(0), 80);
        let stats = core.totals();
        assert_eq!(stats.pongs_received, 10 * MAX_DISCOVERED_PEERS as u64 + 1);
        assert_eq!(stats.discovery_dropped, 9 * MAX_DISCOVERED_PEERS as u64);
        let peers = discovery.peers(&session);
        assert_eq!(peers.len(), MAX_DISCOVERED_PEERS);
        let first = peers.iter().find(|peer| peer.address == "[fe80::%lo]:5000");
        assert_eq!(first.expect("it came first").rtt, Duration::from_micros(80));
    }

    #[test]
    fn enough_peers_end_the_search() {
        let core = core();
        let mut session = Session::with_everybody(&core.round_trips, 1, 5000).unwrap();
        let mut discovery = discovery(&core);
        discovery.enough = 2;
        for (n, ends) in [(1, false), (1, false), (2, true), (3, true)] {
            let at = discovery.sent[0].1 + Duration::from_micros(50);
            let (token, from) = (7, host(n));
            discovery
                .take(&mut session, &Answer::Pong(Pong { token, from, at }))
                .unwrap();
            let enough = discovery.found.len() >= discovery.enough;
            assert_eq!(enough, ends, "after {n}");
        }
        assert_eq!(discovery.peers(&session).len(), 2);
        assert_eq!(core.totals().discovery_dropped, 0);
        assert_eq!(core.totals().last_rtt_ns, 50_000);
    }

    #[test]
    fn a_discovery_without_an_end_keeps_its_last_pings_only() {
        let core = core();
        let mut session = Session::with_everybody(&core.round_trips, 1, 5000).unwrap();
        let mut discovery = discovery(&core);
        let tokens = 8..8 + 3 * AWAITED as u64;
        for token in tokens.clone() {
            session.socket().expect(token).unwrap();
            discovery.await_answers(&mut session, token, Instant::now());
            assert!(discovery.sent.len() <= AWAITED);
        }
        let awaited = |token| discovery.left(token).is_some();
        assert!(tokens.clone().rev().take(AWAITED).all(awaited));
        let oldest = 8;
        assert!(!awaited(oldest) && !session.socket().expects(oldest));
        let newest = tokens.end - 1;
        assert!(session.socket().expects(newest));
    }
}
