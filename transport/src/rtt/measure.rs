//! What single round trips, series and discovery have in common: they send pings when it is time, and evaluate the
//! pongs. The caller decides how to wait in between.

use super::ping_socket::Answer;
use super::session::Session;
use crate::error::Result;
use crate::sys::poll::Deadline;

/// A measurement under way.
pub(crate) trait Measurement {
    type Outcome;

    /// Sends what is due, and says what to do next.
    fn next(&mut self, session: &mut Session<'_>) -> Result<Next<Self::Outcome>>;

    /// An answer has come to a ping that is outstanding.
    fn take(&mut self, session: &mut Session<'_>, answer: &Answer) -> Result<()>;
}

/// What a measurement does next.
pub(crate) enum Next<T> {
    /// It waits for an answer, up to this moment.
    Wait(Deadline),
    /// It is over.
    Done(T),
}

impl Session<'_> {
    /// Measures on this thread.
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
