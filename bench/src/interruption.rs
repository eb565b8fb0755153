//! Ends all programs on Ctrl-C and similar signals.

use std::process;
use std::thread;

use crate::{program, signals};

/// Makes a terminating signal kill every running program first. Must be called before other threads
/// start, so that they inherit the mask, and only the waiting thread gets these signals.
pub fn clean_up_on_signals() -> Result<(), String> {
    let signals = signals::that_end();
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
