//! Spinning for a moment before sleeping: the answer of a peer on the same cable, or the next message of a burst, comes
//! sooner than a sleeping thread would wake.
//!
//! After a few microseconds without a result the thread yields the processor regularly, so that two ends on one core do
//! not wait for each other. It yields from the start if that brought the last result. When many threads want to run, a
//! yield takes as long as they run, and sleeping is better: the scheduler prefers a thread that wakes up. So a yield in
//! which others ran for long stops the spinning for a while. A yield that took long because of an interrupt, or because
//! the hypervisor took the processor away, does not: sleeping would not have been shorter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::live_settings::LiveDuration;
use crate::sys::poll::Deadline;
use crate::sys::thread::context_switches;

/// The looks before the first yield, and between two yields. A look is a system call. It takes a fraction of a
/// microsecond, about as long as a yield in which no other thread runs.
const LOOKS_BEFORE: u32 = 32;
const LOOKS_BETWEEN: u32 = 4;
/// The looks before the first yield while yielding brings results.
const LOOKS_ON_ONE_CORE: u32 = 1;
/// In a longer yield another thread ran.
const SHORTEST_RUN: Duration = Duration::from_micros(1);
/// In a longer yield with a context switch, a thread ran that does not wait for this one.
const LONG_YIELD: Duration = Duration::from_micros(20);
/// The pause of spinning after that, in multiples of the yield, so that spinning loses only a small part of the time.
/// The pause doubles each time that this happens again soon, up to a limit.
const REST: u32 = 32;
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Whether and how long the threads of a transport spin.
pub(crate) struct Spin {
    budget: LiveDuration,
    start: Instant,
    /// The other end seems to run on the same core.
    one_core: AtomicBool,
    /// The end of the pause, in nanoseconds after `start`, and its length.
    rests_until: AtomicU64,
    rest: AtomicU64,
}

impl Spin {
    pub fn new(budget: Duration) -> Self {
        Self {
            budget: LiveDuration::new(budget),
            start: Instant::now(),
            one_core: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
            rest: AtomicU64::new(0),
        }
    }

    pub fn budget(&self) -> Duration {
        self.budget.get()
    }

    pub fn set_budget(&self, budget: Duration) {
        self.budget.set(budget);
    }

    /// Begins a wait, which spins first if that pays at present.
    pub fn begin(&self, deadline: Deadline) -> Spinning<'_> {
        let now = Instant::now();
        let resting = self.since_start(now) < self.rests_until.load(Ordering::Relaxed);
        let budget = match deadline {
            Deadline::Now => Duration::ZERO,
            Deadline::At(end) => self.budget().min(end.saturating_duration_since(now)),
            Deadline::Never => self.budget(),
        };
        Spinning {
            spin: self,
            since: now,
            budget,
            goes_on: !resting && !budget.is_zero(),
            looks: 0,
            next_yield: match self.one_core.load(Ordering::Relaxed) {
                true => LOOKS_ON_ONE_CORE,
                false => LOOKS_BEFORE,
            },
            yielded: None,
            switches: None,
        }
    }

    /// Pauses spinning after a yield that took `yielded`.
    fn rest(&self, yielded: Duration, now: Instant) {
        let now = self.since_start(now);
        let last = self.rest.load(Ordering::Relaxed);
        let recently = now < self.rests_until.load(Ordering::Relaxed) + 10 * last;
        let rest = (REST * yielded).as_nanos() as u64;
        let rest = match recently {
            true => rest.max(2 * last),
            false => rest,
        };
        let rest = rest.min(LONGEST_REST.as_nanos() as u64);
        self.rest.store(rest, Ordering::Relaxed);
        self.rests_until.store(now + rest, Ordering::Relaxed);
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_nanos() as u64
    }
}

/// One wait, from the first look without a result.
pub(crate) struct Spinning<'a> {
    spin: &'a Spin,
    since: Instant,
    budget: Duration,
    goes_on: bool,
    looks: u32,
    next_yield: u32,
    /// How long the last yield took, if the last look was right after one.
    yielded: Option<Duration>,
    /// The involuntary context switches of this thread before its first yield.
    switches: Option<u64>,
}

