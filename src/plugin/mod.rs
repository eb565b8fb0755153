//! DCF's plugin contracts, upon the Rust API: see `include/dcf_plugin.h` and docs/DCF.md.
//!
//! `exports` has the names that loaders look for, and `object` what hosts hold; `v1`, `v1_1` and `v2`
//! are the faces of the one `adapter`. What it is made of: `params` and `host` (settings), `queue`
//! (what has come), `large` (messages that no datagram carries), `memory` (what hosts free).

mod adapter;
mod event;
mod exports;
mod host;
mod large;
mod limit;
mod memory;
mod object;
mod params;
mod peer;
mod queue;
mod running;
mod v1;
mod v1_1;
mod v2;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. A panic elsewhere while it was held does not stop the plugin: what is under our
/// locks is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
