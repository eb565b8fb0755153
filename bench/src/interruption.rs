//! Ctrl-C and its like leave nothing behind.

use std::process;
use std::thread;

use crate::{program, signals};

/// From now on a signal that asks us to end kills every program under way first. Called before
/// there are other threads: all of them then leave these signals to the one that waits for them.
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
