//! The least speed at which a message must arrive. It applies to the message as a whole: a peer that
//! sends one byte now and then is slow, however regularly it sends.
//!
//! A message has credit, measured in time. Each byte earns credit, and waiting for more bytes spends
//! it. The time in which the peer waits for this side costs nothing. Credit has an upper bound, so a
//! fast start does not pay for a slow rest. The bound is longer than an outage that a connection
//! survives.

use std::time::Duration;

/// The bytes a second that keep the credit of a message constant.
const RATE: u64 = 64 << 10;
/// The same while another message waits for memory that the host cannot free by receiving.
const RATE_WHEN_SHORT: u64 = 512 << 10;

/// The bytes a second at which a message over the limit keeps its turn.
const TURN_RATE: u64 = 16 << 20;
/// How long it may be slower.
const TURN_CREDIT: Duration = Duration::from_millis(100);

/// The longest time between two checks of the credit.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The same while the message is over the limit and others may wait for its turn.
const CHECK_INTERVAL_OVER_LIMIT: Duration = Duration::from_millis(50);

/// How far credit can fall below zero. More debt would punish a message later for a pause that delayed
/// no other.
const MAX_DEBT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Credit {
    /// Nanoseconds.
    left: i64,
    most: i64,
    /// The bytes a second that keep `left` constant.
    rate: u64,
}

impl Credit {
    fn full(most: Duration, rate: u64) -> Self {
        let most = nanos(most);
        Self {
            left: most,
            most,
            rate,
        }
    }

    fn add(&mut self, bytes: usize, waited: Duration) {
        let earned = bytes as u128 * 1_000_000_000 / u128::from(self.rate);
        let earned = i64::try_from(earned).unwrap_or(i64::MAX);
        let left = self.left.saturating_sub(nanos(waited));
        self.left = left
            .saturating_add(earned)
            .clamp(-nanos(MAX_DEBT), self.most);
    }

