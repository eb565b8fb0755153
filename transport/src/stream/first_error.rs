//! The first error of a connection. The kernel reports a socket error to one call; later reads return 0, which would
//! look like the end of the stream and silently truncate the data.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::thread::wait_until;

/// How long to wait for the call that got the error. It latches the error here within that time, unless it waits for
/// a file or is not scheduled.
const PATIENCE: Duration = Duration::from_secs(2);

/// Latches the first error of a connection for all its calls.
#[derive(Default)]
pub(super) struct ErrorLatch {
    /// 0 until a call gets an error.
    errno: AtomicI32,
    /// The calls that wait here for the one that got the error.
    asking: AtomicU32,
}

impl ErrorLatch {
    /// Latches the error of a call for all calls if it means that the connection broke. Returns the error, or the
    /// latched one if that is the cause. `users` is the number of running calls, including this one.
    pub fn latch(&self, error: io::Error, socket: &Socket, users: impl Fn() -> u32) -> io::Error {
        match error.raw_os_error() {
            // These only report that there was an error before.
            Some(libc::EPIPE | libc::ENOTCONN) => self.error_or_eof(socket, users).unwrap_or(error),
            Some(errno) if is_gone(socket) => {
                // The first one is kept.
                let (new, kept) = (Ordering::AcqRel, Ordering::Acquire);
                let _ = self.errno.compare_exchange(0, errno, new, kept);
                error
            }
            _ => error,
        }
    }

    /// Interprets a read of 0 bytes: the error of the broken connection, or `None` at the end of the stream. `users` is
    /// the number of running calls, including this one. If all of them wait here, none of them got the error: the
    /// application used the descriptor itself.
    pub fn error_or_eof(&self, socket: &Socket, users: impl Fn() -> u32) -> Option<io::Error> {
        if is_gone(socket) {
            let end = Instant::now() + PATIENCE;
            self.asking.fetch_add(1, Ordering::SeqCst);
            let nobody_knows = || users() <= self.asking.load(Ordering::SeqCst);
            wait_until(|| self.reason().is_some() || nobody_knows() || Instant::now() > end);
            self.asking.fetch_sub(1, Ordering::SeqCst);
        }
        self.reason()
    }

    fn reason(&self) -> Option<io::Error> {
        match self.errno.load(Ordering::Acquire) {
            0 => None,
            errno => Some(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Whether both directions of the connection have ended. The query fails only if there is no memory.
pub(super) fn is_gone(socket: &Socket) -> bool {
    wait(&mut [Interest::gone(socket.as_fd())], Deadline::Now).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;
    use std::thread;

    /// A socket that is shut down in both directions.
    fn gone() -> Socket {
        let (near, _far) =
            Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        near.shutdown(Shutdown::Both).unwrap();
        near
    }

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    /// Two calls know only that the connection broke; the third, which got the error, is slow to latch it.
    #[test]
    fn whoever_was_not_told_waits_for_the_one_who_was() {
        let (broken, socket, users) = (ErrorLatch::default(), gone(), || 3);
        thread::scope(|scope| {
            let reads = scope.spawn(|| broken.error_or_eof(&socket, users));
            let writes = scope.spawn(|| broken.latch(errno(libc::EPIPE), &socket, users));
            wait_until(|| broken.asking.load(Ordering::SeqCst) == 2);
            let told = broken.latch(errno(libc::ETIMEDOUT), &socket, users);
            let read = reads.join().unwrap().expect("not an end");
            for error in [told, read, writes.join().unwrap()] {
                assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
            }
        });
    }

    #[test]
    fn when_nobody_was_told_nobody_waits() {
        let (broken, socket) = (ErrorLatch::default(), gone());
        assert!(broken.error_or_eof(&socket, || 1).is_none());
        let error = broken.latch(errno(libc::EPIPE), &socket, || 1);
        assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    }
}
