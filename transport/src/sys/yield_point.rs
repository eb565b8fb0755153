//! System calls at which a model checker interleaves threads: those that block, and those that wake a
//! blocked thread. In a normal build these functions only make the call.

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{blocking_poll, syscall};

/// Makes a system call that can wake another thread.
#[cfg(not(loom))]
#[inline]
pub(super) fn syscall<T>(call: impl FnOnce() -> T) -> T {
    call()
}

/// Blocks in poll(2) for up to `timeout`; `None` sets no limit. `poll` makes the call and returns its
/// result.
#[cfg(not(loom))]
#[inline]
pub(super) fn blocking_poll(
    timeout: Option<libc::timespec>,
    poll: impl FnOnce(Option<libc::timespec>) -> libc::c_int,
) -> libc::c_int {
    poll(timeout)
}
