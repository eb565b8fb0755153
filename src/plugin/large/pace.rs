//! How slowly a message may arrive. The limit is for the message and not for each byte: a peer that sends
//! one byte now and then is slow, however regularly it does so.
//!
//! A message has credit, which is time. It earns credit with each byte, and spends the time for which its
//! reader waits for more. The credit is bounded, so a fast beginning does not pay for a slow rest, and
//! its bound is longer than a link may be down without breaking the connection. Time for which the peer
//! has to wait for us is never spent.

use std::time::Duration;

/// Bytes a second that a message needs.
const RATE: u64 = 64 << 10;
/// The same while another message waits for memory that the host cannot give back by receiving.
const RATE_WHEN_SHORT: u64 = 512 << 10;

/// A message that goes beyond the limit keeps its turn while it is that fast.
const KEEPS_TURN: u64 = 16 << 20;
/// How long it may be slower.
const TURN: Duration = Duration::from_millis(100);

/// How often a reader looks at its credit at least.
const LOOK: Duration = Duration::from_secs(1);
/// The same while others may be waiting for its turn.
const LOOK_IN_TURN: Duration = Duration::from_millis(50);

/// How far credit falls below zero. More would make a message pay for a pause that harmed nobody.
const DEBT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Credit {
    /// Nanoseconds.
    left: i64,
    most: i64,
    /// Bytes a second that keep it as it is.
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
        self.left = left.saturating_add(earned).clamp(-nanos(DEBT), self.most);
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
    /// Of a message that may pause for `patience`.
    pub(in crate::plugin) fn new(patience: Duration) -> Self {
        Self {
            always: Credit::full(patience, RATE),
            when_short: Credit::full(patience, RATE_WHEN_SHORT),
        }
    }

    /// So much came while the reader waited for so long.
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

    /// How long the reader may wait before it looks at the credit again.
    pub(in crate::plugin) fn next_look(&self, in_turn: bool) -> Duration {
        let credit =
            Duration::from_nanos(self.always.left.max(0) as u64) + Duration::from_millis(1);
        credit.min(if in_turn { LOOK_IN_TURN } else { LOOK })
    }
}

/// The turn of a message that has more memory than the limit. It is the only one, so it lets others go
/// first unless it is fast.
#[derive(Debug)]
pub(in crate::plugin) struct TurnPace(Credit);

impl Default for TurnPace {
    fn default() -> Self {
        Self(Credit::full(TURN, KEEPS_TURN))
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

    const PATIENCE: Duration = Duration::from_secs(15);

    fn too_slow(pace: &Pace) -> [bool; 2] {
        [pace.is_too_slow(), pace.is_too_slow_when_short()]
    }

    /// Seconds until a message is too slow that comes in `bytes` each `every`, always and when memory is
    /// short; `None`: it is whole before.
    fn too_slow_after(bytes: usize, every: Duration) -> [Option<u64>; 2] {
        let mut pace = Pace::new(PATIENCE);
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
        // 10 Mb/s, less what the headers of the packets take.
        assert_eq!(too_slow_after(1_150_000 / 10, tenth), [None; 2]);
    }

    #[test]
    fn a_fast_beginning_does_not_pay_for_a_slow_rest() {
        let mut pace = Pace::new(PATIENCE);
        pace.add(60 << 20, Duration::from_millis(60));
        pace.add(0, PATIENCE);
        assert_eq!(too_slow(&pace), [false; 2]);
        pace.add(1, Duration::from_millis(1));
        assert_eq!(too_slow(&pace), [true; 2]);
    }

    /// A cable that is pulled for as long as a connection survives costs no message.
    #[test]
    fn a_pause_is_no_slowness() {
        let mut pace = Pace::new(PATIENCE);
        let second = Duration::from_secs(1);
        for _ in 0..5 {
            pace.add(0, PATIENCE - second);
            assert_eq!(too_slow(&pace), [false; 2]);
            for _ in 0..15 {
                pace.add(1_150_000, second);
            }
        }
    }

    #[test]
    fn a_message_that_was_slow_alone_is_not_in_debt_for_ever() {
        let mut pace = Pace::new(PATIENCE);
        for _ in 0..1000 {
            pace.add(100 << 10, Duration::from_secs(1));
        }
        assert_eq!(too_slow(&pace), [false, true]);
        pace.add(1 << 20, Duration::from_millis(10));
        assert_eq!(too_slow(&pace), [false; 2]);
    }

    #[test]
    fn a_turn_ends_soon_unless_it_is_used() {
        let mut turn = TurnPace::default();
        for _ in 0..1000 {
            turn.add(256 << 10, Duration::from_millis(10));
            assert!(!turn.is_over());
        }
        turn.add(1, TURN);
        turn.add(1, Duration::from_millis(1));
        assert!(turn.is_over());
    }

    #[test]
    fn the_reader_looks_in_time() {
        let mut pace = Pace::new(PATIENCE);
        assert_eq!(pace.next_look(false), LOOK);
        assert_eq!(pace.next_look(true), LOOK_IN_TURN);
        pace.add(0, PATIENCE);
        pace.add(0, pace.next_look(false));
        assert!(pace.is_too_slow());
        assert!(pace.next_look(false) > Duration::ZERO);
    }
}
