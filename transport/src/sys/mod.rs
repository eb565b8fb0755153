//! The operating system: every `unsafe` of this crate, each behind a safe function.

pub(crate) mod batch;
pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod netlink;
pub(crate) mod poll;
pub(crate) mod socket;
pub(crate) mod thread;

use std::io;

/// The result of a system call that returns -1 on failure.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same for calls that count bytes.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Whether a non-blocking call found nothing to do.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
