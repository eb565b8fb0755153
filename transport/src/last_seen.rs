//! When each peer was last heard from, and which peers are present.

mod present;

use std::net::Ipv6Addr;
// It orders nothing.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock_cache::ClockCache;
use crate::sync::{lock, Mutex};
use crate::sys::poll::Deadline;
use present::Present;
pub(crate) use present::Seen;

/// The most peers of each kind that are remembered; more than a mesh has.
const LIMIT: usize = 4096;

/// When each peer was last heard from. A peer is an address without a port, because pings and streams come from ports
/// of their own.
pub(crate) struct LastSeen {
    /// The application asked to remember peers.
    remember: bool,
    /// Set if `remember` is set or there is a peer handler. Otherwise nothing is recorded, and it costs nothing.
    on: AtomicBool,
    peers: Mutex<Peers>,
}

/// Strangers fill one table, and the application the other. So a flood of forged sources does not displace a peer that
/// the application asked for.
struct Peers {
    /// The peers that the application asked for. `None`: not heard from since.
    asked_for: ClockCache<Ipv6Addr, Option<Instant>>,
    others: ClockCache<Ipv6Addr, Instant>,
    /// There is a peer handler.
    tracking: bool,
    /// While a peer is in here, its time here is the latest.
    present: Present,
}

impl Peers {
    fn remember(&mut self, from: &Ipv6Addr, at: Instant) {
        match self.asked_for.get(from) {
            Some(last) => *last = Some(at),
            // Without memory it is not recorded.
            None => drop(self.others.insert(*from, at)),
        }
    }

    /// Applies `change` to the present peers, and remembers those that vanish.
    fn changing<T>(
        &mut self,
        change: impl FnOnce(&mut Present, &mut dyn FnMut(Ipv6Addr, Instant)) -> T,
    ) -> T {
        let mut vanished = Vec::new();
        let result = change(&mut self.present, &mut |address, last| {
            vanished.push((address, last));
        });
        for (address, last) in vanished {
            self.remember(&address, last);
        }
        result
    }
}

impl LastSeen {
    /// A peer vanishes after `timeout` without traffic; zero: only when the link goes down.
    pub fn new(remember: bool, timeout: Duration, has_handler: impl FnOnce() -> bool) -> Self {
        let heard = Self {
            remember,
            on: AtomicBool::new(remember),
            peers: Mutex::new(Peers {
                asked_for: ClockCache::new(LIMIT),
                others: ClockCache::new(LIMIT),
                tracking: false,
                present: Present::new(timeout),
            }),
        };
        heard.follow(has_handler);
        heard
    }

    /// The handler was set or removed. Without one no peer is tracked.
    pub fn follow(&self, has_handler: impl FnOnce() -> bool) {
        let mut peers = lock(&self.peers);
        // Read under the lock: of several threads that change the handler, the last one here sees the last handler.
        peers.tracking = has_handler();
        if !peers.tracking {
            for (address, last) in peers.present.clear() {
                peers.remember(&address, last);
            }
        }
        self.on
            .store(self.remember || peers.tracking, Ordering::Relaxed);
    }

    /// Records that something came from this address. `name` returns its peer string, or `None` while no peer can
    /// appear.
    #[inline]
    pub fn record(
        &self,
        from: &Ipv6Addr,
        at: impl FnOnce() -> Instant,
        name: impl FnOnce() -> Option<String>,
    ) -> Seen {
        match self.on.load(Ordering::Relaxed) {
            true => self.remember(from, at(), name),
            false => Seen::Known,
        }
    }

    fn remember(
        &self,
        from: &Ipv6Addr,
        at: Instant,
        name: impl FnOnce() -> Option<String>,
    ) -> Seen {
        let mut peers = lock(&self.peers);
        if peers.tracking {
            if let Some(noted) = peers.present.note(from, at) {
                return noted;
            }
            let asked_for = peers.asked_for.get(from).is_some();
            let noted = peers.present.admit(from, at, asked_for, name);
            if noted != Seen::Appeared {
                peers.remember(from, at);
            }
            return noted;
        }
        peers.remember(from, at);
        Seen::Known
    }

