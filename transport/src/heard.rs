//! When each peer was last heard from.

use std::net::Ipv6Addr;
use std::time::Instant;

use crate::handlers::lock;
use crate::kept::Kept;
use crate::sync::Mutex;

/// Peers of each kind that are remembered at most; more than a mesh has.
const LIMIT: usize = 4096;

/// By address and not by port: pings and streams come from ports of their own.
pub(crate) struct Heard {
    /// Disabled by default; costs nothing when off.
    on: bool,
    peers: Mutex<Peers>,
}

/// Strangers fill the one table, and this host the other, so a flood of made-up sources does not make
/// a peer forgotten that the application asked for.
struct Peers {
    /// Those that the application asked for. `None`: not heard from since.
    asked_for: Kept<Ipv6Addr, Option<Instant>>,
    others: Kept<Ipv6Addr, Instant>,
}

impl Heard {
    pub fn new(on: bool) -> Self {
        Self {
            on,
            peers: Mutex::new(Peers {
                asked_for: Kept::new(LIMIT),
                others: Kept::new(LIMIT),
            }),
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
        match peers.asked_for.get(from) {
            Some(last) => *last = Some(at),
            // Without memory it is as if nothing had been heard.
            None => drop(peers.others.insert(*from, at)),
        }
    }

    /// The application asks for this peer: from now on strangers do not make it forgotten.
    pub fn last(&self, from: &Ipv6Addr) -> Option<Instant> {
        if !self.on {
            return None;
        }
        let mut peers = lock(&self.peers);
        if let Some(last) = peers.asked_for.get(from) {
            return *last;
        }
        let last = peers.others.remove(from);
        peers.asked_for.insert(*from, last);
        last
    }

    pub fn forget(&self, from: &Ipv6Addr) {
        let mut peers = lock(&self.peers);
        peers.others.remove(from);
        if let Some(last) = peers.asked_for.get(from) {
            *last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> Ipv6Addr {
        Ipv6Addr::from((0xfe80 << 112) | n as u128)
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
        heard.note(&peer(1), || first);
        assert_eq!(heard.last(&peer(1)), Some(first));
        heard.note(&peer(3), || first);
        heard.forget(&peer(3));
        assert_eq!(heard.last(&peer(3)), None);
    }

    /// Whatever number of sources a stranger makes up, and however often each of them sends.
    #[test]
    fn strangers_do_not_make_a_known_peer_forgotten() {
        for times in 1..=3 {
            let heard = Heard::new(true);
            let at = Instant::now();
            heard.note(&peer(1), || at);
            assert_eq!(
                heard.last(&peer(1)),
                Some(at),
                "asked for after it was heard"
            );
            assert_eq!(heard.last(&peer(2)), None, "and before");
            heard.note(&peer(2), || at);
            for made_up in 0..3 * LIMIT {
                for _ in 0..times {
                    heard.note(&peer(1000 + made_up), || at);
                }
            }
            assert_eq!(heard.last(&peer(1)), Some(at));
            assert_eq!(heard.last(&peer(2)), Some(at));
        }
    }

    #[test]
    fn sources_that_send_once_do_not_replace_those_that_sent_again() {
        let heard = Heard::new(true);
        let at = Instant::now();
        for n in 0..100 {
            heard.note(&peer(n), || at);
            heard.note(&peer(n), || at);
        }
        for made_up in 0..3 * LIMIT {
            heard.note(&peer(1000 + made_up), || at);
        }
        for n in 0..100 {
            assert_eq!(heard.last(&peer(n)), Some(at), "{n}");
        }
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_remembered_unasked() {
        let heard = Heard::new(true);
        for n in 0..3 * LIMIT {
            heard.note(&peer(n), Instant::now);
        }
        assert!(heard.last(&peer(3 * LIMIT - 1)).is_some());
        for n in 0..3 * LIMIT {
            heard.last(&peer(n));
        }
        let peers = lock(&heard.peers);
        assert!(peers.others.len() <= LIMIT && peers.asked_for.len() <= LIMIT);
        drop(peers);
        let off = Heard::new(false);
        off.note(&peer(1), || unreachable!());
        assert_eq!(off.last(&peer(1)), None);
        assert_eq!(lock(&off.peers).asked_for.len(), 0);
    }
}
