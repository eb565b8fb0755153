//! Lines about what the peers of a receiver do.

use std::time::Duration;

use crate::throttle::Throttle;

static NOTES: Throttle = Throttle::new(40, Duration::from_secs(1));

/// What a person wants to know of a peer's doing, on standard error.
pub fn note(text: &str) {
    NOTES.note(text);
}
