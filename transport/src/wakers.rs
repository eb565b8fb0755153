//! Wakers that wait for something to change in the state of a transport, in the place of a condition variable.
//! Without the feature `async` there are none, and this is nothing.

/// Wakers that wait for the same thing.
#[derive(Default)]
pub(crate) struct Wakers {
    #[cfg(feature = "async")]
    changed: tokio::sync::Notify,
}

impl Wakers {
    /// Wakes all of them. Called after the change, and without a lock: what a waker does is not ours.
    #[inline]
    pub fn wake(&self) {
        #[cfg(feature = "async")]
        self.changed.notify_waiters();
    }

    /// Looks whenever something changed, until `look` finds something. What it finds is given to the
    /// caller in the same poll: cancelling this loses nothing.
    #[cfg(feature = "async")]
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        // Who always finds something at once lets other tasks run all the same.
        tokio::task::coop::consume_budget().await;
        loop {
            // Waiting before looking: who changes something looks the other way round.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }
}
