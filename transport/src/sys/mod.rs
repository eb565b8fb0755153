//! The interface to the operating system. It has all `unsafe` code of this crate, behind safe functions.

pub(crate) mod event;
pub(crate) mod file;
#[cfg_attr(loom, allow(dead_code))] // parts of it only for the threads that models replace
pub(crate) mod floating_point;
pub(crate) mod netlink;
pub(crate) mod poll;
#[cfg(feature = "async")]
pub(crate) mod reactor;
pub(crate) mod read_buffer;
pub(crate) mod receive;
pub(crate) mod report;
pub(crate) mod reserve_alloc;
pub(crate) mod send;
#[cfg_attr(loom, allow(dead_code))] // parts of it only for the threads that models replace
pub(crate) mod signals;
pub(crate) mod socket;
#[cfg_attr(loom, path = "spawn/model.rs")]
pub(crate) mod spawn;
pub(crate) mod tcp_info;
pub(crate) mod thread;
pub(crate) mod yield_point;

use std::io;

/// The result of a system call that returns -1 on failure.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The result of a system call that returns a number of bytes, or -1 on failure.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A system call without the C library's wrapper, for calls that never block and are made for each
/// message. The wrappers of sending and receiving are cancellation points, which costs two atomic
/// operations each in a process with threads, and lets pthread_cancel unwind our frames.
macro_rules! direct {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        libc::syscall(libc::$number $(, $argument)*) as libc::ssize_t
    };
}
use direct;

/// Whether a non-blocking call would have had to wait.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
