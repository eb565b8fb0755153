//! The calls of tasks, which do not wait.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::task::Waker;

use super::connecting::Connecting;
use super::connection::Stream;
use super::wakers::Direction;
use crate::error::Result;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::socket;

impl Stream {
    /// Claims the stream for a reactor. False if it is claimed already.
    pub fn claim(&self) -> bool {
        self.wakers.claim()
    }

    /// Releases the claim.
    pub fn release(&self) {
        self.wakers.release();
    }

    /// Has the task woken when the stream ends. The task calls [`has_news`](Self::has_news) after this, because the
    /// stream may have ended before.
    pub fn watch(&self, direction: Direction, task: &Waker) {
        self.wakers.watch(direction, task);
    }

    /// Whether a call need not wait for the socket: the stream has ended, or there are unread bytes.
    pub fn has_news(&self, direction: Direction) -> bool {
        let left = || matches!(direction, Direction::Read) && !self.unread.is_empty();
        self.has_ended() || left()
    }

    /// Begins to connect to its peer, after [`unconnected`](Self::unconnected).
    pub fn begin_connect_to_peer(&self) -> Result<Connecting<'_>> {
        self.begin_connect(&self.address)
    }

    /// Reads the available bytes. `None` if none are available yet.
    pub fn read_now(&self, buf: &mut [u8]) -> Result<Option<usize>> {
        self.now(|| {
            let _call = self.enter_to_read()?;
            self.read_entered(&mut ReadBuffer::from(&mut *buf))
        })
    }

    /// Writes as much as the socket takes in one call. `None` if it has no room.
    pub fn write_now(&self, pieces: &[IoSlice<'_>]) -> Result<Option<usize>> {
        self.now(|| {
            let _call = self.enter()?;
            if pieces.iter().all(|piece| piece.is_empty()) {
                return Ok(Some(0));
            }
            self.send_entered(|| socket::send_vectored(self.socket.as_fd(), pieces))
        })
    }

    /// `Some` if the socket is writable, which it is when it is connected.
    pub fn connected_now(&self) -> Result<Option<()>> {
        self.now(|| {
            let _call = self.enter()?;
            let mut interests = [Interest::writable(self.socket.as_fd())];
            match wait(&mut interests, Deadline::Now) {
                Ok(ready) => Ok(ready.then_some(())),
                Err(error) => Err(self.failed("cannot wait for", error)),
            }
        })
    }

    fn now<T>(&self, call: impl FnOnce() -> Result<Option<T>>) -> Result<Option<T>> {
        let done = call().and_then(|done| match done {
            // A thread that is about to wait checks this, too.
            None if self.has_ended() => Err(self.close_error()),
            done => Ok(done),
        });
        self.context.count(done)
    }
}
