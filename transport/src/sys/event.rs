//! Wake-ups through descriptors: eventfd(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{eventfd, EventfdFlags};

use once_cell::sync::OnceCell;

use super::yield_point;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A descriptor that is readable from `signal` until `clear`.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    pub fn signal(&self) {
        // It fails only when the counter is full, and then the descriptor is readable already.
        yield_point::syscall(|| rustix::io::write(&self.0, &1u64.to_ne_bytes())).ok();
    }

    pub fn clear(&self) {
        // It fails only when the counter is 0.
        yield_point::syscall(|| rustix::io::read(&self.0, &mut [0; 8])).ok();
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that is readable exactly while a queue is not empty. It is created on first use.
///
/// The queue calls both methods under its own lock, which keeps the descriptor and the queue in step.
#[derive(Debug, Default)]
pub struct Readiness {
    event: OnceCell<EventFd>,
    /// Whether `event` is readable: most updates then need no system call.
    signalled: std::sync::atomic::AtomicBool,
}

impl Readiness {
    /// The descriptor. `ready` is the state of the queue now.
    pub fn descriptor(&self, ready: bool) -> io::Result<BorrowedFd<'_>> {
        let event = self.event.get_or_try_init(EventFd::new)?;
        self.update(ready);
        Ok(event.as_fd())
    }

    /// Makes the descriptor readable or not, if there is one.
    #[inline]
    pub fn update(&self, ready: bool) {
        let Some(event) = self.event.get() else {
            return;
        };
        if self.signalled.load(Ordering::Relaxed) != ready {
            self.signalled.store(ready, Ordering::Relaxed);
            if ready {
                event.signal();
            } else {
                event.clear();
            }
        }
    }
}

/// Wakes one thread to read shared state, whether the thread runs or sleeps in `poll`.
///
/// Other threads change the state, then call `signal`. The woken thread calls `clear`, then reads the
/// state. Before it sleeps it checks `is_pending`, and after the descriptor woke it, it calls `clear`
/// again. A `signal` that overlaps with a `clear` leaves the flag set or the descriptor readable, so
/// the thread notices it.
pub(crate) struct Wake {
    event: EventFd,
    /// The same state as the descriptor's, for a check without a system call.
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
