//! A series of round trips and its percentiles.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::measure::{Measurement, Next};
use super::ping_socket::{Answer, Pong};
use super::round_trips::RoundTrips;
use super::session::Session;
use crate::error::{Result, TransportError};
use crate::sys::floating_point;
use crate::sys::poll::Deadline;
use crate::sys::reserve_alloc;

/// The options of a series of pings.
#[derive(Debug, Clone)]
pub struct PingOptions {
    /// The number of pings, at least one.
    pub count: u32,
    /// The time from one ping to the next, answered or not. Zero: each ping is sent when the one before it was
    /// answered or timed out.
    pub interval: Duration,
    /// How long to wait for the answer to each ping. `None` sets no limit.
    pub timeout: Option<Duration>,
}

impl Default for PingOptions {
    /// Ten pings at intervals of 100 ms, with a timeout of one second each.
    fn default() -> Self {
        Self {
            count: 10,
            interval: Duration::from_millis(100),
            timeout: Some(Duration::from_secs(1)),
        }
    }
}

/// The result of a series of pings. Percentiles are those of the answered ones, within 0.1 %;
/// all are zero when none was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RttSummary {
    /// Pings sent.
    pub sent: u32,
    /// Pings answered in time.
    pub received: u32,
    /// The shortest round trip.
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
    /// The longest round trip.
    pub max: Duration,
}

/// Longer round trips count as this in the percentiles: nine minutes. The histogram then has a fixed size, which the
/// reserve of memory can serve. A histogram that grows could not report that there is no memory.
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
        reserve_alloc::check("cannot collect round trips")?;
        let histogram =
            floating_point::without_exceptions(|| Histogram::new_with_max(LONGEST_NS, 3));
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
        floating_point::without_exceptions(|| self.histogram.saturating_record(ns));
        self.total_ns += u128::from(ns);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    fn summary(&self, sent: u32) -> RttSummary {
        let received = self.histogram.len();
        if received == 0 {
            return RttSummary {
                sent,
                ..RttSummary::default()
            };
        }
        let percentiles = floating_point::without_exceptions(|| {
            [0.5, 0.9, 0.99, 0.999].map(|quantile| self.histogram.value_at_quantile(quantile))
        });
        // The upper end of a bucket may exceed the largest value in it.
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

/// The result of a series, and the kernel's reason if it had no answer at all.
pub(crate) struct Pinged {
    pub summary: RttSummary,
    pub error: Option<TransportError>,
}

impl Pinged {
    pub fn answered(self) -> Result<RttSummary> {
        match self.error {
            None => Ok(self.summary),
            Some(error) => Err(error),
        }
    }
}

/// The token of a ping that did not leave. Tokens are times, and no time is 0.
const NO_TOKEN: u64 = 0;

/// A ping that may still be answered.
struct Flying {
    token: u64,
    sent: Instant,
    /// When it times out; `None`: never.
    until: Option<Instant>,
}

/// A running series.
pub(crate) struct Series<'a> {
    options: &'a PingOptions,
    samples: Samples,
    flying: VecDeque<Flying>,
    sent: u32,
    /// The error of a ping that did not reach the peer, if no ping was answered before.
    unreached: Option<TransportError>,
    /// The time when the next ping is due. `None`: an `Instant` cannot represent it.
    next: Option<Instant>,
}

