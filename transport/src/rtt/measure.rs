//! What single round trips, series and discovery have in common: they send pings when it is time, and evaluate the
//! pongs. The caller decides how to wait in between.

use super::ping_socket::Answer;
use super::session::Session;
use crate::error::Result;
use crate::sys::poll::Deadline;

/// A running measurement.
pub(crate) trait Measurement {
    type Outcome;

    /// Sends the pings that are due, and returns the next step.
    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Self::Outcome>>;

    /// Evaluates the answer to an outstanding ping.
    fn take(&mut self, session: &mut Session<'_>, answer: &Answer) -> Result<()>;
}

/// The next step of a measurement.
pub(crate) enum Next<T> {
    /// Wait for an answer until this time.
    Wait(Deadline),
    /// The measurement is complete.
    Done(T),
}

impl Session<'_> {
    /// Runs the measurement on this thread.
    pub fn run<M: Measurement>(mut self, mut measurement: M) -> Result<M::Outcome> {
        loop {
            match measurement.next(&mut self)? {
                Next::Done(outcome) => return Ok(outcome),
                Next::Wait(deadline) => {
                    if let Some(answer) = self.answer(deadline)? {
                        measurement.take(&mut self, &answer)?;
                    }
                }
            }
        }
    }
}
