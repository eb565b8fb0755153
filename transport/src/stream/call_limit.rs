//! The time limit of a call, and how far the call got.

use std::fmt;
use std::time::Duration;

use crate::error::{expired, TransportError};
use crate::sys::poll::Deadline;

/// The operation of a call and its number of bytes, for the text of a time-out.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Its error names the port too: see `Connecting::too_long`.
    Open,
    /// At least one byte.
    Read,
    /// This number of bytes, as in the following variants.
    ReadExact(u64),
    Write(u64),
    SendFile(u64),
    ReceiveFile(u64),
}

/// The time limit of a call. The clock is read only when the call has to wait.
pub(super) struct CallLimit {
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    work: Work,
    /// The bytes that were transferred.
    pub(super) done: u64,
}

impl CallLimit {
    pub(super) fn new(timeout: Option<Duration>, work: Work) -> Self {
        Self {
            timeout,
            deadline: None,
            work,
            done: 0,
        }
    }

    /// For a call that has already read the clock.
    pub(super) fn until(deadline: Deadline, timeout: Option<Duration>) -> Self {
        Self {
            deadline: Some(deadline),
            ..Self::new(timeout, Work::Open)
        }
    }

    pub(super) fn deadline(&mut self) -> Deadline {
        *self
            .deadline
            .get_or_insert_with(|| Deadline::after(self.timeout))
    }

    /// The error after the deadline has passed. `why` says for what the call waited, if not for the peer.
    pub(super) fn expired(&self, peer: &str, why: &str) -> TransportError {
        expired(Done { limit: self, peer }, self.timeout, why)
    }
}

/// Prints how far the call got.
struct Done<'a> {
    limit: &'a CallLimit,
    peer: &'a str,
}

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, done) = (self.peer, self.limit.done);
        match self.limit.work {
            Work::Open => write!(f, "no connection to {peer}"),
            Work::Read => write!(f, "no data came from {peer}"),
            Work::ReadExact(all) => write!(f, "read {} from {peer}", Part(done, all)),
            Work::Write(all) => write!(f, "wrote {} to {peer}", Part(done, all)),
            Work::SendFile(all) => write!(f, "sent {} of the file to {peer}", Part(done, all)),
            Work::ReceiveFile(all) => {
                write!(f, "received {} into the file from {peer}", Part(done, all))
            }
        }
    }
}

/// How many bytes, of how many.
struct Part(u64, u64);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // A number larger than any file means the whole file.
            Self(done, all) if i64::try_from(all).is_err() => write!(f, "{done} bytes"),
            Self(done, all) => write!(f, "{done} of {all} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_how_much_was_done_of_how_much_and_in_how_long() {
        let text = |work, done| {
            let mut limit = CallLimit::new(Some(Duration::from_millis(200)), work);
            limit.done = done;
            limit.expired("::1%lo", "").last_error_text()
        };
        for (work, done, expected) in [
            (Work::Read, 0, "no data came from ::1%lo within 200 ms"),
            (
                Work::ReadExact(10),
                0,
                "read 0 of 10 bytes from ::1%lo within 200 ms",
            ),
            (
                Work::Write(1 << 40),
                3,
                "wrote 3 of 1099511627776 bytes to ::1%lo within 200 ms",
            ),
            (
                Work::SendFile(u64::MAX),
                7,
                "sent 7 bytes of the file to ::1%lo within 200 ms",
            ),
            (
                Work::ReceiveFile(9),
                7,
                "received 7 of 9 bytes into the file from ::1%lo within 200 ms",
            ),
        ] {
            assert_eq!(text(work, done), expected);
        }
    }
}