    fn is_spent(self) -> bool {
        self.left < 0
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// The credit of one message.
#[derive(Debug)]
pub(in crate::plugin) struct Pace {
    always: Credit,
    when_short: Credit,
}

impl Pace {
    /// Full credit for a message that may pause for `max_pause`.
    pub(in crate::plugin) fn new(max_pause: Duration) -> Self {
        Self {
            always: Credit::full(max_pause, RATE),
            when_short: Credit::full(max_pause, RATE_WHEN_SHORT),
        }
    }

    /// Accounts for `bytes` that came while the reader waited for `waited`.
    pub(in crate::plugin) fn add(&mut self, bytes: usize, waited: Duration) {
        self.always.add(bytes, waited);
        self.when_short.add(bytes, waited);
    }

    pub(in crate::plugin) fn is_too_slow(&self) -> bool {
        self.always.is_spent()
    }

    pub(in crate::plugin) fn is_too_slow_when_short(&self) -> bool {
        self.when_short.is_spent()
    }

    /// How long the reader may wait before it checks the credit again.
    pub(in crate::plugin) fn next_check(&self, over_limit: bool) -> Duration {
        let credit =
            Duration::from_nanos(self.always.left.max(0) as u64) + Duration::from_millis(1);
        credit.min(if over_limit {
            CHECK_INTERVAL_OVER_LIMIT
        } else {
            CHECK_INTERVAL
        })
    }
}

/// The pace of a message that is over the limit. Only one message can be, so it must yield to others
/// unless it is fast.
#[derive(Debug)]
pub(in crate::plugin) struct TurnPace(Credit);

impl Default for TurnPace {
    fn default() -> Self {
        Self(Credit::full(TURN_CREDIT, TURN_RATE))
    }
}

impl TurnPace {
    pub(in crate::plugin) fn add(&mut self, bytes: usize, waited: Duration) {
        self.0.add(bytes, waited);
    }

    pub(in crate::plugin) fn is_over(&self) -> bool {
        self.0.is_spent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PAUSE: Duration = Duration::from_secs(15);

    fn too_slow(pace: &Pace) -> [bool; 2] {
        [pace.is_too_slow(), pace.is_too_slow_when_short()]
    }

    /// Seconds until a message that comes in pieces of `bytes` every `every` is too slow: always, and
    /// when memory is short. `None` if it is complete before.
    fn too_slow_after(bytes: usize, every: Duration) -> [Option<u64>; 2] {
        let mut pace = Pace::new(MAX_PAUSE);
        let mut after = [None; 2];
        let (mut got, mut time) = (0, Duration::ZERO);
        while got < 64 << 20 && after[0].is_none() {
            pace.add(bytes, every);
            got += bytes;
            time += every;
            for (after, too_slow) in after.iter_mut().zip(too_slow(&pace)) {
                if too_slow {
                    after.get_or_insert(time.as_secs());
                }
            }
        }
        after
    }

    #[test]
    fn a_byte_now_and_then_is_not_progress() {
        for every in [Duration::from_millis(10), Duration::from_secs(8)] {
            for after in too_slow_after(1, every) {
                let after = after.expect("it is slow");
                assert!((15..=24).contains(&after), "{after} s");
            }
        }
    }

    #[test]
    fn each_rate_is_enough_where_it_counts() {
        let tenth = Duration::from_millis(100);
        for (place, rate) in [RATE, RATE_WHEN_SHORT].into_iter().enumerate() {
            let bytes = rate as usize / 10;
            assert_eq!(too_slow_after(bytes + 1, tenth)[place], None);
            assert!(too_slow_after(bytes / 2, tenth)[place].is_some());
        }
        // 10 Mb/s, minus the headers of the packets.
        assert_eq!(too_slow_after(1_150_000 / 10, tenth), [None; 2]);
    }

    #[test]
    fn a_fast_beginning_does_not_pay_for_a_slow_rest() {
        let mut pace = Pace::new(MAX_PAUSE);
        pace.add(60 << 20, Duration::from_millis(60));
        pace.add(0, MAX_PAUSE);
        assert_eq!(too_slow(&pace), [false; 2]);
        pace.add(1, Duration::from_millis(1));
        assert_eq!(too_slow(&pace), [true; 2]);
    }

    /// An outage that the connection survives costs no message.
    #[test]
    fn a_pause_within_the_bound_is_allowed() {
        let mut pace = Pace::new(MAX_PAUSE);
        let second = Duration::from_secs(1);
        for _ in 0..5 {
            pace.add(0, MAX_PAUSE - second);
            assert_eq!(too_slow(&pace), [false; 2]);
            for _ in 0..15 {
                pace.add(1_150_000, second);
            }
        }
    }

    #[test]
    fn a_message_recovers_from_debt_soon() {
        let mut pace = Pace::new(MAX_PAUSE);
        for _ in 0..1000 {
            pace.add(100 << 10, Duration::from_secs(1));
        }
        assert_eq!(too_slow(&pace), [false, true]);
        pace.add(1 << 20, Duration::from_millis(10));
        assert_eq!(too_slow(&pace), [false; 2]);
    }

    #[test]
    fn a_turn_ends_soon_when_the_message_is_slow() {
        let mut turn = TurnPace::default();
        for _ in 0..1000 {
            turn.add(256 << 10, Duration::from_millis(10));
            assert!(!turn.is_over());
        }
        turn.add(1, TURN_CREDIT);
        turn.add(1, Duration::from_millis(1));
        assert!(turn.is_over());
    }

    #[test]
    fn the_reader_checks_in_time() {
        let mut pace = Pace::new(MAX_PAUSE);
        assert_eq!(pace.next_check(false), CHECK_INTERVAL);
        assert_eq!(pace.next_check(true), CHECK_INTERVAL_OVER_LIMIT);
        pace.add(0, MAX_PAUSE);
        pace.add(0, pace.next_check(false));
        assert!(pace.is_too_slow());
        assert!(pace.next_check(false) > Duration::ZERO);
    }
}
