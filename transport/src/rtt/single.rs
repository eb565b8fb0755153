//! One round trip.

use std::time::{Duration, Instant};

use super::measure::{Measurement, Next};
use super::ping_socket::Answer;
use super::round_trips::RoundTrips;
use super::session::Session;
use crate::error::Result;
use crate::sys::poll::Deadline;

/// One ping and its pong.
pub(crate) struct RoundTrip {
    timeout: Option<Duration>,
    /// Its token, and the time when it was sent.
    ping: Option<(u64, Instant)>,
    time: Option<Duration>,
}

impl RoundTrip {
    pub fn begin<'c>(
        round_trips: &'c RoundTrips,
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<(Session<'c>, Self)> {
        let session = Session::with_peer(round_trips, peer)?;
        let round_trip = Self {
            timeout,
            ping: None,
            time: None,
        };
        Ok((session, round_trip))
    }
}

impl Measurement for RoundTrip {
    type Outcome = Duration;

    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Duration>> {
        if let Some(time) = self.time {
            return Ok(Next::Done(time));
        }
        let waited = self.ping.is_some();
        let (_, sent) = match self.ping {
            Some(ping) => ping,
            None => *self.ping.insert(session.ping()?),
        };
        let deadline = match self.timeout {
            None => Deadline::Never,
            Some(time) => sent.checked_add(time).map_or(Deadline::Never, Deadline::At),
        };
        if waited && deadline.passed() {
            return Err(session.unanswered(self.timeout));
        }
        Ok(Next::Wait(deadline))
    }

    fn take(&mut self, session: &mut Session<'_>, answer: &Answer) -> Result<()> {
        match (self.ping, answer) {
            (Some((token, sent)), Answer::Pong(pong)) if token == pong.token => {
                self.time = Some(session.accept(pong, sent));
                Ok(())
            }
            (Some((ping, _)), &Answer::Undelivered { token, errno }) if ping == token => {
                Err(session.undelivered(token, errno))
            }
            _ => Ok(()),
        }
    }
}

impl RoundTrips {
    /// Measures one round trip.
    pub fn round_trip(&self, peer: &str, timeout: Option<Duration>) -> Result<Duration> {
        let measured = RoundTrip::begin(self, peer, timeout);
        self.context
            .count(measured.and_then(|(session, round_trip)| session.run(round_trip)))
    }
}
