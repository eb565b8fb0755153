//! Rate-limits lines that peers can cause: a burst, then a fixed rate, and a count of what was suppressed. So a
//! peer cannot flood the terminal or a service's log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::output;
use crate::units::plural;

/// Characters kept of the beginning and of the end of a long line.
const BEGINNING: usize = 400;
const END: usize = 100;

/// Prints notes: shortens long ones and suppresses those that come too fast.
#[derive(Debug)]
pub struct Throttle {
    /// The size of a burst.
    burst: u32,
    /// After a burst, one line per pause.
    pause: Duration,
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    left: u32,
    /// When the last line was added to the allowance.
    since: Instant,
    left_out: u64,
}

impl Throttle {
    pub const fn new(burst: u32, pause: Duration) -> Self {
        Self {
            burst,
            pause,
            state: Mutex::new(None),
        }
    }

    /// Prints a line on standard error, or counts it as suppressed.
    pub fn note(&self, text: &str) {
        if self.allow() {
            output::note(&shortened(text));
        }
    }

    /// Whether a line may be printed now; otherwise it is counted as suppressed.
    pub fn allow(&self) -> bool {
        let Some(left_out) = self.pass(Instant::now()) else {
            return false;
        };
        if left_out > 0 {
            let lines = plural(left_out, "line was", "lines were");
            output::note(&format!("{lines} suppressed"));
        }
        true
    }

    /// Takes a line from the allowance. Returns how many lines were suppressed before it, or `None` if this one
    /// is to be suppressed.
    fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(|error| error.into_inner());
        let state = state.get_or_insert(State {
            left: self.burst,
            since: now,
            left_out: 0,
        });
        let passed = now.saturating_duration_since(state.since).as_nanos();
        let saved = passed / self.pause.as_nanos();
        if saved > 0 {
            let saved = saved.min(self.burst.into()) as u32;
            state.left = self.burst.min(state.left + saved);
            state.since = now;
        }
        if state.left == 0 {
            state.left_out += 1;
            return None;
        }
        state.left -= 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

/// Replaces the middle of a very long text by its length.
pub fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= BEGINNING + END {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    let end: String = text.chars().skip(count - END).collect();
    format!("{beginning}[{} characters]{end}", count - BEGINNING - END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_when_there_are_too_many() {
        const BURST: u32 = 40;
        const PAUSE: Duration = Duration::from_millis(100);
        let begin = Instant::now();
        let throttle = Throttle::new(BURST, PAUSE);
        for _ in 0..BURST {
            assert_eq!(throttle.pass(begin), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(throttle.pass(begin), None);
        }
        assert_eq!(throttle.pass(begin + PAUSE), Some(7));
        assert_eq!(throttle.pass(begin + PAUSE), None);
        // A long pause allows no more than one burst.
        let later = begin + PAUSE * 1_000_000;
        assert_eq!(throttle.pass(later), Some(1));
        for _ in 1..BURST {
            assert_eq!(throttle.pass(later), Some(0));
        }
        assert_eq!(throttle.pass(later), None);
    }

    #[test]
    fn long_lines_keep_their_beginning_and_their_end() {
        let short = "ü".repeat(BEGINNING + END);
        assert_eq!(shortened(&short), short);
        let long = format!("a{}z", "ü".repeat(100_000));
        let shown = shortened(&long);
        assert!(shown.starts_with("aü") && shown.ends_with("üz"), "{shown}");
        assert!(shown.contains("[99502 characters]"), "{shown}");
        assert!(shown.chars().count() < BEGINNING + END + 30);
    }
}
