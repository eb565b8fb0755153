//! Flags that a thread can wait for together with sockets: eventfd(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::yield_point;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Readable from `signal` until `clear`.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = super::check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // It can fail only when the counter is full, and then it is readable all the same.
        // SAFETY: the buffer is valid for its eight bytes.
        yield_point::syscall(|| unsafe {
            libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len())
        });
    }

    pub fn clear(&self) {
        let mut count = [0u8; 8];
        // It can fail only when the flag is not set.
        // SAFETY: the buffer is valid for its eight bytes.
        yield_point::syscall(|| unsafe {
            libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len())
        });
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells one thread that it must look at something, whether it runs or sleeps in `poll`.
///
/// What is to be looked at is changed before `signal`. The thread clears, then looks; before it
/// sleeps it checks `is_pending`, and when the descriptor woke it, it clears again. A signal that
/// falls between the two halves of a `clear` is then seen by one half or the other.
pub(crate) struct Wake {
    event: EventFd,
    /// For a look without a system call.
    pending: AtomicBool,
}

impl Wake {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            event: EventFd::new()?,
            pending: AtomicBool::new(false),
        })
    }

    pub fn signal(&self) {
        self.pending.store(true, Ordering::SeqCst);
        self.event.signal();
    }

    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    pub fn clear(&self) {
        self.pending.store(false, Ordering::SeqCst);
        self.event.clear();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(all(loom, test))]
mod models;
