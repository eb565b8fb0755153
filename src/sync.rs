//! The concurrency primitives of [`handles`](crate::handles), [`objects`](crate::objects) and the
//! plugin. With `--cfg loom` they are those of a model checker (`make models`).

pub(crate) use std::sync::Arc;

pub(crate) use thunderbolt_transport::support::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
pub(crate) use thunderbolt_transport::support::sync::{lock, Mutex, MutexGuard, UnsafeCell};
#[cfg(feature = "plugin")]
pub(crate) use thunderbolt_transport::support::sync::{wait, Condvar};
