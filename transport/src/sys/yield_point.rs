//! Sleeping in the kernel, and waking who sleeps there: a system call and nothing else, but under a model checker,
//! which has to know of both.

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{blocking_poll, syscall};

/// Makes a system call that somebody may sleep for.
#[cfg(not(loom))]
#[inline]
pub(super) fn syscall<T>(call: impl FnOnce() -> T) -> T {
    call()
}

/// Polls for up to `timeout`; `None` is without limit. `poll` is poll(2), and gives what that returns.
#[cfg(not(loom))]
#[inline]
pub(super) fn blocking_poll(
    timeout: Option<libc::timespec>,
    poll: impl FnOnce(Option<libc::timespec>) -> libc::c_int,
) -> libc::c_int {
    poll(timeout)
}
