//! Connecting to a peer: beginning it, waiting, and what came of it.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::options;
use super::shared::{Shared, Using};
use super::waited::Waited;
use crate::address::perhaps_a_port;
use crate::error::{expired, Result, TransportError};
use crate::link::Attempt;
use crate::sync::atomic::Ordering;
use crate::sys::poll::{Deadline, Interest};

/// A connect that is under way until this is dropped.
pub(crate) struct Connecting<'a> {
    stream: &'a Shared,
    start: Instant,
    _using: Using<'a>,
}

impl Shared {
    /// Connects, and waits until that is done.
    pub(super) fn connect(
        &self,
        to: &SocketAddrV6,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let connecting = self.begin_connect(to)?;
        let mut waited = Waited::until(deadline, timeout);
        let writable = self.wait(Interest::writable(self.socket.as_fd()), &mut waited);
        writable.map_err(|error| match error {
            TransportError::Timeout => connecting.too_long(timeout),
            other => other,
        })?;
        connecting.finish()
    }

    /// Begins to connect. It is done when the socket is writable.
    pub(super) fn begin_connect(&self, to: &SocketAddrV6) -> Result<Connecting<'_>> {
        let using = self.enter()?;
        // Set before the link is looked at: who takes the link down looks the other way round.
        self.connecting.store(true, Ordering::SeqCst);
        let connecting = Connecting {
            stream: self,
            start: Instant::now(),
            _using: using,
        };
        self.core.link.check()?;
        connecting.begin(to)?;
        Ok(connecting)
    }
}

impl Connecting<'_> {
    fn begin(&self, to: &SocketAddrV6) -> Result<()> {
        let stream = self.stream;
        match stream.socket.connect(&SockAddr::from(*to)) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if stream.ended().is_none() => {
                Err(stream
                    .core
                    .failed(Attempt::Connect(to), self.action(), error))
            }
            Err(_) => Err(stream.end_error()),
            Ok(()) => Ok(()),
        }
    }

    /// What came of it, when the socket is writable.
    pub fn finish(self) -> Result<()> {
        let stream = self.stream;
        match stream.socket.take_error() {
            Ok(None) if stream.ended().is_some() => Err(stream.end_error()),
            // Only now: a SYN may be tried for as long as the caller waits.
            Ok(None) => options::limit_silence(&stream.socket, stream.dead_after),
            // The kernel gave up before the caller did.
            Ok(Some(error)) if error.raw_os_error() == Some(libc::ETIMEDOUT) => {
                Err(self.too_long(Some(self.start.elapsed())))
            }
            Ok(Some(_)) | Err(_) if stream.ended().is_some() => Err(stream.end_error()),
            Ok(Some(error)) | Err(error) => {
                Err(stream
                    .core
                    .failed(Attempt::Opening(&stream.address), self.action(), error))
            }
        }
    }

    fn action(&self) -> String {
        let to = self.stream.core.endpoint(&self.stream.address);
        format!("cannot open a stream to {to}")
    }

    /// The error when it took too long.
    pub fn too_long(&self, after: Option<Duration>) -> TransportError {
        let core = &self.stream.core;
        let hint = perhaps_a_port(&self.stream.address, &core.link.name());
        let text = format!("{}: no answer", self.action());
        expired(text, after, hint)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.stream.connecting.store(false, Ordering::SeqCst);
    }
}
