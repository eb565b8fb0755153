//! Lines that strangers can cause: so many a second, and how many more there were.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::output;

/// Lines in each period.
const MOST: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// Prints notes, and leaves those out that come too fast.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    said: u32,
    left_out: u64,
}

impl Throttle {
    /// Prints a line, or counts it.
    pub fn note(&self, text: &str) {
        let Some(left_out) = self.pass(Instant::now()) else {
            return;
        };
        if left_out > 0 {
            output::note(&format!("({left_out} lines like the next were left out)"));
        }
        output::note(text);
    }

    /// Whether a line may be printed, and how many were not since the one before it.
    fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(|error| error.into_inner());
        let is_over = |since: Instant| now.saturating_duration_since(since) >= PERIOD;
        if state.since.is_none_or(is_over) {
            state.since = Some(now);
            state.said = 0;
        }
        if state.said == MOST {
            state.left_out += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let passed = (0..1000).filter(|_| throttle.pass(now).is_some());
        assert_eq!(passed.count(), MOST as usize);
        assert_eq!(throttle.pass(now + PERIOD), Some(1000 - u64::from(MOST)));
        assert_eq!(throttle.pass(now + PERIOD), Some(0));
    }
}
