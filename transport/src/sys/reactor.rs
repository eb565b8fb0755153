//! Descriptors in the reactor of a tokio runtime.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// An owner whose descriptor stays the same and open as long as the owner exists.
pub(crate) trait StableFd: AsFd {}

/// An owner whose descriptor is registered with the reactor.
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

/// Registers a descriptor with the reactor of the current runtime, until the result is dropped. On
/// failure it returns the owner with the error. Panics outside of a runtime.
pub(crate) fn watch<T: StableFd>(
    owner: T,
    interest: Interest,
) -> Result<AsyncFd<Registered<T>>, (T, io::Error)> {
    // SAFETY: by the contract of `StableFd`, the descriptor stays the same and open while `owner` exists.
    // The owner in a `Registered` cannot be replaced, and the AsyncFd deregisters it before dropping it.
    unsafe { AsyncFd::register_with_interest(Registered(owner), interest) }.map_err(|error| {
        let (Registered(owner), source) = error.into_parts();
        (owner, source)
    })
}
