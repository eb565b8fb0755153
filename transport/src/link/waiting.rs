//! Waiting until the link is up, or down.

use std::time::Duration;

use super::Link;
use crate::error::{expired, Result, TransportError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{lock, wait, Condvar, Mutex};
use crate::sys::poll::Deadline;
use crate::wakers::Wakers;

/// The threads and tasks that wait for a change of the link.
#[derive(Default)]
pub(super) struct Waiters {
    /// The number of threads. Locked while one reads the state before it sleeps.
    threads: Mutex<usize>,
    changed: Condvar,
    wakers: Wakers,
    /// The transport closes, and every wait ends.
    closed: AtomicBool,
}

impl Waiters {
    /// Called after the change.
    pub(super) fn wake(&self) {
        if *lock(&self.threads) > 0 {
            self.changed.notify_all();
        }
        self.wakers.wake();
    }
}

impl Link {
    /// Ends every wait: the transport closes.
    pub fn close(&self) {
        self.waiters.closed.store(true, Ordering::SeqCst);
        self.waiters.wake();
    }

    /// Whether it is up, and how often that changed.
    fn position(&self) -> (bool, u64) {
        self.with(|_| (self.is_up(), self.changes()))
    }
}

/// A call that waits for the link.
pub(crate) struct LinkWait<'a> {
    link: &'a Link,
    up: bool,
    /// How often the link had changed when the call began.
    changes: u64,
}

impl<'a> LinkWait<'a> {
    pub fn new(link: &'a Link, up: bool) -> Self {
        let (_, changes) = link.position();
        Self { link, up, changes }
    }

    /// `None`: the link has been in the other state since the call began. A state that lasted only for a moment counts,
    /// because otherwise the call could miss it.
    fn look(&self) -> Option<Result<()>> {
        if self.link.waiters.closed.load(Ordering::SeqCst) {
            return Some(Err(TransportError::Shutdown));
        }
        let (up, changes) = self.link.position();
        (up == self.up || changes != self.changes).then_some(Ok(()))
    }

    /// Waits on this thread.
    pub fn run(self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        let waiters = &self.link.waiters;
        let mut threads = lock(&waiters.threads);
        loop {
            if let Some(outcome) = self.look() {
                return outcome;
            }
            let remaining = deadline.remaining();
            if remaining.is_some_and(|time| time.is_zero()) {
                return Err(self.late(timeout));
            }
            *threads += 1;
            threads = wait(&waiters.changed, threads, remaining);
            *threads -= 1;
        }
    }

    /// Waits in a task.
    #[cfg(feature = "async")]
    pub async fn run_async(self) -> Result<()> {
        self.link.waiters.wakers.until(|| self.look()).await
    }

    fn late(&self, timeout: Option<Duration>) -> TransportError {
        let (name, state) = self.link.with(|now| (now.name.clone(), now.state.clone()));
        let (way, why) = match self.up {
            true => ("come up", format!(": {}", state.reason(&name))),
            false => ("go down", String::new()),
        };
        expired(format_args!("link \"{name}\" did not {way}"), timeout, why)
    }
}
