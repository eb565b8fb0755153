//! Spinning for a moment before sleeping: the answer of a peer on the same cable, or the next message
//! of a stream of them, comes sooner than a sleeping thread would be back.
//!
//! Each turn yields the processor, so that two ends on one core do not wait for each other. Where
//! many threads want to run, a yield takes as long as theirs please, and sleeping is better: a wake-up
//! is put in front of them. So a yield that took long ends the spinning, for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A yield that takes longer has let somebody else run who is not waiting for us.
const LONG_YIELD: Duration = Duration::from_micros(20);
/// For how long not to spin after that, at first; and at most, when it happens again and again.
const REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Whether and how long to spin; one for each transport.
pub(crate) struct Spin {
    budget: Duration,
    start: Instant,
    /// Nanoseconds after `start` until which not to spin, and how long that rest was.
    rests_until: AtomicU64,
    rest: AtomicU64,
}

impl Spin {
    pub fn new(budget: Duration) -> Self {
        Self {
            budget,
            start: Instant::now(),
            rests_until: AtomicU64::new(0),
            rest: AtomicU64::new(0),
        }
    }

    /// How long to spin at most, counted from `now`. Zero: not at all.
    pub fn budget(&self, now: Instant) -> Duration {
        if self.since_start(now) < self.rests_until.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.budget
    }

    /// One turn: lets another thread of this core run. Gives the time after it, for the caller to
    /// compare with its budget, or `None` when spinning does not pay at present.
    pub fn turn(&self, now: Instant) -> Option<Instant> {
        std::thread::yield_now();
        let after = Instant::now();
        if after.duration_since(now) <= LONG_YIELD {
            return Some(after);
        }
        self.rest(after);
        None
    }

    /// Rests twice as long as the last time, if that is not long ago.
    fn rest(&self, now: Instant) {
        let now = self.since_start(now);
        let last = self.rest.load(Ordering::Relaxed);
        let recently = now < self.rests_until.load(Ordering::Relaxed) + 10 * last;
        let [shortest, longest] = [REST, LONGEST_REST].map(|time| time.as_nanos() as u64);
        let rest = match recently {
            true => (2 * last).clamp(shortest, longest),
            false => shortest,
        };
        self.rest.store(rest, Ordering::Relaxed);
        self.rests_until.store(now + rest, Ordering::Relaxed);
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_long_yield_it_rests_and_after_the_next_twice_as_long() {
        let spin = Spin::new(Duration::from_micros(50));
        let start = spin.start;
        assert_eq!(spin.budget(start), Duration::from_micros(50));
        spin.rest(start);
        assert_eq!(spin.budget(start + REST / 2), Duration::ZERO);
        assert_ne!(spin.budget(start + REST), Duration::ZERO);
        spin.rest(start + REST);
        assert_eq!(spin.budget(start + REST * 5 / 2), Duration::ZERO);
        assert_ne!(spin.budget(start + REST * 3), Duration::ZERO);
        // Long after, it begins anew.
        let later = start + Duration::from_secs(100);
        spin.rest(later);
        assert_ne!(spin.budget(later + REST), Duration::ZERO);
    }

    #[test]
    fn a_turn_that_began_long_ago_ends_the_spinning() {
        let spin = Spin::new(Duration::from_micros(50));
        let long_ago = Instant::now() - Duration::from_millis(5);
        assert_eq!(spin.turn(long_ago), None);
        assert_eq!(spin.budget(Instant::now()), Duration::ZERO);
    }
}
