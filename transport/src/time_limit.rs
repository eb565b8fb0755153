//! The timeout of a call, and how much of it is left.

use std::fmt;
use std::time::Duration;

use crate::error::{expired, TransportError};
use crate::sys::poll::Deadline;

/// A deadline, and the timeout that set it: the error of a late call names the timeout.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    timeout: Option<Duration>,
    deadline: Deadline,
}

impl TimeLimit {
    /// Starts now. `None` is no limit; zero does not wait at all.
    pub fn start(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            deadline: Deadline::after(timeout),
        }
    }

    /// The time that is left; `None` is no limit.
    pub fn remaining(self) -> Option<Duration> {
        self.deadline.remaining()
    }

    /// The time that is left, but no more than `most`.
    pub fn remaining_at_most(self, most: Duration) -> Duration {
        self.remaining().map_or(most, |time| time.min(most))
    }

    /// Whether no time is left.
    pub fn has_passed(self) -> bool {
        self.deadline.passed()
    }

    /// The error of a call that ran out of time; `done` says what it did until then.
    pub fn expired(self, done: impl fmt::Display) -> TransportError {
        expired(done, self.timeout, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_passed_and_none_never_does() {
        assert!(TimeLimit::start(Some(Duration::ZERO)).has_passed());
        for never in [None, Some(Duration::MAX)] {
            let never = TimeLimit::start(never);
            assert!(never.remaining().is_none() && !never.has_passed());
            assert_eq!(never.remaining_at_most(Duration::from_secs(3)).as_secs(), 3);
        }
        let hour = TimeLimit::start(Some(Duration::from_secs(3600)));
        assert!(hour.remaining().is_some_and(|time| time.as_secs() > 3500));
        assert_eq!(hour.remaining_at_most(Duration::from_secs(3)).as_secs(), 3);
    }

    #[test]
    fn a_late_call_names_its_timeout_and_one_without_time_would_block() {
        let expired = |timeout| {
            let error = TimeLimit::start(Some(timeout)).expired("nothing was done");
            error.last_error_text()
        };
        assert_eq!(
            expired(Duration::from_millis(7)),
            "nothing was done within 7 ms"
        );
        assert!(expired(Duration::ZERO).contains("its timeout is 0"));
    }
}
