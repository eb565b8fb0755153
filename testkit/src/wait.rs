//! Waiting for a condition instead of sleeping for a time.

use std::thread;
use std::time::{Duration, Instant};

/// A time limit for steps that take milliseconds, on a machine that may be very busy.
pub const GENEROUS: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; panics with `what` when it does not within `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
