//! The concurrency primitives of [`handles`](crate::handles) and of the plugin, under one name each, so
//! that a model checker's versions can stand in for them without touching the algorithm (`make models`).

pub(crate) use std::sync::{Arc, PoisonError};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::*;

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
#[cfg(all(not(loom), feature = "plugin"))]
pub(crate) use std::sync::Condvar;
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::thread::{sleep, yield_now};

/// A cell that is reached by closures only, as model checkers want it.
#[cfg(not(loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
