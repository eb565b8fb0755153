//! The present peers, for the peer handler.
//!
//! A peer appears when something comes from it. It vanishes after a time without traffic, or when the link goes down.
//! The changes that the handler has not been called for are not a queue of events. They are the difference between the
//! present peers and the reported ones, so they never need more room than the peers themselves.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::sys::poll::Deadline;

/// The most peers that are tracked, and as many more that the application asked for. A stranger that forges sources
/// gets no more places than appear within the timeout, see [`BURST`].
pub(super) const LIMIT: usize = 1024;
/// The peers that may appear in one moment, without those that the application asked for.
const BURST: u32 = 256;
/// After that, one more peer may appear in each period of this length.
const EVERY: Duration = Duration::from_micros(62_500);

/// It is empty while there is no peer handler.
pub(super) struct Present {
    /// Zero: peers vanish only when the link goes down.
    timeout: Duration,
    peers: HashMap<Ipv6Addr, Peer, RandomState>,
    /// The peers that may have to be reported, each once, in the order of their changes.
    changed: VecDeque<Ipv6Addr>,
    /// A thread is reporting them.
    telling: bool,
    /// When the token bucket is full again. Each appearance moves it `EVERY` ahead; the bucket is empty when it is
    /// `BURST` periods ahead of now.
    full_at: Option<Instant>,
    /// No peer vanishes before.
    next_look: Option<Instant>,
}

struct Peer {
    name: String,
    last: Instant,
    here: bool,
    /// `here` as it was reported last.
    told: bool,
    /// It is in `changed`.
    queued: bool,
}

/// The result of recording a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was present before, or peers are not tracked.
    Known,
    /// It appeared, and has to be reported.
    Appeared,
    /// Too many appeared, or there is no memory.
    Refused,
}

