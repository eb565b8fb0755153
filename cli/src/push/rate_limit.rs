//! Limits the rate of a push, for all of its streams together.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::interrupt;
use crate::transfer::{PATIENCE, PIECE};

/// A rate in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// Parses a rate with its unit: `500Mb/s` or `2Gb/s` in bits, `100MB/s` or `100MiB/s` in bytes.
pub fn parse(text: &str) -> Result<Rate, String> {
    const UNITS: [(&str, f64); 9] = [
        ("kb/s", 1e3 / 8.0),
        ("Mb/s", 1e6 / 8.0),
        ("Gb/s", 1e9 / 8.0),
        ("kB/s", 1e3),
        ("MB/s", 1e6),
        ("GB/s", 1e9),
        ("KiB/s", 1024.0),
        ("MiB/s", 1_048_576.0),
        ("GiB/s", 1_073_741_824.0),
    ];
    let units = || UNITS.iter();
    let found = units().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) =
        found.ok_or("give a unit, as in 500Mb/s (bits) or 60MB/s (bytes)".to_owned())?;
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| "not a number".to_owned())?;
    let rate = number * factor;
    // A piece must arrive before the receiver gives up.
    let least = 2.0 * PIECE as f64 / PATIENCE.as_secs_f64();
    match rate.is_finite() && rate >= least {
        true => Ok(Rate(rate)),
        false => Err("must be at least 1.2Mb/s, so that the receiver does not give up".to_owned()),
    }
}

/// The bytes that may be sent at once.
pub const STEP: u64 = 256 << 10;

pub struct RateLimit {
    rate: Rate,
    /// When the next bytes may be sent.
    next: Mutex<Instant>,
}

impl RateLimit {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until so many bytes may be sent, or a signal comes.
    pub fn wait(&self, bytes: u64) {
        let due = self.due(bytes, Instant::now());
        interrupt::sleep(due.saturating_duration_since(Instant::now()));
    }

    /// When so many bytes may be sent. Time without bytes is not saved up.
    fn due(&self, bytes: u64, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(|error| error.into_inner());
        let due = now.max(*next);
        *next = due + Duration::from_secs_f64(bytes as f64 / self.rate.0);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_unit_and_a_bound() {
        assert_eq!(parse("2Gb/s"), Ok(Rate(2.5e8)));
        assert_eq!(parse("1.5 MiB/s"), Ok(Rate(1_572_864.0)));
        for wrong in [
            "", "100", "100M", "xMb/s", "1kb/s", "-1Gb/s", "infGb/s", "nanGb/s",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_wait_for_those_before_them() {
        let limit = RateLimit::new(Rate(1000.0));
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(limit.due(500, now), now);
        assert_eq!(limit.due(500, now), now + Duration::from_millis(500));
        let later = now + Duration::from_secs(10);
        assert_eq!(limit.due(500, later), later);
    }
}
