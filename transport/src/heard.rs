//! When each peer was last heard from.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::handlers::lock;
use crate::sync::Mutex;

/// Peers that are remembered; more than a mesh has. Beyond that it begins anew, so that spoofed
/// sources cost no memory.
const LIMIT: usize = 4096;

/// By address and not by port: pings and streams come from ports of their own.
pub(crate) struct Heard {
    /// Nobody pays for what nobody asks for.
    on: bool,
    peers: Mutex<HashMap<Ipv6Addr, Instant, RandomState>>,
}

impl Heard {
    pub fn new(on: bool) -> Self {
        Self {
            on,
            peers: Mutex::default(),
        }
    }

    /// Something came from this address, whatever it is.
    #[inline]
    pub fn note(&self, from: &Ipv6Addr, at: impl FnOnce() -> Instant) {
        if self.on {
            self.remember(from, at());
        }
    }

    fn remember(&self, from: &Ipv6Addr, at: Instant) {
        let mut peers = lock(&self.peers);
        if peers.len() >= LIMIT && !peers.contains_key(from) {
            peers.clear();
        }
        // Without memory it is as if nothing had been heard.
        if peers.try_reserve(1).is_ok() {
            peers.insert(*from, at);
        }
    }

    pub fn last(&self, from: &Ipv6Addr) -> Option<Instant> {
        lock(&self.peers).get(from).copied()
    }

    pub fn forget(&self, from: &Ipv6Addr) {
        lock(&self.peers).remove(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n)
    }

    #[test]
    fn the_last_time_counts_until_the_peer_is_forgotten() {
        let heard = Heard::new(true);
        let (first, second) = (Instant::now(), Instant::now());
        assert_eq!(heard.last(&peer(1)), None);
        heard.note(&peer(1), || first);
        heard.note(&peer(1), || second);
        assert_eq!(heard.last(&peer(1)), Some(second));
        assert_eq!(heard.last(&peer(2)), None);
        heard.forget(&peer(1));
        assert_eq!(heard.last(&peer(1)), None);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_remembered_unasked() {
        let heard = Heard::new(true);
        for n in 0..3 * LIMIT as u16 {
            heard.note(&peer(n), Instant::now);
        }
        assert!(lock(&heard.peers).len() <= LIMIT);
        assert!(heard.last(&peer(3 * LIMIT as u16 - 1)).is_some());
        Heard::new(false).note(&peer(1), || unreachable!());
    }
}
