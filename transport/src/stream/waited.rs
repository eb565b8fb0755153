//! How long a call waits.

use std::time::Duration;

use crate::sys::poll::Deadline;

/// The time limit of a call. The clock is first read when there is something to wait for.
pub(super) struct Waited {
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
}

impl Waited {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            deadline: None,
        }
    }

    /// For a call that has read the clock already.
    pub(super) fn until(deadline: Deadline, timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            deadline: Some(deadline),
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn deadline(&mut self) -> Deadline {
        *self
            .deadline
            .get_or_insert_with(|| Deadline::after(self.timeout))
    }
}
