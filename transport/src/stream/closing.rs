//! Half-closing a stream, and taking its connection out of the transport.

use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

use super::close_reason::CloseReason;
use super::connection::Stream;
use crate::error::{Result, TransportError};
use crate::sys::file;
use crate::sys::thread::wait_until;

impl Stream {
    /// Ends our direction of the stream.
    pub fn finish(&self) -> Result<()> {
        let _call = self.enter()?;
        let shut = self.socket.shutdown(Shutdown::Write);
        shut.map_err(|error| self.failed("cannot finish the stream to", error))
    }

    /// Takes the connection out of the transport, in blocking mode.
    pub fn detach(&self) -> Result<OwnedFd> {
        drop(self.enter()?);
        if !self.unread.is_empty() {
            return Err(TransportError::InvalidMessage(
                "bytes that a file could not take are waiting: read them before detaching".into(),
            ));
        }
        let failed = |error| self.failed("cannot detach the stream to", error);
        let detached = self.socket.as_fd().try_clone_to_owned().map_err(failed)?;
        if !self.end(CloseReason::Detached) {
            return Err(self.close_error());
        }
        // Sleepers have been woken. From now on no call may take a byte: the connection is the caller's.
        wait_until(|| !self.is_used());
        file::set_blocking(&detached).map_err(failed)?;
        Ok(detached)
    }
}
