//! Who else is on the cable: a ping to everybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::measure::{Measurement, Next};
use super::port::Pong;
use super::session::Session;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::link::Current;
use crate::sys::memory;
use crate::sys::poll::Deadline;

/// A transport that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveredPeer {
    /// Its peer string, `fe80::…%thunderbolt0`, ready for every other call.
    pub address: String,
    /// The shortest round trip that was seen.
    pub rtt: Duration,
}

/// The pings are repeated, because the network may lose one: this often within the waiting time,
/// but not more often than `SHORTEST` nor more seldom than `LONGEST`.
const REPEATS: u32 = 5;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Whether a peer can have this control port.
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

/// A search under way.
pub(crate) struct Discovery<'a> {
    core: &'a Core,
    multicast: bool,
    deadline: Deadline,
    /// From one ping to the next.
    pause: Duration,
    next: Instant,
    /// When each ping left, by its token.
    sent: HashMap<u64, Instant>,
    found: HashMap<String, Duration>,
}

impl<'a> Discovery<'a> {
    pub fn begin(
        core: &'a Arc<Core>,
        port: u16,
        wait: Option<Duration>,
    ) -> Result<(Session<'a>, Self)> {
        if core.is_closing() {
            return Err(TransportError::Shutdown);
        }
        core.link.check()?;
        let state = |now: &Current| (now.index.unwrap_or(0), now.multicast);
        let (index, multicast) = core.link.with(state);
        let deadline = Deadline::after(wait);
        let session = Session::with_everybody(core, index, port)?;
        let discovery = Self {
            core,
            multicast,
            deadline,
            pause: wait.map_or(LONGEST, |time| (time / REPEATS).clamp(SHORTEST, LONGEST)),
            next: Instant::now(),
            sent: HashMap::new(),
            found: HashMap::new(),
        };
        Ok((session, discovery))
    }

    fn peers(&mut self) -> Vec<DiscoveredPeer> {
        let mut peers: Vec<_> = self
            .found
            .drain()
            .map(|(address, rtt)| DiscoveredPeer { address, rtt })
            .collect();
        peers.sort_by(|a, b| a.address.cmp(&b.address));
        peers
    }
}

impl Measurement for Discovery<'_> {
    type Outcome = Vec<DiscoveredPeer>;

    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Self::Outcome>> {
        if self.deadline.passed() {
            return Ok(Next::Done(self.peers()));
        }
        // An interface without multicast (lo) has no peers, but the wait is the same.
        if !self.multicast {
            return Ok(Next::Wait(self.deadline));
        }
        if Instant::now() >= self.next {
            let room = self.sent.try_reserve(1);
            room.map_err(|_| memory::exhausted("cannot wait for more pongs"))?;
            let (token, left) = session.ping()?;
            self.sent.insert(token, left);
            self.next = left + self.pause;
        }
        Ok(Next::Wait(self.deadline.min(Deadline::At(self.next))))
    }

    fn take(&mut self, session: &mut Session<'_>, pong: &Pong) -> Result<()> {
        let core = self.core;
        let ours = core.link.with(|now| now.addresses.contains(pong.from.ip()));
        if let Some(left) = self.sent.get(&pong.token).filter(|_| !ours) {
            const ANOTHER: &str = "cannot keep another answer";
            memory::check(ANOTHER)?;
            let room = self.found.try_reserve(1);
            room.map_err(|_| memory::exhausted(ANOTHER))?;
            let rtt = pong.at.saturating_duration_since(*left);
            core.counters.rare.pongs_received.increment();
            let shortest = self.found.entry(session.sender(pong)).or_insert(rtt);
            *shortest = rtt.min(*shortest);
        }
        Ok(())
    }
}

impl Core {
    /// Lists the other hosts on the link that answer on control port `port` within `wait`, by
    /// address.
    pub fn discover(
        self: &Arc<Self>,
        port: u16,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        let measured = Discovery::begin(self, port, wait);
        self.count(measured.and_then(|(session, discovery)| session.run(discovery)))
    }
}
