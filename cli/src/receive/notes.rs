//! Lines about what peers do. A peer that does much does not fill the screen, or the log of a service.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::output;
use crate::units::plural;

/// Lines at once.
const BURST: u32 = 40;
/// After those, one in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of the beginning and of the end of a line that is longer.
const BEGINNING: usize = 400;
const END: usize = 100;

static BUDGET: Mutex<Option<Budget>> = Mutex::new(None);

struct Budget {
    left: u32,
    /// Since when the next line is saved.
    since: Instant,
    left_out: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
            left_out: 0,
        }
    }

    /// Whether a line may be printed now, and how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let saved = now.saturating_duration_since(self.since).as_secs() / PAUSE.as_secs();
        if saved > 0 {
            self.left = BURST.min(self.left + saved.min(BURST.into()) as u32);
            self.since = now;
        }
        if self.left == 0 {
            self.left_out += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// What a person wants to know of a peer's doing, on standard error.
pub fn note(text: &str) {
    let now = Instant::now();
    let taken = {
        let mut budget = BUDGET.lock().unwrap_or_else(|error| error.into_inner());
        budget.get_or_insert_with(|| Budget::new(now)).take(now)
    };
    match taken {
        None => {}
        Some(0) => output::note(&shortened(text)),
        Some(left_out) => {
            let lines = plural(left_out, "line was", "lines were");
            output::note(&format!("{lines} left out"));
            output::note(&shortened(text));
        }
    }
}

/// Text whose middle is left out if it is very long.
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
        let begin = Instant::now();
        let mut budget = Budget::new(begin);
        for _ in 0..BURST {
            assert_eq!(budget.take(begin), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(budget.take(begin), None);
        }
        assert_eq!(budget.take(begin + PAUSE), Some(7));
        assert_eq!(budget.take(begin + PAUSE), None);
        // However long it was quiet.
        let later = begin + PAUSE * 1_000_000;
        assert_eq!(budget.take(later), Some(1));
        for _ in 1..BURST {
            assert_eq!(budget.take(later), Some(0));
        }
        assert_eq!(budget.take(later), None);
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