impl Present {
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            peers: HashMap::default(),
            changed: VecDeque::new(),
            telling: false,
            full_at: None,
            next_look: None,
        }
    }

    /// When a tracked peer was last heard from.
    pub fn last(&self, from: &Ipv6Addr) -> Option<Instant> {
        self.peers.get(from).map(|peer| peer.last)
    }

    /// Something came from a tracked peer. `None`: it is not tracked.
    #[inline]
    pub fn note(&mut self, from: &Ipv6Addr, at: Instant) -> Option<Seen> {
        let peer = self.peers.get_mut(from)?;
        // Threads record what they received in any order.
        peer.last = peer.last.max(at);
        if peer.here {
            return Some(Seen::Known);
        }
        // It vanished, and that is not reported yet.
        peer.here = true;
        let last = peer.last;
        self.look_by(last);
        Some(Seen::Appeared)
    }

    /// Tracks a peer that is not tracked, unless it has no `name` now. `asked_for`: appearances of other peers are no
    /// reason to refuse it.
    pub fn admit(
        &mut self,
        from: &Ipv6Addr,
        at: Instant,
        asked_for: bool,
        name: impl FnOnce() -> Option<String>,
    ) -> Seen {
        let full_at = self.full_at.unwrap_or(at).max(at);
        let (limit, empty) = match asked_for {
            true => (2 * LIMIT, false),
            false => {
                let ahead = full_at.saturating_duration_since(at);
                (LIMIT, ahead > EVERY * (BURST - 1))
            }
        };
        if empty || !self.has_room(limit) {
            return Seen::Refused;
        }
        let Some(name) = name() else {
            return Seen::Known;
        };
        if !asked_for {
            self.full_at = Some(full_at + EVERY);
        }
        let peer = Peer {
            name,
            last: at,
            here: true,
            told: false,
            queued: true,
        };
        self.peers.insert(*from, peer);
        self.changed.push_back(*from);
        self.look_by(at);
        Seen::Appeared
    }

    /// Whether there is room for one more, also in `changed`, which then never has to grow.
    fn has_room(&mut self, limit: usize) -> bool {
        let places = self.peers.len() + 1;
        let more = places - self.changed.len();
        places <= limit
            && self.peers.try_reserve(1).is_ok()
            && self.changed.try_reserve(more).is_ok()
    }

    /// Schedules the look after which a peer vanishes that was last heard from at this moment.
    fn look_by(&mut self, last: Instant) {
        if let Some(end) = end(self.timeout, last) {
            self.next_look = Some(self.next_look.map_or(end, |next| next.min(end)));
        }
    }

    /// Makes peers vanish whose time is up. Returns when to look again, and whether there are changes to report and no
    /// thread reports them. The caller then has a thread call `next` until it returns `None`. `vanished` gets the peers
    /// that vanish, and when each was last heard from.
    pub fn look(
        &mut self,
        now: Instant,
        vanished: impl FnMut(Ipv6Addr, Instant),
    ) -> (Deadline, bool) {
        if self.next_look.is_some_and(|next| next <= now) {
            // A peer that was not reported yet does not vanish before it is. `next` schedules another look for it.
            let is_told = |peer: &Peer| peer.told;
            self.sweep(is_told, |end| end.is_some_and(|end| end <= now), vanished);
        }
        let tell = !self.changed.is_empty() && !self.telling;
        self.telling |= tell;
        let again = self.next_look.map_or(Deadline::Never, Deadline::At);
        (again, tell)
    }

    /// The link is down, and all peers vanish.
    pub fn all_vanish(&mut self, vanished: impl FnMut(Ipv6Addr, Instant)) {
        self.sweep(|_| true, |_| true, vanished);
    }

    fn sweep(
        &mut self,
        may_go: impl Fn(&Peer) -> bool,
        is_gone: impl Fn(Option<Instant>) -> bool,
        mut vanished: impl FnMut(Ipv6Addr, Instant),
    ) {
        let mut next: Option<Instant> = None;
        let here = self.peers.iter_mut().filter(|(_, peer)| peer.here);
        for (address, peer) in here.filter(|(_, peer)| may_go(peer)) {
            let end = end(self.timeout, peer.last);
            if is_gone(end) {
                peer.here = false;
                vanished(*address, peer.last);
                if !std::mem::replace(&mut peer.queued, true) {
                    self.changed.push_back(*address);
                }
            } else if let Some(end) = end {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        self.next_look = next;
    }

    /// The next change to report: the peer, and whether it appeared. A change and its reversal cancel each other. After
    /// `None`, a `look` is due.
    pub fn next(&mut self) -> Option<(String, bool)> {
        while let Some(address) = self.changed.pop_front() {
            let Some(peer) = self.peers.get_mut(&address) else {
                continue;
            };
            peer.queued = false;
            let here = peer.here;
            let was_told = std::mem::replace(&mut peer.told, here);
            let change = (here != was_told).then(|| (peer.name.clone(), here));
            match here {
                // It could not vanish before it was reported.
                true => {
                    let last = peer.last;
                    self.look_by(last);
                }
                false => drop(self.peers.remove(&address)),
            }
            if change.is_some() {
                return change;
            }
        }
        self.telling = false;
        None
    }

    /// Stops tracking a peer, without a report.
    pub fn forget(&mut self, from: &Ipv6Addr) {
        if self.peers.remove(from).is_some_and(|peer| peer.queued) {
            self.changed.retain(|changed| changed != from);
        }
    }

    /// Stops tracking all peers. Returns them, each with when it was last heard from.
    pub fn clear(&mut self) -> impl Iterator<Item = (Ipv6Addr, Instant)> {
        self.changed.clear();
        self.next_look = None;
        let peers = std::mem::take(&mut self.peers);
        peers
            .into_iter()
            .map(|(address, peer)| (address, peer.last))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert!(self.changed.len() <= self.peers.len());
        self.peers.len()
    }
}

/// When a peer vanishes that was last heard from at this moment. A time that cannot be represented is no limit.
fn end(timeout: Duration, last: Instant) -> Option<Instant> {
    match timeout {
        Duration::ZERO => None,
        timeout => last.checked_add(timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn peer(n: usize) -> Ipv6Addr {
        Ipv6Addr::from((0xfe80 << 112) | n as u128)
    }

    /// Records a peer as `LastSeen` does.
    fn hear(present: &mut Present, n: usize, at: Instant) -> Seen {
        let known = present.note(&peer(n), at);
        known.unwrap_or_else(|| present.admit(&peer(n), at, false, || Some(n.to_string())))
    }

    fn told(present: &mut Present) -> Vec<(String, bool)> {
        std::iter::from_fn(|| present.next()).collect()
    }

    fn one(n: usize, appeared: bool) -> Vec<(String, bool)> {
        vec![(n.to_string(), appeared)]
    }

    #[test]
    fn a_peer_appears_vanishes_after_the_timeout_and_appears_again() {
        let mut present = Present::new(TIMEOUT);
        let start = Instant::now();
        assert_eq!(
            present.look(start, |_, _| ()),
            (Deadline::Never, false),
            "no timer"
        );
        assert_eq!(hear(&mut present, 1, start), Seen::Appeared);
        assert_eq!(
            present.look(start, |_, _| ()),
            (Deadline::At(start + TIMEOUT), true)
        );
        assert!(
            !present.look(start, |_, _| ()).1,
            "a thread reports it already"
        );
        assert_eq!(told(&mut present), one(1, true));
        let later = start + TIMEOUT / 2;
        assert_eq!(hear(&mut present, 1, later), Seen::Known);
        assert_eq!(present.last(&peer(1)), Some(later));
        let end = later + TIMEOUT;
        assert_eq!(
            present.look(start + TIMEOUT, |_, _| ()),
            (Deadline::At(end), false)
        );
        assert_eq!(present.look(end, |_, _| ()), (Deadline::Never, true));
        assert_eq!(told(&mut present), one(1, false));
        assert_eq!((present.len(), present.last(&peer(1))), (0, None));
        assert_eq!(hear(&mut present, 1, end), Seen::Appeared);
        assert_eq!(told(&mut present), one(1, true));
    }

    #[test]
    fn a_peer_that_fell_silent_before_it_was_told_is_told_and_then_vanishes() {
        let mut present = Present::new(TIMEOUT);
        let start = Instant::now();
        hear(&mut present, 1, start);
        let late = start + 10 * TIMEOUT;
        assert!(present.look(late, |_, _| unreachable!()).1);
        assert_eq!(told(&mut present), one(1, true));
        assert!(present.look(late, |_, _| ()).1);
        assert_eq!(told(&mut present), one(1, false));
        assert_eq!(present.look(late, |_, _| ()), (Deadline::Never, false));
    }

    #[test]
    fn a_change_and_the_one_back_are_left_out_together() {
        let mut present = Present::new(TIMEOUT);
        let start = Instant::now();
        hear(&mut present, 1, start);
        present.all_vanish(|_, _| ());
        assert_eq!(told(&mut present), []);
        assert_eq!(present.len(), 0);
        hear(&mut present, 1, start);
        assert_eq!(told(&mut present), one(1, true));
        present.all_vanish(|_, _| ());
        assert_eq!(hear(&mut present, 1, start), Seen::Appeared);
        assert_eq!(
            present.look(start, |_, _| ()).0,
            Deadline::At(start + TIMEOUT)
        );
        assert_eq!(told(&mut present), []);
        assert_eq!(present.len(), 1);
        for _ in 0..3 * LIMIT {
            present.all_vanish(|_, _| ());
            hear(&mut present, 1, start);
            assert_eq!(present.len(), 1, "and `changed` does not grow");
        }
    }

    #[test]
    fn without_a_timeout_only_the_link_makes_a_peer_vanish() {
        for timeout in [Duration::ZERO, Duration::MAX] {
            let mut present = Present::new(timeout);
            let start = Instant::now();
            hear(&mut present, 1, start);
            let much_later = start + 100_000 * TIMEOUT;
            assert_eq!(present.look(much_later, |_, _| ()).0, Deadline::Never);
            assert_eq!(told(&mut present), one(1, true));
            present.all_vanish(|_, _| ());
            assert_eq!(told(&mut present), one(1, false));
        }
    }

    #[test]
    fn a_peer_that_is_forgotten_is_not_reported_and_appears_again() {
        let mut present = Present::new(TIMEOUT);
        let start = Instant::now();
        for _ in 0..2 {
            hear(&mut present, 1, start);
            present.forget(&peer(1));
            assert_eq!((present.len(), told(&mut present)), (0, vec![]));
            hear(&mut present, 1, start);
            assert_eq!(told(&mut present), one(1, true));
            present.forget(&peer(1));
            assert_eq!(told(&mut present), []);
        }
    }

    /// A stranger may forge any number of sources, for any time.
    #[test]
    fn made_up_sources_appear_seldom_and_make_no_known_peer_vanish() {
        let mut present = Present::new(TIMEOUT);
        let start = Instant::now();
        let known =
            |present: &mut Present, now| (0..100).all(|n| hear(present, n, now) != Seen::Refused);
        assert!(known(&mut present, start));
        assert_eq!(told(&mut present).len(), 100);
        let (mut made_up, mut appeared) = (1000, 0);
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            assert!(known(&mut present, now), "in second {second}");
            present.look(now, |_, _| ());
            for _ in 0..2000 {
                made_up += 1;
                hear(&mut present, made_up, now);
            }
            for (name, here) in told(&mut present) {
                assert!(name.parse::<usize>().unwrap() >= 1000, "{name} {here}");
                appeared += usize::from(here);
            }
            assert!(present.len() <= LIMIT);
        }
        assert!((156..=156 + 60 * 16).contains(&appeared), "{appeared}");
    }

    #[test]
    fn a_peer_that_was_asked_for_appears_in_any_flood() {
        let mut present = Present::new(Duration::ZERO);
        let start = Instant::now();
        let ask =
            |present: &mut Present, n| present.admit(&peer(n), start, true, || Some(n.to_string()));
        for made_up in 0..LIMIT {
            hear(&mut present, made_up, start);
        }
        assert_eq!(hear(&mut present, LIMIT, start), Seen::Refused);
        for n in 0..3 * LIMIT {
            let room = present.len() < 2 * LIMIT;
            let noted = ask(&mut present, 100_000 + n);
            assert_eq!(noted == Seen::Appeared, room, "{n}");
        }
        assert_eq!(present.len(), 2 * LIMIT);
    }

    #[test]
    fn the_table_is_bounded_also_while_nobody_tells_and_nobody_vanishes() {
        let mut present = Present::new(Duration::ZERO);
        let start = Instant::now();
        for n in 0..3 * LIMIT {
            hear(&mut present, n, start + EVERY * n as u32);
        }
        assert_eq!(present.len(), LIMIT);
        let now = start + EVERY * 3 * LIMIT as u32;
        assert_eq!(hear(&mut present, 3 * LIMIT, now), Seen::Refused);
        present.forget(&peer(0));
        assert_eq!(hear(&mut present, 3 * LIMIT, now), Seen::Appeared);
        assert_eq!(present.clear().count(), LIMIT);
        assert_eq!((present.len(), told(&mut present)), (0, vec![]));
    }
}
