//! Ctrl-C, and the other signals that ask a program to end.
//!
//! They are blocked in every thread and taken by one of their own, so that no code runs inside a
//! signal handler. The first one ends what is under way in good order: transports close, and every
//! call that waits on one returns. The second ends the program at once, and so does a write that nobody reads.

use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use thunderbolt_transport::ThunderboltTransport;

use crate::exit::Exit;
use crate::output;
use crate::service;

struct State {
    interrupted: bool,
    /// By SIGTERM, with which services are stopped.
    terminated: bool,
    transports: Vec<Weak<ThunderboltTransport>>,
}

static STATE: Mutex<State> = Mutex::new(State {
    interrupted: false,
    terminated: false,
    transports: Vec::new(),
});
static CHANGED: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|error| error.into_inner())
}

/// Takes the signals from now on. Called before any thread is started.
pub fn take_signals() {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    // Writing more than ulimit -f allows is an error of that file, and no end of the program.
    let mut blocked = signals;
    blocked.add(Signal::SIGXFSZ);
    // It fails for no valid set.
    let _ = blocked.thread_block();
    let waiter = move || {
        while let Ok(signal) = signals.wait() {
            if state().interrupted {
                process::exit(Exit::Interrupted as i32);
            }
            interrupt(signal);
            // Without that thread the second signal still ends us.
            drop(
                thread::Builder::new()
                    .name("ending".into())
                    .spawn(end_in_time),
            );
        }
    };
    // Without that thread signals would be lost; they then end us as they always did.
    if thread::Builder::new()
        .name("signals".into())
        .spawn(waiter)
        .is_err()
    {
        let _ = signals.thread_unblock();
    }
}

fn interrupt(signal: Signal) {
    let transports = {
        let mut state = state();
        state.interrupted = true;
        state.terminated = signal == Signal::SIGTERM;
        std::mem::take(&mut state.transports)
    };
    CHANGED.notify_all();
    service::stopping();
    for transport in transports.iter().filter_map(Weak::upgrade) {
        transport.close();
    }
}

/// How long everything has to end in good order: a receiver gives its streams ten seconds.
const ENDING: Duration = Duration::from_secs(15);
/// A write that takes longer goes to a terminal or a pipe that nobody reads.
const STUCK: Duration = Duration::from_secs(1);

/// Ends the program when what is under way does not: a write that nobody reads, or a file system that is gone.
fn end_in_time() {
    let begin = Instant::now();
    let mut before = output::write_under_way();
    while begin.elapsed() < ENDING {
        thread::sleep(STUCK);
        let now = output::write_under_way();
        if now.is_some() && now == before {
            break;
        }
        before = now;
    }
    process::exit(Exit::Interrupted as i32);
}

/// Has this transport closed by the first signal.
pub fn closes(transport: Weak<ThunderboltTransport>) {
    let mut state = state();
    state.transports.retain(|known| known.strong_count() > 0);
    if !state.interrupted {
        state.transports.push(transport);
    } else if let Some(transport) = transport.upgrade() {
        drop(state);
        transport.close();
    }
}

pub fn is_interrupted() -> bool {
    state().interrupted
}

/// Waits for a time, or until a signal comes. Says whether one did.
pub fn sleep(time: Duration) -> bool {
    let waited = CHANGED.wait_timeout_while(state(), time, |state| !state.interrupted);
    waited
        .unwrap_or_else(|error| error.into_inner())
        .0
        .interrupted
}

/// Waits for a signal.
pub fn wait() {
    let waited = CHANGED.wait_while(state(), |state| !state.interrupted);
    drop(waited.unwrap_or_else(|error| error.into_inner()));
}

/// How a program ends that serves until somebody stops it. SIGTERM is how services are stopped: that is no
/// failure, unless it cut something short.
pub fn exit(is_cut: bool) -> Exit {
    let state = state();
    match state.interrupted && (is_cut || !state.terminated) {
        true => Exit::Interrupted,
        false => Exit::Done,
    }
}
