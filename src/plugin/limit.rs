//! Until when a call may wait.

use std::time::{Duration, Instant};

use thunderbolt_transport::TransportError;

/// A moment, or none at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// The time that was given.
    given: Option<Duration>,
    until: Option<Instant>,
}

impl Limit {
    /// `None` is no limit; zero is not waiting at all.
    pub(super) fn after(time: Option<Duration>) -> Self {
        Self {
            given: time,
            // A time too far to be represented is no limit.
            until: time.and_then(|time| Instant::now().checked_add(time)),
        }
    }

    /// The time that is left, as the transport's calls take it.
    pub(super) fn left(self) -> Option<Duration> {
        Some(self.until?.saturating_duration_since(Instant::now()))
    }

    /// The time that is left, but no more than `most`.
    pub(super) fn left_of(self, most: Duration) -> Duration {
        self.left().map_or(most, |left| left.min(most))
    }

    /// The error of a call that found nothing until then. One that was not to wait did not.
    pub(super) fn expired(self, what: impl FnOnce() -> String) -> TransportError {
        match self.given {
            Some(after) if !after.is_zero() => TransportError::timed_out(format_args!(
                "{} within {} ms",
                what(),
                after.as_millis()
            )),
            _ => TransportError::WouldBlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_passed_and_none_never_does() {
        assert_eq!(
            Limit::after(Some(Duration::ZERO)).left(),
            Some(Duration::ZERO)
        );
        for never in [None, Some(Duration::MAX)] {
            let never = Limit::after(never);
            assert!(never.left().is_none());
            assert_eq!(never.left_of(Duration::from_secs(3)).as_secs(), 3);
        }
        let hour = Limit::after(Some(Duration::from_secs(3600)));
        assert!(hour.left().is_some_and(|left| left.as_secs() > 3500));
        assert_eq!(hour.left_of(Duration::from_secs(3)).as_secs(), 3);
    }

    #[test]
    fn a_call_that_was_not_to_wait_would_have_had_to() {
        let expired = |time| {
            let error = Limit::after(time).expired(|| "it was not done".to_owned());
            error.last_error_text()
        };
        assert_eq!(
            expired(Some(Duration::from_millis(7))),
            "it was not done within 7 ms"
        );
        assert!(expired(Some(Duration::ZERO)).contains("its timeout is 0"));
    }
}
