//! A series of round trips and its percentiles.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::session::Session;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::sys::memory;
use crate::sys::poll::Deadline;
use crate::sys::thread::quiet_floating_point;

/// How to ping.
#[derive(Debug, Clone)]
pub struct PingOptions {
    /// How many pings, at least one.
    pub count: u32,
    /// Time from one ping to the next, whether or not it was answered. Zero: each one leaves when
    /// the one before it was answered or its time was up.
    pub interval: Duration,
    /// How long each ping is waited for; `None`: without limit.
    pub timeout: Option<Duration>,
}

impl Default for PingOptions {
    /// Ten pings, 100 ms apart, each waited for up to a second.
    fn default() -> Self {
        Self {
            count: 10,
            interval: Duration::from_millis(100),
            timeout: Some(Duration::from_secs(1)),
        }
    }
}

/// What a series of pings came to. Percentiles are those of the answered ones, within 0.1 %;
/// all are zero when none was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RttSummary {
    /// Pings sent.
    pub sent: u32,
    /// Pings answered in time.
    pub received: u32,
    /// Shortest round trip.
    pub min: Duration,
    /// Arithmetic mean.
    pub mean: Duration,
    /// Median.
    pub p50: Duration,
    /// 90th percentile.
    pub p90: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// 99.9th percentile.
    pub p999: Duration,
    /// Longest round trip.
    pub max: Duration,
}

/// What is longer counts as this in the percentiles: nine minutes. The histogram then has one size,
/// which the reserve of memory can serve: it has no way to tell that it cannot grow.
const LONGEST_NS: u64 = 1 << 39;

/// Collects round trips.
struct Samples {
    histogram: Histogram<u32>,
    total_ns: u128,
    min: Duration,
    max: Duration,
}

impl Samples {
    fn new() -> Result<Self> {
        memory::check("cannot collect round trips")?;
        let histogram = quiet_floating_point(|| Histogram::new_with_max(LONGEST_NS, 3));
        let histogram = histogram.map_err(|error| {
            TransportError::InvalidMessage(format!("cannot make a histogram: {error}"))
        })?;
        Ok(Self {
            histogram,
            total_ns: 0,
            min: Duration::MAX,
            max: Duration::ZERO,
        })
    }

    fn add(&mut self, time: Duration) {
        let ns = time.as_nanos() as u64;
        quiet_floating_point(|| self.histogram.saturating_record(ns));
        self.total_ns += u128::from(ns);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    fn summary(&self, sent: u32) -> RttSummary {
        let received = self.histogram.len();
        if received == 0 {
            return RttSummary {
                sent,
                ..RttSummary::default()
            };
        }
        let percentiles = quiet_floating_point(|| {
            [0.5, 0.9, 0.99, 0.999].map(|quantile| self.histogram.value_at_quantile(quantile))
        });
        // A bucket's upper end may lie above the largest value in it.
        let [p50, p90, p99, p999] =
            percentiles.map(|ns| Duration::from_nanos(ns).clamp(self.min, self.max));
        RttSummary {
            sent,
            received: received as u32,
            min: self.min,
            mean: Duration::from_nanos((self.total_ns / u128::from(received)) as u64),
            p50,
            p90,
            p99,
            p999,
            max: self.max,
        }
    }
}

/// A ping that may still be answered.
struct Flying {
    token: u64,
    sent: Instant,
    /// When it is given up; `None`: never.
    until: Option<Instant>,
}

impl Core {
    pub fn ping(self: &Arc<Self>, peer: &str, options: &PingOptions) -> Result<RttSummary> {
        self.count(self.try_ping(peer, options))
    }

    fn try_ping(self: &Arc<Self>, peer: &str, options: &PingOptions) -> Result<RttSummary> {
        if options.count == 0 {
            return Err(TransportError::OutOfRange {
                what: "count",
                value: "0".to_owned(),
                allowed: "a series has at least one ping".to_owned(),
            });
        }
        let mut samples = Samples::new()?;
        let mut session = Session::with_peer(self, peer)?;
        let mut flying: VecDeque<Flying> = VecDeque::new();
        let mut sent = 0;
        // `None` is a time too far to be represented.
        let mut next = Some(Instant::now());
        loop {
            let now = Instant::now();
            let lost = |ping: &&Flying| ping.until.is_some_and(|end| now >= end);
            while let Some(token) = flying.front().filter(lost).map(|ping| ping.token) {
                flying.pop_front();
                session.forget(token);
            }
            let due = match options.interval.is_zero() {
                true => flying.is_empty(),
                false => next.is_some_and(|next| now >= next),
            };
            if sent < options.count && due {
                let (token, left) = session.ping()?;
                let room = flying.try_reserve(1);
                room.map_err(|_| memory::exhausted("cannot wait for more pongs"))?;
                let until = options.timeout.and_then(|time| left.checked_add(time));
                flying.push_back(Flying {
                    token,
                    sent: left,
                    until,
                });
                sent += 1;
                // Not several at once after a delay.
                next = next
                    .and_then(|next| next.checked_add(options.interval))
                    .map(|next| next.max(left));
                continue;
            }
            if sent == options.count && flying.is_empty() {
                return Ok(samples.summary(sent));
            }
            let mut deadline = flying
                .front()
                .and_then(|ping| ping.until)
                .map_or(Deadline::Never, Deadline::At);
            if sent < options.count && !options.interval.is_zero() {
                deadline = deadline.min(next.map_or(Deadline::Never, Deadline::At));
            }
            if let Some(pong) = session.pong(deadline)? {
                if let Some(place) = flying.iter().position(|ping| ping.token == pong.token) {
                    if let Some(ping) = flying.remove(place) {
                        samples.add(session.accept(&pong, ping.sent));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_what_was_measured() {
        let mut samples = Samples::new().unwrap();
        for us in 1..=1000 {
            samples.add(Duration::from_micros(us));
        }
        let summary = samples.summary(1001);
        assert_eq!((summary.sent, summary.received), (1001, 1000));
        assert_eq!(summary.min, Duration::from_micros(1));
        assert_eq!(summary.max, Duration::from_micros(1000));
        assert_eq!(summary.mean, Duration::from_nanos(500_500));
        for (got, expected) in [
            (summary.p50, 500),
            (summary.p90, 900),
            (summary.p99, 990),
            (summary.p999, 999),
        ] {
            let off = got.as_nanos().abs_diff(expected * 1000);
            assert!(off <= expected, "{got:?} is not {expected} us within 0.1 %");
        }
    }

    #[test]
    fn no_answer_at_all_is_all_zero() {
        let summary = Samples::new().unwrap().summary(3);
        assert_eq!(
            summary,
            RttSummary {
                sent: 3,
                ..RttSummary::default()
            }
        );
    }
}
