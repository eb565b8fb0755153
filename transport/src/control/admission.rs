//! The decision which pings are answered.
//!
//! Any host on the link can ping from any number of forged addresses. For each new address that is answered, the kernel
//! adds an entry to its neighbour table, which has 1,024 places for all interfaces together
//! (`net.ipv6.neigh.default.gc_thresh3`). When they are taken, the host reaches no new neighbour on any network. The
//! kernel keeps an entry for three seconds if no host answers for the address, and otherwise for up to 45 seconds. From
//! 512 entries on it collects old ones.
//!
//! So a source that was answered within the last minute is always answered, and the rate of others is limited. At most
//! 512 addresses are answered within a minute. A mesh of [`BURST`] peers can begin at once.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::sync::{lock, Mutex};
use crate::throttle::Throttle;

/// The most known sources: [`BURST`], and those that are added within [`KEPT`].
const LIMIT: usize = 512;
/// The most new sources that are answered at once.
const BURST: u32 = 256;
/// After that, one more in each period of this length.
const EVERY: Duration = Duration::from_millis(250);
/// A source that pings within this time stays known. The kernel keeps an unused neighbour as long
/// (`gc_stale_time`).
const KEPT: Duration = Duration::from_secs(60);
/// How long a thread caches an answer of this table. It is shorter than `KEPT`, so a source that pings all the time
/// stays known.
const RELIED_ON: Duration = Duration::from_secs(1);
/// The time between two searches for expired sources.
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
    /// When the token bucket is full again. Each new source moves it `EVERY` ahead; the bucket is empty when it is
    /// `BURST` periods ahead of now.
    full_at: Option<Instant>,
    next_sweep: Option<Instant>,
}

/// A thread's cache of the source whose ping it answered last: more of its pings are likely.
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
        // A source that pings often enough stays, so strangers do not replace a known peer. Without memory new sources
        // are not answered.
        if self.answered.len() >= LIMIT || self.answered.try_reserve(1).is_err() {
            return false;
        }
        self.full_at = Some(full_at + EVERY);
        self.answered.insert(*source, now);
        true
    }

    /// Removes expired sources. It visits all of them, so a flood must not trigger it each time.
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

    /// Whether a source is admitted without a thread's cache.
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
