//! The primitives of the model checker. Of its own, those that a table is made of cannot be made by
//! the compiler, for a `static`: these are made when they are first used.

use std::ops::Deref;
use std::sync::{LockResult, OnceLock};
use std::time::Duration;

use loom::sync::atomic as model;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::{Condvar, MutexGuard};
pub(crate) use loom::thread::yield_now;
pub(crate) use model::{AtomicU64, Ordering};

/// Time passes when others have run.
pub(crate) fn sleep(_: Duration) {
    yield_now();
}

pub(crate) struct AtomicPtr<T> {
    initial: std::sync::atomic::AtomicPtr<T>,
    made: OnceLock<model::AtomicPtr<T>>,
}

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(initial: *mut T) -> Self {
        Self {
            initial: std::sync::atomic::AtomicPtr::new(initial),
            made: OnceLock::new(),
        }
    }
}

impl<T> Deref for AtomicPtr<T> {
    type Target = model::AtomicPtr<T>;

    fn deref(&self) -> &Self::Target {
        let initial = self.initial.load(Ordering::Relaxed);
        self.made.get_or_init(|| model::AtomicPtr::new(initial))
    }
}

pub(crate) struct Mutex<T> {
    initial: std::sync::Mutex<Option<T>>,
    made: OnceLock<loom::sync::Mutex<T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(initial: T) -> Self {
        Self {
            initial: std::sync::Mutex::new(Some(initial)),
            made: OnceLock::new(),
        }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let make = || {
            let initial = self.initial.lock().expect("nothing panics here").take();
            loom::sync::Mutex::new(initial.expect("made once"))
        };
        self.made.get_or_init(make).lock()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
