//! Waiting for descriptors until a deadline.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::yield_point;

/// The time until which a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// The call does not wait.
    Now,
    /// The call waits until this time.
    At(Instant),
    /// The call waits without limit.
    Never,
}

impl Deadline {
    /// The deadline of a call with a timeout. `None` sets no limit, zero does not wait.
    pub fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Never,
            Some(Duration::ZERO) => Self::Now,
            // A time that an `Instant` cannot represent is no limit.
            Some(time) => Instant::now()
                .checked_add(time)
                .map_or(Self::Never, Self::At),
        }
    }

    /// The remaining time. `None` means no limit.
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At(moment) => Some(moment.saturating_duration_since(Instant::now())),
            Self::Never => None,
        }
    }

    pub fn passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// The earlier of two deadlines.
    pub fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Never, end) | (end, Self::Never) => end,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
        }
    }
}

/// A descriptor and the state to wait for.
#[repr(transparent)]
#[derive(Clone)]
pub(crate) struct Interest<'a>(libc::pollfd, std::marker::PhantomData<BorrowedFd<'a>>);

impl<'a> Interest<'a> {
    pub fn readable(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, libc::POLLIN)
    }

    pub fn writable(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, libc::POLLOUT)
    }

    /// Ready when both directions of the connection have ended.
    pub fn gone(fd: BorrowedFd<'a>) -> Self {
        // poll(2) always reports POLLERR and POLLHUP.
        Self::new(fd, 0)
    }

    fn new(fd: BorrowedFd<'a>, events: libc::c_short) -> Self {
        let pollfd = libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        };
        Self(pollfd, std::marker::PhantomData)
    }

    /// Whether the last [`wait`] found the requested state.
    pub fn is_met(&self) -> bool {
        self.0.revents & self.0.events != 0
    }

    /// Whether the last [`wait`] found an error, or an entry in the error queue.
    pub fn is_in_error(&self) -> bool {
        self.0.revents & libc::POLLERR != 0
    }

    /// Whether the last [`wait`] found it ready, or in error, which the next call on it returns.
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of `interests` is ready. Returns false if the deadline passes first. After a signal
/// it continues to wait for the remaining time.
pub(crate) fn wait(interests: &mut [Interest<'_>], deadline: Deadline) -> io::Result<bool> {
    loop {
        let remaining = match deadline {
            // In a model, a limited wait expires after other threads have run; its length does not matter.
            Deadline::At(_) if cfg!(loom) => Some(Duration::from_nanos(1)),
            _ => deadline.remaining(),
        };
        let remaining = remaining.map(|time| libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let ready = yield_point::blocking_poll(remaining, |timeout| {
            let timeout = timeout
                .as_ref()
                .map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: `Interest` is a transparent `pollfd`, pointer and length are those of the slice, and
            // `timeout` is null or points to a value that outlives the call.
            unsafe {
                libc::ppoll(
                    interests.as_mut_ptr().cast(),
                    interests.len() as libc::nfds_t,
                    timeout,
                    std::ptr::null(),
                )
            }
        });
        match super::check(ready) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::event::EventFd;
    use std::os::fd::AsFd;

    #[test]
    fn a_deadline_of_zero_does_not_wait_and_an_unbounded_one_never_passes() {
        assert!(Deadline::after(Some(Duration::ZERO)).passed());
        assert_eq!(Deadline::after(None), Deadline::Never);
        assert_eq!(Deadline::after(Some(Duration::MAX)), Deadline::Never);
        assert!(!Deadline::Never.passed());
    }

    #[test]
    fn the_earlier_deadline_wins() {
        let now = Instant::now();
        let (early, late) = (
            Deadline::At(now),
            Deadline::At(now + Duration::from_secs(1)),
        );
        assert_eq!(early.min(late), early);
        assert_eq!(Deadline::Never.min(late), late);
        assert_eq!(late.min(Deadline::Now), Deadline::Now);
    }

    #[test]
    fn waiting_tells_ready_from_timed_out() {
        let event = EventFd::new().unwrap();
        assert!(!wait(&mut [Interest::readable(event.as_fd())], Deadline::Now).unwrap());
        event.signal();
        let mut interests = [Interest::readable(event.as_fd())];
        assert!(wait(&mut interests, Deadline::Never).unwrap());
        assert!(interests[0].is_ready());
    }
}
