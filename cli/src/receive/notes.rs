//! Notes about the peers of a receiver, rate-limited.

use std::time::Duration;

use crate::throttle::Throttle;

static NOTES: Throttle = Throttle::new(40, Duration::from_secs(1));

/// Prints a note about a peer on standard error.
pub fn note(text: &str) {
    NOTES.note(text);
}

/// Whether another line about a peer may be printed.
pub fn allow() -> bool {
    NOTES.allow()
}
