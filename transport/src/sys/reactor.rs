//! Descriptors in the event loop of a tokio runtime.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// What has the same descriptor, open, for as long as it lives.
pub(crate) trait StableFd: AsFd {}

/// What is in the event loop.
pub(crate) struct Registered<T>(T);

impl<T: StableFd> AsRawFd for Registered<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T> Deref for Registered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Puts a descriptor into the event loop of the current runtime, until what this gives is dropped.
/// Panics outside of a runtime. A failure gives back what it was given.
pub(crate) fn watch<T: StableFd>(
    owner: T,
    interest: Interest,
) -> Result<AsyncFd<Registered<T>>, (T, io::Error)> {
    // SAFETY: the descriptor is the same one and open while `owner` lives, as `StableFd` says; nobody
    // can replace what is in a `Registered`, and the AsyncFd takes it out of the event loop before dropping it.
    unsafe { AsyncFd::register_with_interest(Registered(owner), interest) }.map_err(|error| {
        let (Registered(owner), source) = error.into_parts();
        (owner, source)
    })
}
