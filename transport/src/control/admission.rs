//! Whose pings are answered.
//!
//! Anybody on the link can ping from any number of made-up addresses. For each new one that is
//! answered the kernel adds an entry to its neighbour table, which has 1,024 places for all interfaces
//! together (`net.ipv6.neigh.default.gc_thresh3`): when they are taken, the host reaches no new
//! neighbour on any network. It keeps an entry for three seconds while nobody answers for the
//! address, and for up to 45 seconds when somebody does; from 512 entries on it collects old ones.
//!
//! So a source that was answered within the last minute is answered always, and others only now and
//! then. At most 512 addresses are answered within a minute, whatever comes. A mesh of [`BURST`] peers can
//! begin at once.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::sync::{lock, Mutex};
use crate::throttle::Throttle;

/// Sources that are answered without asking for how long they are known: [`BURST`], and what is added
/// within [`KEPT`].
const LIMIT: usize = 512;
/// New sources that are answered at once.
const BURST: u32 = 256;
/// Then one more each time that this has passed.
const EVERY: Duration = Duration::from_millis(250);
/// A source that pings within this time stays known. The kernel keeps an unused neighbour as long
/// (`gc_stale_time`).
const KEPT: Duration = Duration::from_secs(60);
/// How long a thread relies on what it found here. It is a part of `KEPT`, so a source that pings all the time
/// stays known.
const RELIED_ON: Duration = Duration::from_secs(1);
/// Between two searches for sources that are known no longer.
const SWEEP: Duration = Duration::from_secs(1);

/// The sources of pings that are answered.
#[derive(Default)]
pub(crate) struct Admission {
    sources: Mutex<Sources>,
    pub limited: Throttle,
}

#[derive(Default)]
struct Sources {
    /// When each was last answered, to within `RELIED_ON`.
    answered: HashMap<Ipv6Addr, Instant, RandomState>,
    /// Ahead of now by `EVERY` for each new source of late: the bucket is full when it has passed, and
    /// empty when it is `BURST` of them ahead.
    full_at: Option<Instant>,
    next_sweep: Option<Instant>,
}

/// What a thread knows of the source whose ping it answered last: more of its pings are likely.
#[derive(Default)]
pub(crate) struct Admitted(Option<(Ipv6Addr, Instant)>);

impl Admission {
    /// Whether to answer a ping of this source.
    #[inline]
    pub fn admit(&self, source: &Ipv6Addr, now: Instant, last: &mut Admitted) -> bool {
        match &last.0 {
            Some((known, until)) if known == source && now < *until => true,
            _ => self.look_up(source, now, last),
        }
    }

    fn look_up(&self, source: &Ipv6Addr, now: Instant, last: &mut Admitted) -> bool {
        // The loopback interface has no neighbours.
        let admitted = source.is_loopback() || lock(&self.sources).admit(source, now);
        if admitted {
            last.0 = Some((*source, now + RELIED_ON));
        }
        admitted
    }
}

impl Sources {
    fn admit(&mut self, source: &Ipv6Addr, now: Instant) -> bool {
        if let Some(answered) = self.answered.get_mut(source) {
            if now.saturating_duration_since(*answered) < KEPT {
                *answered = now;
                return true;
            }
        }
        let full_at = self.full_at.unwrap_or(now).max(now);
        if full_at.saturating_duration_since(now) > EVERY * (BURST - 1) {
            return false;
        }
        if self.answered.len() >= LIMIT {
            self.sweep(now);
        }
        // Nobody makes room who pings within his time, so strangers do not replace a known peer. Without
        // memory nobody new is answered.
        if self.answered.len() >= LIMIT || self.answered.try_reserve(1).is_err() {
            return false;
        }
        self.full_at = Some(full_at + EVERY);
        self.answered.insert(*source, now);
        true
    }

    /// Forgets those that have not pinged for long. It looks at all of them, and a flood must not make it do
    /// that each time.
    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + SWEEP);
        self.answered
            .retain(|_, answered| now.saturating_duration_since(*answered) < KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> Ipv6Addr {
        Ipv6Addr::from((0xfe80 << 112) | u128::from(n))
    }

    /// What passes without a thread's memory of its last source.
    fn admits(admission: &Admission, n: u32, now: Instant) -> bool {
        admission.admit(&source(n), now, &mut Admitted::default())
    }

    #[test]
    fn a_mesh_begins_at_once_and_is_never_limited() {
        let admission = Admission::default();
        let start = Instant::now();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            assert!((0..BURST).all(|peer| admits(&admission, peer, now)));
        }
        // Others come in after that, and stay too.
        let now = start + Duration::from_secs(600);
        assert!((0..LIMIT as u32).all(|peer| admits(&admission, peer, now)));
    }

    #[test]
    fn a_flood_of_made_up_sources_gets_few_answers_and_locks_no_known_peer_out() {
        let admission = Admission::default();
        let start = Instant::now();
        let known = |now| (0..100).all(|peer| admits(&admission, peer, now));
        assert!(known(start));
        let mut made_up = 1000;
        for second in 1..=300 {
            let now = start + Duration::from_secs(second);
            let mut passed = 0;
            for _ in 0..5000 {
                made_up += 1;
                passed += usize::from(admits(&admission, made_up, now));
            }
            assert!(second == 1 || passed <= 4, "{passed} in second {second}");
            assert!(known(now), "in second {second}");
            assert!(lock(&admission.sources).answered.len() <= LIMIT);
        }
        // The same sources again and again are answered, and they are no more than before.
        let now = start + Duration::from_secs(301);
        let all = (1000..=made_up).filter(|n| admits(&admission, *n, now));
        assert!(all.count() <= LIMIT);
        // When it is over, new peers come in.
        let later = now + KEPT + BURST * EVERY;
        assert!((0..BURST).all(|peer| admits(&admission, 5_000_000 + peer, later)));
    }

    #[test]
    fn a_source_that_was_away_is_new_again() {
        let admission = Admission::default();
        let start = Instant::now();
        assert!((0..BURST).all(|n| admits(&admission, n, start)));
        assert!(!admits(&admission, BURST, start));
        assert!(admits(&admission, 0, start), "known");
        assert!(admits(&admission, BURST, start + EVERY), "one more");
        assert!(!admits(&admission, BURST + 1, start + EVERY));
        let later = start + KEPT + EVERY;
        assert!(admits(&admission, 1, later), "new, and there is room again");
    }

    #[test]
    fn what_a_thread_relies_on_holds_for_one_source_and_not_for_long() {
        let admission = Admission::default();
        let (start, mut last) = (Instant::now(), Admitted::default());
        assert!(admission.admit(&source(1), start, &mut last));
        lock(&admission.sources).answered.clear();
        let relied_on = start + RELIED_ON / 2;
        assert!(admission.admit(&source(1), relied_on, &mut last));
        assert!(lock(&admission.sources).answered.is_empty());
        assert!(admission.admit(&source(1), start + RELIED_ON, &mut last));
        assert!(admission.admit(&source(2), start + RELIED_ON, &mut last));
        assert_eq!(lock(&admission.sources).answered.len(), 2);
    }

    #[test]
    fn the_loopback_address_is_answered_and_takes_no_place() {
        let admission = Admission::default();
        let now = Instant::now();
        assert!((0..BURST).all(|n| admits(&admission, n, now)));
        let mut last = Admitted::default();
        assert!(admission.admit(&Ipv6Addr::LOCALHOST, now, &mut last));
        assert_eq!(lock(&admission.sources).answered.len(), BURST as usize);
    }
}