impl<'a> Series<'a> {
    pub fn begin<'c>(
        round_trips: &'c RoundTrips,
        peer: &str,
        options: &'a PingOptions,
    ) -> Result<(Session<'c>, Self)> {
        if options.count == 0 {
            return Err(TransportError::OutOfRange {
                what: "count",
                value: "0".to_owned(),
                allowed: "a series has at least one ping".to_owned(),
            });
        }
        let samples = Samples::new()?;
        let session = Session::with_peer(round_trips, peer)?;
        let series = Self {
            options,
            samples,
            flying: VecDeque::new(),
            sent: 0,
            unreached: None,
            next: Some(Instant::now()),
        };
        Ok((session, series))
    }

    fn expire(&mut self, session: &mut Session<'_>, now: Instant) {
        let lost = |ping: &&Flying| ping.until.is_some_and(|end| now >= end);
        while let Some(token) = self.flying.front().filter(lost).map(|ping| ping.token) {
            self.flying.pop_front();
            session.time_out(token);
        }
    }

    fn outcome(&mut self, session: &Session<'_>) -> Pinged {
        let summary = self.samples.summary(self.sent);
        let error = match (summary.received, self.unreached.take()) {
            (1.., _) => None,
            (0, Some(error)) => Some(error),
            (0, None) => session.unreachable(),
        };
        Pinged { summary, error }
    }

    fn is_complete(&self) -> bool {
        self.sent == self.options.count
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.is_complete()
            && match self.options.interval.is_zero() {
                true => self.flying.is_empty(),
                false => self.next.is_some_and(|next| now >= next),
            }
    }

    fn send(&mut self, session: &mut Session<'_>) -> Result<()> {
        let (token, left) = match session.ping() {
            // Without room in the interface's own queue it counts as lost. The statistics tell such pings apart.
            Err(TransportError::QueueFull { .. }) => (NO_TOKEN, Instant::now()),
            ping => ping?,
        };
        let room = self.flying.try_reserve(1);
        room.map_err(|_| reserve_alloc::exhausted("cannot wait for more pongs"))?;
        let until = self.options.timeout.and_then(|time| left.checked_add(time));
        if token != NO_TOKEN || until.is_some() {
            self.flying.push_back(Flying {
                token,
                sent: left,
                until,
            });
        }
        self.sent += 1;
        // After a delay, overdue pings do not leave all at once.
        let next = self
            .next
            .and_then(|next| next.checked_add(self.options.interval));
        self.next = next.map(|next| next.max(left));
        Ok(())
    }
}

impl Measurement for Series<'_> {
    type Outcome = Pinged;

    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Pinged>> {
        if self.unreached.is_some() {
            return Ok(Next::Done(self.outcome(session)));
        }
        loop {
            let now = Instant::now();
            self.expire(session, now);
            if !self.is_due(now) {
                break;
            }
            self.send(session)?;
        }
        if self.is_complete() && self.flying.is_empty() {
            return Ok(Next::Done(self.outcome(session)));
        }
        let at = |time: Option<Instant>| time.map_or(Deadline::Never, Deadline::At);
        let given_up = at(self.flying.front().and_then(|ping| ping.until));
        if self.is_complete() || self.options.interval.is_zero() {
            return Ok(Next::Wait(given_up));
        }
        Ok(Next::Wait(given_up.min(at(self.next))))
    }

    fn take(&mut self, session: &mut Session<'_>, answer: &Answer) -> Result<()> {
        let (Answer::Pong(Pong { token, .. }) | Answer::Undelivered { token, .. }) = answer;
        let place = self.flying.iter().position(|ping| ping.token == *token);
        let Some(ping) = place.and_then(|place| self.flying.remove(place)) else {
            return Ok(());
        };
        match answer {
            Answer::Pong(pong) => self.samples.add(session.accept(pong, ping.sent)),
            &Answer::Undelivered { token, errno } => {
                let error = session.undelivered(token, errno);
                // After an answer it counts as lost: the peer's program may be back in a moment.
                if self.samples.is_empty() {
                    self.unreached = Some(error);
                }
            }
        }
        Ok(())
    }
}

impl RoundTrips {
    pub fn ping(&self, peer: &str, options: &PingOptions) -> Result<Pinged> {
        let measured = Series::begin(self, peer, options);
        let pinged = measured.and_then(|(session, series)| session.run(series));
        let pinged = self.context.count(pinged)?;
        if let Some(error) = &pinged.error {
            self.context.count_error(error);
        }
        Ok(pinged)
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
