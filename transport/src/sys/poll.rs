//! Waiting for descriptors, up to a deadline.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::yield_point;

/// Until when a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// Not at all.
    Now,
    /// Until this moment.
    At(Instant),
    /// Without limit.
    Never,
}

impl Deadline {
    /// `None` is no limit; zero is not waiting at all.
    pub fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Never,
            Some(Duration::ZERO) => Self::Now,
            // A time too far to be represented is no limit.
            Some(time) => Instant::now()
                .checked_add(time)
                .map_or(Self::Never, Self::At),
        }
    }

    /// The time that is left; `None` is no limit.
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

    /// Whichever comes first.
    pub fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Never, end) | (end, Self::Never) => end,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
        }
    }
}

/// One descriptor to wait for, and what for.
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

    /// Ready when the connection is gone, in both directions.
    pub fn gone(fd: BorrowedFd<'a>) -> Self {
        // POLLERR and POLLHUP need not be asked for.
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

    /// Whether the last [`wait`] saw what was asked for.
    pub fn is_met(&self) -> bool {
        self.0.revents & self.0.events != 0
    }

    /// Whether the last [`wait`] saw an error on it, or something in its error queue.
    pub fn is_in_error(&self) -> bool {
        self.0.revents & libc::POLLERR != 0
    }

    /// Whether the last [`wait`] saw it ready (or in error, which the next call on it will tell).
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of `interests` is ready; false when the deadline passed first. Interruptions by
/// signals are waited through, with the time that is left.
pub(crate) fn wait(interests: &mut [Interest<'_>], deadline: Deadline) -> io::Result<bool> {
    loop {
        let remaining = match deadline {
            // In a model such a time is over when others have run, however late it really is.
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
            // SAFETY: `Interest` is a transparent `pollfd`, the slice gives pointer and length, and
            // `timeout` is null or points to what outlives the call.
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
