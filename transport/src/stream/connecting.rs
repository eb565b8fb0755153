//! Connecting to a peer: beginning it, waiting, and what came of it.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::call_limit::CallLimit;
use super::connection::{CallGuard, Stream};
use super::options;
use crate::address::perhaps_a_port;
use crate::error::{expired, Result, TransportError};
use crate::link::Attempt;
use crate::sync::atomic::Ordering;
use crate::sys::poll::{Deadline, Interest};

/// A connection attempt, under way until this is dropped.
pub(crate) struct Connecting<'a> {
    stream: &'a Stream,
    start: Instant,
    _guard: CallGuard<'a>,
}

impl Stream {
    /// Connects, and waits until the connection is there.
    pub(super) fn connect(
        &self,
        to: &SocketAddrV6,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let connecting = self.begin_connect(to)?;
        let mut limit = CallLimit::until(deadline, timeout);
        let writable = self.wait(Interest::writable(self.socket.as_fd()), &mut limit);
        writable.map_err(|error| match error {
            TransportError::Timeout => connecting.too_long(timeout),
            other => other,
        })?;
        connecting.finish()
    }

    /// Begins to connect. The attempt has ended when the socket is writable.
    pub(super) fn begin_connect(&self, to: &SocketAddrV6) -> Result<Connecting<'_>> {
        let guard = self.enter()?;
        // Set before the link is checked. A thread that sets the link down looks for this flag afterwards.
        self.connecting.store(true, Ordering::SeqCst);
        let connecting = Connecting {
            stream: self,
            start: Instant::now(),
            _guard: guard,
        };
        self.context.link.check()?;
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
            Err(error) if !stream.has_ended() => {
                Err(stream
                    .context
                    .failed(Attempt::Connect(to), self.action(), error))
            }
            Err(_) => Err(stream.close_error()),
            Ok(()) => Ok(()),
        }
    }

    /// The result, when the socket is writable.
    pub fn finish(self) -> Result<()> {
        let stream = self.stream;
        match stream.socket.take_error() {
            Ok(None) if stream.has_ended() => Err(stream.close_error()),
            // Not before: it would shorten the time for which the kernel repeats the SYN.
            Ok(None) => options::set_user_timeout(&stream.socket, stream.dead_after),
            // The kernel gave up before the caller did.
            Ok(Some(error)) if error.raw_os_error() == Some(libc::ETIMEDOUT) => {
                Err(self.too_long(Some(self.start.elapsed())))
            }
            Ok(Some(_)) | Err(_) if stream.has_ended() => Err(stream.close_error()),
            Ok(Some(error)) | Err(error) => {
                Err(stream
                    .context
                    .failed(Attempt::Opening(&stream.address), self.action(), error))
            }
        }
    }

    fn action(&self) -> String {
        let to = self.stream.context.endpoint(&self.stream.address);
        format!("cannot open a stream to {to}")
    }

    /// The error when the time is up.
    pub fn too_long(&self, after: Option<Duration>) -> TransportError {
        let context = &self.stream.context;
        let hint = perhaps_a_port(&self.stream.address, &context.link.name());
        let text = format!("{}: no answer", self.action());
        expired(text, after, hint)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.stream.connecting.store(false, Ordering::SeqCst);
    }
}
