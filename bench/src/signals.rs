//! The signals that ask a program to end.

use nix::sys::signal::{SigSet, Signal};

/// They.
pub fn that_end() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// Starts a process that takes these signals as usual: it would inherit that they are blocked here.
/// One that comes just now ends us at once, and what we started then ends with our pipes.
pub fn unblocked<T>(start: impl FnOnce() -> T) -> T {
    let signals = that_end();
    let was_blocked = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGINT));
    // It fails for no valid set.
    let _ = signals.thread_unblock();
    let started = start();
    if was_blocked {
        let _ = signals.thread_block();
    }
    started
}
