//! The signals that terminate a program.

use nix::sys::signal::{SigSet, Signal};

/// The set of these signals.
pub fn that_end() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// Starts a process with these signals unblocked, because it would inherit the mask of this thread. A
/// signal at this moment ends the benchmark at once, and its programs end when their pipes close.
pub fn unblocked<T>(start: impl FnOnce() -> T) -> T {
    let signals = that_end();
    let was_blocked = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGINT));
    // This cannot fail for a valid set.
    let _ = signals.thread_unblock();
    let started = start();
    if was_blocked {
        let _ = signals.thread_block();
    }
    started
}
