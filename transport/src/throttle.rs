//! Rate limit for log records that a peer or a fault could repeat without end.

use std::fmt;
use std::time::{Duration, Instant};

use crate::sync::{lock, Mutex};

/// Lets one record a second through and counts the others.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<(Option<Instant>, u64)>);

impl Throttle {
    /// `Some` permits a record now; append the value to its text. `None` suppresses the record.
    pub fn pass(&self) -> Option<Suppressed> {
        let now = Instant::now();
        let (last, suppressed) = &mut *lock(&self.0);
        if last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            *suppressed += 1;
            return None;
        }
        *last = Some(now);
        Some(Suppressed(std::mem::take(suppressed)))
    }
}

/// The number of records that a [`Throttle`] suppressed since the last one that it let through. It
/// prints as nothing when the number is 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suppressed(u64);

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} such records suppressed)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_records_becomes_one_a_second() {
        let throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(Suppressed(0)));
        assert_eq!(throttle.pass(), None);
        assert_eq!(Suppressed(0).to_string(), "");
        assert_eq!(Suppressed(3).to_string(), " (3 such records suppressed)");
    }
}
