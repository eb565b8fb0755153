//! Why a connection broke. The kernel tells one call; to all others it answers as if the stream had
//! ended, and to take that for an end would be to take half of the data for all of it.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::thread::wait_until;

/// How long to wait for the call that was told: it is about to report here, unless it was the
/// application's own, on the descriptor.
const PATIENCE: Duration = Duration::from_millis(100);

/// The errno, once a call was told.
#[derive(Default)]
pub(super) struct Breakage(AtomicI32);

impl Breakage {
    /// Takes the error of a call, keeps it for the others if it is why the connection broke, and
    /// gives the better reason if there is one.
    pub fn explain(&self, error: io::Error, socket: &Socket) -> io::Error {
        match error.raw_os_error() {
            // They say only that there was a reason.
            Some(libc::EPIPE | libc::ENOTCONN) => self.reason().unwrap_or(error),
            Some(errno) if is_gone(socket) => {
                // The first one is it.
                let (new, kept) = (Ordering::AcqRel, Ordering::Acquire);
                let _ = self.0.compare_exchange(0, errno, new, kept);
                error
            }
            _ => error,
        }
    }

    /// Why a read of nothing is not the peer's end of the stream, if it is not. `others`: whether
    /// other calls are under way.
    pub fn instead_of_end(&self, socket: &Socket, others: impl Fn() -> bool) -> Option<io::Error> {
        if is_gone(socket) {
            let end = Instant::now() + PATIENCE;
            wait_until(|| self.reason().is_some() || !others() || Instant::now() > end);
        }
        self.reason()
    }

    fn reason(&self) -> Option<io::Error> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            errno => Some(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Whether nothing goes in either direction any more. It could be unknown for lack of memory only.
fn is_gone(socket: &Socket) -> bool {
    wait(&mut [Interest::gone(socket.as_fd())], Deadline::Now).unwrap_or(false)
}
