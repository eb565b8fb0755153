//! The concurrency primitives that the algorithms of this crate are built with, under one name each: with
//! `--cfg loom` those of a model checker stand in for them, and `make models` runs the same code in every order
//! that its threads can take ([`loom`](https://docs.rs/loom)).
//!
//! `Arc`, `Weak` and `OnceLock` are the standard library's in a model too: loom has no `Weak`, and what matters here
//! is not counting references. So are counters of statistics and numbers that never repeat: they order nothing.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{atomic, Condvar, Mutex, MutexGuard, RwLock},
    thread, thread_local,
};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::*;

/// A lock that all transports of the process share.
#[cfg(not(loom))]
macro_rules! global {
    ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$about])*
        static $name: $type = $value;
    };
}

/// In a model it begins anew with each order that is tried.
#[cfg(loom)]
macro_rules! global {
    ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            $(#[$about])*
            static ref $name: $type = $value;
        }
    };
}

pub(crate) use global;

use std::sync::PoisonError;
use std::time::Duration;

/// Locks a mutex. A panic elsewhere while it was held does not stop the transport: the data under
/// our locks is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condvar` is notified or the time is up; `None` is no limit. It may return early.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Option<Duration>,
) -> MutexGuard<'a, T> {
    match time {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(time) => {
            let waited = condvar.wait_timeout(guard, time);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}
