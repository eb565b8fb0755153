//! Who else is on the cable: a ping to everybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session::Session;
use crate::core::Core;
use crate::error::{Result, TransportError};
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

impl Core {
    /// Lists the other hosts on the link that answer on control port `port` within `wait`, by
    /// address.
    pub fn discover(
        self: &Arc<Self>,
        port: u16,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        self.count(self.try_discover(port, wait))
    }

    fn try_discover(
        self: &Arc<Self>,
        port: u16,
        wait: Option<Duration>,
    ) -> Result<Vec<DiscoveredPeer>> {
        if self.is_closing() {
            return Err(TransportError::Shutdown);
        }
        self.link.check()?;
        let (index, multicast) = self
            .link
            .with(|now| (now.index.unwrap_or(0), now.multicast));
        let deadline = Deadline::after(wait);
        let pause = wait.map_or(LONGEST, |time| (time / REPEATS).clamp(SHORTEST, LONGEST));
        let mut session = Session::with_everybody(self, index, port)?;
        let mut sent = HashMap::new();
        let mut found: HashMap<String, Duration> = HashMap::new();
        let mut next = Instant::now();
        while !deadline.passed() {
            // An interface without multicast (lo) has no peers, but the wait is the same.
            if multicast && Instant::now() >= next {
                let room = sent.try_reserve(1);
                room.map_err(|_| memory::exhausted("cannot wait for more pongs"))?;
                let (token, left) = session.ping()?;
                sent.insert(token, left);
                next = left + pause;
            }
            let until = match multicast {
                true => deadline.min(Deadline::At(next)),
                false => deadline,
            };
            let Some(pong) = session.pong(until)? else {
                continue;
            };
            let ours = self.link.with(|now| now.addresses.contains(pong.from.ip()));
            if let Some(left) = sent.get(&pong.token).filter(|_| !ours) {
                const ANOTHER: &str = "cannot keep another answer";
                memory::check(ANOTHER)?;
                let room = found.try_reserve(1);
                room.map_err(|_| memory::exhausted(ANOTHER))?;
                let rtt = pong.at.saturating_duration_since(*left);
                self.counters.rare.pongs_received.increment();
                let shortest = found.entry(session.sender(&pong)).or_insert(rtt);
                *shortest = rtt.min(*shortest);
            }
        }
        let mut peers: Vec<_> = found
            .into_iter()
            .map(|(address, rtt)| DiscoveredPeer { address, rtt })
            .collect();
        peers.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(peers)
    }
}
