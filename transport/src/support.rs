//! Parts of this crate that its C ABI uses too. They are not part of the API and change without
//! notice.

pub use crate::sys::event::Readiness;
pub use crate::sys::thread::wait_until;
pub use crate::time_limit::TimeLimit;

/// Locks, atomics and threads; those of the model checker with `--cfg loom`.
pub mod sync {
    pub use crate::sync::{atomic, lock, thread, wait, Condvar, Mutex, MutexGuard, UnsafeCell};
}
