//! The tasks that wait on a stream: what a thread learns by a nudge, that the stream has ended, they
//! learn by their wakers. Without the feature `async` there are none, and this is nothing.

#[cfg(feature = "async")]
pub(crate) use with_async::Direction;

#[derive(Default)]
pub(super) struct StreamWakers {
    #[cfg(feature = "async")]
    waiting: crate::sync::Mutex<with_async::Waiting>,
}

impl StreamWakers {
    /// Wakes them, after the stream has ended.
    pub fn wake(&self) {
        #[cfg(feature = "async")]
        {
            let wakers = std::mem::take(&mut crate::sync::lock(&self.waiting).wakers);
            // What a waker does is not ours: no lock is held.
            wakers.into_iter().flatten().for_each(|task| task.wake());
        }
    }
}

#[cfg(feature = "async")]
mod with_async {
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::task::Waker;

    use super::super::connecting::Connecting;
    use super::super::shared::Shared;
    use super::super::DataStream;
    use crate::error::Result;
    use crate::sync::lock;
    use crate::sys::poll::{wait, Deadline, Interest};
    use crate::sys::read_buffer::ReadBuffer;
    use crate::sys::socket;

    /// What a task waits for.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Direction {
        Read,
        Write,
    }

    #[derive(Default)]
    pub(super) struct Waiting {
        /// The stream belongs to an event loop: it can be in one once.
        claimed: bool,
        /// One task for each direction, as it is with sockets.
        pub wakers: [Option<Waker>; 2],
    }

    impl DataStream {
        /// Takes it for an event loop; false when that was done before.
        pub(crate) fn claim(&self) -> bool {
            let mut waiting = lock(&self.shared.wakers.waiting);
            !std::mem::replace(&mut waiting.claimed, true)
        }

        /// Takes it out of the event loop.
        pub(crate) fn release(&self) {
            let old = std::mem::take(&mut *lock(&self.shared.wakers.waiting));
            // Dropped without the lock: what a waker does is not ours.
            drop(old);
        }

        /// The task is woken when the stream ends. It looks whether it [`has_news`](Self::has_news)
        /// afterwards: who ends it looks the other way round.
        pub(crate) fn watch(&self, direction: Direction, task: &Waker) {
            let mut waiting = lock(&self.shared.wakers.waiting);
            let place = &mut waiting.wakers[direction as usize];
            if place.as_ref().is_some_and(|old| old.will_wake(task)) {
                return;
            }
            let old = place.replace(task.clone());
            drop(waiting);
            drop(old);
        }

        /// Whether a call need not wait for the socket: the stream has ended, or a file has left bytes.
        pub(crate) fn has_news(&self, direction: Direction) -> bool {
            let left = || matches!(direction, Direction::Read) && !self.shared.leftover.is_empty();
            self.shared.ended().is_some() || left()
        }

        /// Begins to connect to its peer, after [`unconnected`](Self::unconnected).
        pub(crate) fn begin_connect(&self) -> Result<Connecting<'_>> {
            self.shared.begin_connect(&self.shared.address)
        }

        /// Reads what is there; `None` when nothing is.
        pub(crate) fn read_now(&self, buf: &mut [u8]) -> Result<Option<usize>> {
            self.now(|shared| {
                let _using = shared.enter_to_read()?;
                shared.read_entered(&mut ReadBuffer::from(&mut *buf))
            })
        }

        /// Writes as much as the socket takes in one call; `None` when it takes nothing.
        pub(crate) fn write_now(&self, pieces: &[IoSlice<'_>]) -> Result<Option<usize>> {
            self.now(|shared| {
                let _using = shared.enter()?;
                if pieces.iter().all(|piece| piece.is_empty()) {
                    return Ok(Some(0));
                }
                shared.send_entered(|| socket::send_vectored(shared.socket.as_fd(), pieces))
            })
        }

        /// Whether the socket is writable, which is when it is connected; `None` when it is not.
        pub(crate) fn connected_now(&self) -> Result<Option<()>> {
            self.now(|shared| {
                let _using = shared.enter()?;
                let mut interests = [Interest::writable(shared.socket.as_fd())];
                match wait(&mut interests, Deadline::Now) {
                    Ok(ready) => Ok(ready.then_some(())),
                    Err(error) => Err(shared.failed("cannot wait for", error)),
                }
            })
        }

        fn now<T>(&self, call: impl FnOnce(&Shared) -> Result<Option<T>>) -> Result<Option<T>> {
            let shared = &self.shared;
            let done = call(shared).and_then(|done| match done {
                // As a thread that is about to wait finds out.
                None if shared.ended().is_some() => Err(shared.end_error()),
                done => Ok(done),
            });
            shared.core.count(done)
        }
    }
}
