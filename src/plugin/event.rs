//! A descriptor for a host's event loop: eventfd(2).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Readable from `signal` until `clear`.
pub(super) struct Event(File);

impl Event {
    /// `None`: there are no descriptors left.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        (fd >= 0).then(|| Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub(super) fn signal(&self) {
        // It can fail only when the counter is full, and then it is readable all the same.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    pub(super) fn clear(&self) {
        // It can fail only when nothing is to be cleared.
        let _ = (&self.0).read(&mut [0; 8]);
    }

    pub(super) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
