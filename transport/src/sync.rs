//! The concurrency primitives of this crate. They are the standard library's, or with `--cfg loom`
//! those of a model checker, with which `make models` runs the same code in every interleaving of its
//! threads ([`loom`](https://docs.rs/loom)).
//!
//! `Arc`, `Weak` and `OnceLock` are the standard library's in a model too: loom has no `Weak`, and the
//! models do not check reference counting. Counters of statistics and unique numbers use the standard
//! atomics directly, because they order no other memory access.

#[cfg(not(loom))]
pub(crate) use std::{sync::RwLock, thread_local};
#[cfg(not(loom))]
pub use std::{
    sync::{atomic, Condvar, Mutex, MutexGuard},
    thread,
};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub use model::*;

/// A cell whose value is reached through closures, which a model checker needs.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell with this value.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Passes a pointer for reading to `read`.
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Passes a pointer for writing to `write`.
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Declares a static that all transports of the process share.
#[cfg(not(loom))]
macro_rules! global {
    ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$about])*
        static $name: $type = $value;
    };
}

/// Declares a static that each execution of a model initializes anew.
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

/// Locks a mutex, and ignores that it is poisoned. The data under the locks of this crate is valid
/// between any two statements, so a panic in another thread need not stop the transport.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condvar` is notified or `time` has passed. `None` sets no limit. It may wake
/// spuriously.
pub fn wait<'a, T>(
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
