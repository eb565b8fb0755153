//! Tasks that wait for a change in the state of a transport, as threads do on a condition variable. Without the feature
//! `async` there are no tasks, and this is empty.

/// The tasks that wait for one condition.
#[derive(Default)]
pub(crate) struct Wakers {
    #[cfg(feature = "async")]
    changed: tokio::sync::Notify,
}

impl Wakers {
    /// Wakes all of them. Called after the change, and without a lock, because a waker runs foreign code.
    #[inline]
    pub fn wake(&self) {
        #[cfg(feature = "async")]
        self.changed.notify_waiters();
    }

    /// Calls `look` after each change, until it finds something. The result is returned in the same poll, so cancelling
    /// this loses nothing.
    #[cfg(feature = "async")]
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        // A task that finds something at once every time has to let other tasks run, too.
        tokio::task::coop::consume_budget().await;
        loop {
            // Registered before `look`: a thread that changes something wakes afterwards.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }
}
