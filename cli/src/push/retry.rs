//! Repeats attempts until everything has arrived: when the connection breaks, when another push is in progress, and
//! when the receiver is not there yet.

use std::time::{Duration, Instant};

use super::attempt;
use super::route::Route;
use super::tally::Tally;
use super::tree::Tree;
use super::Options;
use crate::countdown::Countdown;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::transfer::error::TransferError;

/// The pause between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(250);
/// Exceeds the time that a receiver takes to detect a dead pusher.
const WAIT: Duration = Duration::from_secs(120);

/// Pushes until everything has arrived, in as many attempts as it takes.
pub fn push(
    route: &mut Route<'_>,
    tree: &Tree,
    tally: &Tally<'_>,
    options: &Options,
) -> Result<(), Failure> {
    let limit = options.wait.unwrap_or(WAIT);
    let waits_for_receiver = options.wait.is_some_and(|wait| !wait.is_zero());
    let mut wait = Waiting::default();
    let mut countdown = None;
    loop {
        let accepted = tally.accepted();
        let outcome = attempt::run(route, tree, tally, options);
        if tally.accepted() > accepted {
            route.arrived();
            countdown = None;
        }
        let Err(error) = outcome else {
            return Ok(());
        };
        tally.broke();
        if interrupt::is_interrupted() {
            drop(countdown.take());
            tally.report_kept(&route.peer().name);
            return Err(Failure::new(Exit::Interrupted, "interrupted"));
        }
        let why = match &error {
            TransferError::Busy => "the receiver is busy with another push".to_owned(),
            // Without any accepted attempt, a mistake is more likely than a broken cable.
            TransferError::Broken(failure) if tally.accepted() > 0 => failure.text.clone(),
            TransferError::Broken(failure) if waits_for_receiver => {
                format!("no receiver answers yet ({})", failure.text)
            }
            _ => return Err(route.explained(error.into())),
        };
        if !wait.go_on(tally.accepted() > accepted, limit) {
            drop(countdown.take());
            let gave_up = match tally.accepted() {
                0 => route.explained(error.into()),
                _ => Failure::from(error),
            };
            return Err(match tally.accepted() {
                0 => gave_up,
                _ => gave_up.advise(route.advice()),
            });
        }
        if wait.is_new() {
            tally.waits();
            countdown = Some(Countdown::new(&why, limit));
        }
        interrupt::sleep(AGAIN);
        if matches!(error, TransferError::Broken(_)) {
            route.search();
        }
    }
}

/// How long the push has been waiting.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    tries: u32,
}

impl Waiting {
    /// Whether to try again. A connection resets the time.
    fn go_on(&mut self, connected: bool, limit: Duration) -> bool {
        if connected {
            *self = Self::default();
        }
        self.tries += 1;
        self.since.get_or_insert_with(Instant::now).elapsed() < limit
    }

    fn is_new(&self) -> bool {
        self.tries == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_begins_anew_with_a_connection() {
        let mut wait = Waiting::default();
        assert!(!wait.go_on(false, Duration::ZERO) && wait.is_new());
        assert!(wait.go_on(false, Duration::MAX) && !wait.is_new());
        assert!(wait.go_on(true, Duration::MAX) && wait.is_new());
    }
}
