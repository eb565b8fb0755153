//! Ctrl-C and its like leave nothing behind.

use std::process;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::program;

/// From now on a signal that asks us to end kills every program under way first. Called before
/// there are other threads: all of them then leave these signals to the one that waits for them.
pub fn clean_up_on_signals() -> Result<(), String> {
    let signals = signals();
    signals
        .thread_block()
        .map_err(|errno| format!("cannot block signals: {errno}"))?;
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            program::kill_all();
            process::exit(128 + signal as i32);
        }
    });
    Ok(())
}

/// Starts a process that takes these signals as usual: it would inherit that they are blocked here.
/// One that comes just now ends us at once, and what we started then ends with our pipes.
pub fn unblocked<T>(start: impl FnOnce() -> T) -> T {
    let signals = signals();
    let was_blocked = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGINT));
    // It fails for no valid set.
    let _ = signals.thread_unblock();
    let started = start();
    if was_blocked {
        let _ = signals.thread_block();
    }
    started
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect()
}
