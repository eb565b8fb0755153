//! Ctrl-C, and the other signals that ask a program to end.
//!
//! The signals are blocked in every thread, and one thread waits for them, so that no code runs inside a signal
//! handler. The first signal closes all transports, which makes every call that waits on one return. The second
//! signal ends the program at once. A signal that was ignored when the program started stays ignored (nohup(1)).

use std::fs;
use std::process;
use std::sync::{LazyLock, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use thunderbolt_transport::ThunderboltTransport;

use crate::event::{event, has_happened, Event, Trigger};
use crate::exit::Exit;
use crate::output;
use crate::service;

struct State {
    /// Dropped by the first signal.
    trigger: Option<Trigger>,
    /// The first signal was SIGTERM, with which services are stopped.
    terminated: bool,
    /// To be closed by the first signal.
    transports: Vec<Weak<ThunderboltTransport>>,
}

static SIGNAL: LazyLock<(Mutex<State>, Event)> = LazyLock::new(|| {
    let (trigger, event) = event();
    let state = State {
        trigger: Some(trigger),
        terminated: false,
        transports: Vec::new(),
    };
    (Mutex::new(state), event)
});

fn state() -> MutexGuard<'static, State> {
    SIGNAL.0.lock().unwrap_or_else(|error| error.into_inner())
}

/// The first signal, as an event.
pub fn signal() -> &'static Event {
    &SIGNAL.1
}

/// Blocks the signals and starts the thread that waits for them. Must be called before any other thread starts,
/// because threads inherit the blocked signals.
pub fn take_signals() {
    let ignored = ignored();
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .filter(|signal| !is_in(ignored, *signal))
        .collect();
    // With SIGXFSZ blocked, a write beyond `ulimit -f` fails with EFBIG instead of killing the program.
    let mut blocked = signals;
    blocked.add(Signal::SIGXFSZ);
    // Fails only for an invalid set.
    let _ = blocked.thread_block();
    let waiter = move || {
        while let Ok(signal) = signals.wait() {
            if is_interrupted() {
                process::exit(Exit::Interrupted as i32);
            }
            interrupt(signal);
            // If this thread cannot be started, a second signal still ends the program.
            drop(
                thread::Builder::new()
                    .name("ending".into())
                    .spawn(end_in_time),
            );
        }
    };
    // Without the thread the signals would stay pending: let their default action end the program instead.
    if thread::Builder::new()
        .name("signals".into())
        .spawn(waiter)
        .is_err()
    {
        let _ = signals.thread_unblock();
    }
}

/// The signals that this process ignores, as a bit mask. A blocked signal is queued even if it is ignored, so the
/// thread that waits for signals would get it. Without /proc none counts as ignored.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

fn is_in(mask: u64, signal: Signal) -> bool {
    mask & 1 << (signal as u32 - 1) != 0
}

fn interrupt(signal: Signal) {
    if signal == Signal::SIGINT {
        // The terminal shows ^C where the cursor is.
        output::end_line_of_terminal();
    }
    let transports = {
        let mut state = state();
        state.terminated = signal == Signal::SIGTERM;
        state.trigger = None;
        std::mem::take(&mut state.transports)
    };
    service::stopping();
    for transport in transports.iter().filter_map(Weak::upgrade) {
        transport.close();
    }
}

/// Time for an orderly end. A receiver gives its streams ten seconds of it.
const ENDING: Duration = Duration::from_secs(15);
/// A write that takes longer goes to a terminal or a pipe that is not being read.
const STUCK: Duration = Duration::from_secs(1);

/// Ends the program if an orderly end takes too long: a write blocks, or a file system does not answer.
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
    if state.trigger.is_some() {
        state.transports.push(transport);
    } else if let Some(transport) = transport.upgrade() {
        drop(state);
        transport.close();
    }
}

pub fn is_interrupted() -> bool {
    has_happened(signal())
}

/// Sleeps until the time is over or a signal comes. Returns whether one did.
pub fn sleep(time: Duration) -> bool {
    let _ = signal().recv_timeout(time);
    is_interrupted()
}

/// Waits for a signal.
pub fn wait() {
    let _ = signal().recv();
}

/// The exit code of a program that serves until it is stopped. SIGTERM is the usual way to stop a service, and so
/// is a success unless it cut something short.
pub fn exit(is_cut: bool) -> Exit {
    match is_interrupted() && (is_cut || !state().terminated) {
        true => Exit::Interrupted,
        false => Exit::Done,
    }
}