impl Spinning<'_> {
    /// Whether to look again at once; otherwise it is time to sleep.
    pub fn again(&mut self) -> bool {
        self.looks += 1;
        self.yielded = None;
        if !self.goes_on || self.looks < self.next_yield {
            return self.goes_on;
        }
        let before = Instant::now();
        if before.duration_since(self.since) > self.budget {
            self.goes_on = false;
            return false;
        }
        let switches = *self.switches.get_or_insert_with(context_switches);
        std::thread::yield_now();
        let after = Instant::now();
        self.next_yield = self.looks
            + match self.looks < LOOKS_BEFORE {
                true => LOOKS_ON_ONE_CORE,
                false => LOOKS_BETWEEN,
            };
        self.judge(after.duration_since(before), after, switches);
        self.goes_on
    }

    /// The last look found the result, perhaps after sleeping. Returns whether it came so soon that the next wait should
    /// spin.
    pub fn found(self, now: Instant) -> bool {
        let one_core = self.yielded.is_some_and(|took| took > SHORTEST_RUN);
        if self.spin.one_core.load(Ordering::Relaxed) != one_core {
            self.spin.one_core.store(one_core, Ordering::Relaxed);
        }
        now.duration_since(self.since) <= self.spin.budget()
    }

    fn judge(&mut self, took: Duration, now: Instant, switches_before: u64) {
        self.yielded = Some(took);
        if took > LONG_YIELD && context_switches() != switches_before {
            self.spin.rest(took, now);
            self.goes_on = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spins(spin: &Spin, at: Instant) -> bool {
        spin.since_start(at) >= spin.rests_until.load(Ordering::Relaxed)
    }

    #[test]
    fn after_a_long_yield_it_rests_and_after_the_next_twice_as_long() {
        const YIELD: Duration = Duration::from_millis(1);
        let rest = REST * YIELD;
        let spin = Spin::new(Duration::from_micros(50));
        let start = spin.start;
        assert!(spins(&spin, start));
        spin.rest(YIELD, start);
        assert!(!spins(&spin, start + rest / 2));
        assert!(spins(&spin, start + rest));
        spin.rest(YIELD, start + rest);
        assert!(!spins(&spin, start + rest * 5 / 2));
        assert!(spins(&spin, start + rest * 3));
        // Long after, it begins anew.
        let later = start + Duration::from_secs(100);
        spin.rest(YIELD, later);
        assert!(spins(&spin, later + rest));
        spin.rest(Duration::from_secs(3600), later);
        assert!(spins(&spin, later + LONGEST_REST));
    }

    #[test]
    fn a_long_yield_ends_the_spinning_only_if_others_ran() {
        let spin = Spin::new(Duration::from_secs(3600));
        let mut spinning = spin.begin(Deadline::Never);
        let now = Instant::now();
        // An interrupt: no other thread ran.
        loop {
            let switches = context_switches();
            spinning.judge(2 * LONG_YIELD, now, switches);
            if context_switches() == switches {
                break;
            }
            spinning = spin.begin(Deadline::Never);
            spinning.goes_on = true;
        }
        assert!(spinning.again());
        // One switch less than there are now: another thread ran in between.
        let fewer = context_switches().wrapping_sub(1);
        spinning.judge(LONG_YIELD / 2, now, fewer);
        assert!(spinning.again(), "a short yield is no reason to stop");
        // So long that the rest after it outlasts this test.
        spinning.judge(LONGEST_REST, now, fewer);
        assert!(!spinning.again());
        assert!(!spin.begin(Deadline::Never).again(), "and it rests");
    }

    #[test]
    fn it_does_not_spin_without_a_budget_nor_beyond_it() {
        assert!(!Spin::new(Duration::ZERO).begin(Deadline::Never).again());
        let past = Deadline::At(Instant::now());
        assert!(!Spin::new(Duration::from_secs(3600)).begin(past).again());
        let spin = Spin::new(Duration::from_nanos(1));
        let mut spinning = spin.begin(Deadline::Never);
        let looks = (0..=LOOKS_BEFORE).take_while(|_| spinning.again()).count();
        assert!(looks < LOOKS_BEFORE as usize, "{looks}");
    }

    #[test]
    fn it_yields_at_once_while_that_brings_results() {
        let spin = Spin::new(Duration::from_secs(3600));
        let mut spinning = spin.begin(Deadline::Never);
        spinning.yielded = Some(2 * SHORTEST_RUN);
        spinning.found(Instant::now());
        let mut spinning = spin.begin(Deadline::Never);
        spinning.again();
        assert!(spinning.yielded.is_some());
        spinning.again();
        spinning.yielded = None;
        spinning.found(Instant::now());
        let mut spinning = spin.begin(Deadline::Never);
        spinning.again();
        assert!(spinning.yielded.is_none());
    }
}