    /// When the peer was last heard from. The application asks for it, so from now on strangers do not displace it.
    pub fn last(&self, from: &Ipv6Addr) -> Option<Instant> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let mut peers = lock(&self.peers);
        let present = peers.present.last(from);
        if let Some(last) = peers.asked_for.get(from) {
            return present.or(*last);
        }
        let last = present.or(peers.others.remove(from));
        peers.asked_for.insert(*from, last);
        last
    }

    pub fn forget(&self, from: &Ipv6Addr) {
        let mut peers = lock(&self.peers);
        peers.present.forget(from);
        peers.others.remove(from);
        if let Some(last) = peers.asked_for.get(from) {
            *last = None;
        }
    }

    /// Makes peers vanish whose time is up. Returns when to look again, and whether the caller has to have a thread
    /// report the changes, each [`next_change`](Self::next_change) until there is none.
    pub fn expire(&self) -> (Deadline, bool) {
        if !self.on.load(Ordering::Relaxed) {
            return (Deadline::Never, false);
        }
        let mut peers = lock(&self.peers);
        match peers.tracking {
            true => peers.changing(|present, vanished| present.look(Instant::now(), vanished)),
            false => (Deadline::Never, false),
        }
    }

    /// The link is down, so every peer vanishes.
    pub fn link_is_down(&self) {
        if self.on.load(Ordering::Relaxed) {
            lock(&self.peers).changing(|present, vanished| present.all_vanish(vanished));
        }
    }

    /// The next change to report to the handler: the peer, and whether it appeared.
    pub fn next_change(&self) -> Option<(String, bool)> {
        lock(&self.peers).present.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembering(on: bool) -> LastSeen {
        LastSeen::new(on, Duration::ZERO, || false)
    }

    fn note(heard: &LastSeen, from: &Ipv6Addr, at: impl FnOnce() -> Instant) {
        assert_eq!(heard.record(from, at, || unreachable!()), Seen::Known);
    }

    fn peer(n: usize) -> Ipv6Addr {
        Ipv6Addr::from((0xfe80 << 112) | n as u128)
    }

    #[test]
    fn the_last_time_counts_until_the_peer_is_forgotten() {
        let heard = remembering(true);
        let (first, second) = (Instant::now(), Instant::now());
        assert_eq!(heard.last(&peer(1)), None);
        note(&heard, &peer(1), || first);
        note(&heard, &peer(1), || second);
        assert_eq!(heard.last(&peer(1)), Some(second));
        assert_eq!(heard.last(&peer(2)), None);
        heard.forget(&peer(1));
        assert_eq!(heard.last(&peer(1)), None);
        note(&heard, &peer(1), || first);
        assert_eq!(heard.last(&peer(1)), Some(first));
        note(&heard, &peer(3), || first);
        heard.forget(&peer(3));
        assert_eq!(heard.last(&peer(3)), None);
    }

    /// A stranger may forge any number of sources, and each may send any number of times.
    #[test]
    fn strangers_do_not_make_a_known_peer_forgotten() {
        for times in 1..=3 {
            let heard = remembering(true);
            let at = Instant::now();
            note(&heard, &peer(1), || at);
            assert_eq!(
                heard.last(&peer(1)),
                Some(at),
                "asked for after it was heard"
            );
            assert_eq!(heard.last(&peer(2)), None, "and before");
            note(&heard, &peer(2), || at);
            for made_up in 0..3 * LIMIT {
                for _ in 0..times {
                    note(&heard, &peer(1000 + made_up), || at);
                }
            }
            assert_eq!(heard.last(&peer(1)), Some(at));
            assert_eq!(heard.last(&peer(2)), Some(at));
        }
    }

    #[test]
    fn sources_that_send_once_do_not_replace_those_that_sent_again() {
        let heard = remembering(true);
        let at = Instant::now();
        for n in 0..100 {
            note(&heard, &peer(n), || at);
            note(&heard, &peer(n), || at);
        }
        for made_up in 0..3 * LIMIT {
            note(&heard, &peer(1000 + made_up), || at);
        }
        for n in 0..100 {
            assert_eq!(heard.last(&peer(n)), Some(at), "{n}");
        }
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_remembered_unasked() {
        let heard = remembering(true);
        for n in 0..3 * LIMIT {
            note(&heard, &peer(n), Instant::now);
        }
        assert!(heard.last(&peer(3 * LIMIT - 1)).is_some());
        for n in 0..3 * LIMIT {
            heard.last(&peer(n));
        }
        let peers = lock(&heard.peers);
        assert!(peers.others.len() <= LIMIT && peers.asked_for.len() <= LIMIT);
        drop(peers);
        let off = remembering(false);
        note(&off, &peer(1), || unreachable!());
        assert_eq!(off.last(&peer(1)), None);
        assert_eq!(lock(&off.peers).asked_for.len(), 0);
    }

    #[test]
    fn with_a_handler_peers_are_there_and_remembered_when_they_vanished() {
        let heard = LastSeen::new(false, Duration::ZERO, || true);
        let at = Instant::now();
        let name = || Some("one".to_owned());
        let hear = |name: &dyn Fn() -> Option<String>| heard.record(&peer(1), || at, name);
        assert_eq!(hear(&|| None), Seen::Known, "the link is down");
        assert_eq!(heard.last(&peer(1)), Some(at));
        assert_eq!(hear(&name), Seen::Appeared);
        assert_eq!(hear(&|| unreachable!()), Seen::Known);
        assert_eq!(heard.expire(), (Deadline::Never, true));
        assert_eq!(heard.next_change(), Some(("one".to_owned(), true)));
        heard.link_is_down();
        assert_eq!(heard.next_change(), Some(("one".to_owned(), false)));
        assert_eq!(heard.last(&peer(1)), Some(at));
        assert_eq!(hear(&name), Seen::Appeared);
        heard.forget(&peer(1));
        assert_eq!((heard.last(&peer(1)), heard.next_change()), (None, None));
        // Without the handler no peer is tracked, and with the next one they appear again.
        for _ in 0..2 {
            assert_eq!(hear(&name), Seen::Appeared);
            heard.follow(|| false);
            assert_eq!(
                (hear(&|| unreachable!()), heard.next_change()),
                (Seen::Known, None)
            );
            heard.follow(|| true);
        }
    }

    #[test]
    fn a_peer_that_the_application_asked_for_appears_in_a_flood() {
        let heard = LastSeen::new(false, Duration::ZERO, || true);
        let at = Instant::now();
        let hear = |n| heard.record(&peer(n), || at, || Some(n.to_string()));
        let appeared = (0..2000).filter(|n| hear(*n) == Seen::Appeared).count();
        assert!(appeared < 300, "{appeared}");
        assert_eq!(hear(3000), Seen::Refused);
        assert_eq!(heard.last(&peer(3000)), Some(at));
        assert_eq!(hear(3000), Seen::Appeared);
    }
}
