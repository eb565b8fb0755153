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
