//! Why a connection broke. The kernel tells one call; to all others it answers as if the stream had
//! ended, and to take that for an end would be to take half of the data for all of it.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::thread::wait_until;

/// How long to wait for the call that was told. It is about to report here, unless it waits for a file,
/// or does not run for so long.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Breakage {
    /// Once a call was told; else 0.
    errno: AtomicI32,
    /// Calls that wait here for one that was told.
    asking: AtomicU32,
}

impl Breakage {
    /// Takes the error of a call, keeps it for the others if it is why the connection broke, and
    /// gives the better reason if there is one. `users`: the calls under way, this one included.
    pub fn explain(&self, error: io::Error, socket: &Socket, users: impl Fn() -> u32) -> io::Error {
        match error.raw_os_error() {
            // They say only that there was a reason.
            Some(libc::EPIPE | libc::ENOTCONN) => {
                self.instead_of_end(socket, users).unwrap_or(error)
            }
            Some(errno) if is_gone(socket) => {
                // The first one is it.
                let (new, kept) = (Ordering::AcqRel, Ordering::Acquire);
                let _ = self.errno.compare_exchange(0, errno, new, kept);
                error
            }
            _ => error,
        }
    }

    /// Why a read of nothing is not the peer's end of the stream, if it is not. `users`: the calls
    /// under way, this one included. When all of them ask, none was told: it was the application's
    /// own, on the descriptor.
    pub fn instead_of_end(&self, socket: &Socket, users: impl Fn() -> u32) -> Option<io::Error> {
        if is_gone(socket) {
            let end = Instant::now() + PATIENCE;
            self.asking.fetch_add(1, Ordering::SeqCst);
            let nobody_tells = || users() <= self.asking.load(Ordering::SeqCst);
            wait_until(|| self.reason().is_some() || nobody_tells() || Instant::now() > end);
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

/// Whether nothing goes in either direction any more. It could be unknown for lack of memory only.
pub(super) fn is_gone(socket: &Socket) -> bool {
    wait(&mut [Interest::gone(socket.as_fd())], Deadline::Now).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;
    use std::thread;

    /// A socket on which nothing goes any more.
    fn gone() -> Socket {
        let (near, _far) =
            Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        near.shutdown(Shutdown::Both).unwrap();
        near
    }

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    /// Two calls know only that it broke, and the third, which was told, is slow to say so.
    #[test]
    fn whoever_was_not_told_waits_for_the_one_who_was() {
        let (broken, socket, users) = (Breakage::default(), gone(), || 3);
        thread::scope(|scope| {
            let reads = scope.spawn(|| broken.instead_of_end(&socket, users));
            let writes = scope.spawn(|| broken.explain(errno(libc::EPIPE), &socket, users));
            wait_until(|| broken.asking.load(Ordering::SeqCst) == 2);
            let told = broken.explain(errno(libc::ETIMEDOUT), &socket, users);
            let read = reads.join().unwrap().expect("not an end");
            for error in [told, read, writes.join().unwrap()] {
                assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
            }
        });
    }

    #[test]
    fn when_nobody_was_told_nobody_waits() {
        let (broken, socket) = (Breakage::default(), gone());
        assert!(broken.instead_of_end(&socket, || 1).is_none());
        let error = broken.explain(errno(libc::EPIPE), &socket, || 1);
        assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    }
}
