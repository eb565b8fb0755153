//! The tasks that wait on a stream. When it ends, threads are woken by a broadcast and tasks by their wakers. Without
//! the feature `async` there are no tasks, and this is empty.

#[cfg(feature = "async")]
pub(crate) use with_async::Direction;

#[derive(Default)]
pub(super) struct StreamWakers {
    #[cfg(feature = "async")]
    waiting: crate::sync::Mutex<with_async::Waiting>,
}

impl StreamWakers {
    /// Wakes all waiting tasks, after the stream has ended.
    pub fn wake(&self) {
        #[cfg(feature = "async")]
        {
            let wakers = std::mem::take(&mut crate::sync::lock(&self.waiting).wakers);
            // No lock is held, because a waker runs foreign code.
            wakers.into_iter().flatten().for_each(|task| task.wake());
        }
    }
}

#[cfg(feature = "async")]
mod with_async {
    use std::task::Waker;

    use crate::sync::lock;

    /// The direction for which a task waits.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Direction {
        Read,
        Write,
    }

    #[derive(Default)]
    pub(super) struct Waiting {
        /// Whether a reactor has claimed the stream. Only one can.
        claimed: bool,
        /// One task for each direction, as for a socket.
        pub wakers: [Option<Waker>; 2],
    }

    impl super::StreamWakers {
        /// Claims the stream for a reactor. False if it is claimed already.
        pub fn claim(&self) -> bool {
            let mut waiting = lock(&self.waiting);
            !std::mem::replace(&mut waiting.claimed, true)
        }

        /// Releases the claim.
        pub fn release(&self) {
            let old = std::mem::take(&mut *lock(&self.waiting));
            // Dropped without the lock, because a waker runs foreign code.
            drop(old);
        }

        /// Has the task woken when the stream ends.
        pub fn watch(&self, direction: Direction, task: &Waker) {
            let mut waiting = lock(&self.waiting);
            let place = &mut waiting.wakers[direction as usize];
            if place.as_ref().is_some_and(|old| old.will_wake(task)) {
                return;
            }
            let old = place.replace(task.clone());
            drop(waiting);
            drop(old);
        }
    }
}
