//! Rounds, in each of which every contestant runs once.
//!
//! The machine changes while a benchmark runs. So contestants do not run in blocks, but once in every
//! round, in an order that changes with the round, and the two samples of one round are compared. If the
//! machine changed between them, the pair is dropped and replaced by another round, up to a limit.

use crate::contestant::Kind;
use crate::probe;
use crate::sample::{Sample, Stage};
use crate::work::{Goal, Work};

/// All measurements of one work.
#[derive(Debug)]
pub struct Measured {
    /// The work.
    pub work: Work,
    /// For each round, each contestant's sample.
    pub rounds: Vec<Vec<Option<Sample>>>,
    /// For each contestant, the reason why it no longer runs.
    pub failures: Vec<Option<String>>,
    /// The requested number of rounds without noise.
    pub wanted: usize,
}

/// The library is the first contestant of every work.
const LIBRARY: usize = 0;

impl Measured {
    /// No measurements yet.
    pub fn new(work: Work, wanted: usize) -> Self {
        // A work without a yardstick is judged by limits, which are far from its figures.
        let mut contestants = work.contestants.iter();
        let compared = contestants.any(|contestant| contestant.kind == Kind::Yardstick);
        let wanted = if compared { wanted } else { wanted.div_ceil(3) };
        Self {
            failures: vec![None; work.contestants.len()],
            rounds: Vec::new(),
            work,
            wanted,
        }
    }

    /// The least number of steady pairs for a verdict.
    pub fn needed(&self) -> usize {
        self.wanted / 2 + 1
    }

    /// The library's samples.
    pub fn of_library(&self) -> impl Iterator<Item = &Sample> {
        self.rounds
            .iter()
            .filter_map(|round| round[LIBRARY].as_ref())
    }

    /// The library's sample and a contestant's, of each round that has both.
    pub fn pairs(&self, contestant: usize) -> impl Iterator<Item = (&Sample, &Sample)> {
        self.rounds
            .iter()
            .filter_map(move |round| Some((round[LIBRARY].as_ref()?, round[contestant].as_ref()?)))
    }

    /// The number of pairs with a contestant without noise.
    fn steady_pairs(&self, contestant: usize) -> usize {
        self.pairs(contestant)
            .filter(|(library, other)| are_steady(library, other))
            .count()
    }

    /// The requested number of steady pairs with a contestant. Contestants without a verdict get fewer,
    /// to save time.
    fn wanted_of(&self, contestant: usize) -> usize {
        let contestant = &self.work.contestants[contestant];
        let judged = self.work.rows.iter().any(|row| match row.goal {
            Goal::Ratio { to, .. } => contestant.name.starts_with(to),
            Goal::Limit { .. } | Goal::Shown => false,
        });
        match contestant.kind {
            Kind::Other if !judged => self.wanted.div_ceil(3),
            _ => self.wanted,
        }
    }

    /// Whether a contestant has to run in the next round.
    fn lacks(&self, contestant: usize) -> bool {
        self.failures[contestant].is_none()
            && self.steady_pairs(contestant) < self.wanted_of(contestant)
    }

    /// Whether the work must stop because the library or its yardstick failed.
    fn is_lost(&self) -> bool {
        let contestants = self.work.contestants.iter().zip(&self.failures);
        contestants
            .into_iter()
            .any(|(contestant, failure)| contestant.kind != Kind::Other && failure.is_some())
    }

    /// The contestants of the next round, in order; none if everything is measured.
    fn next(&self) -> Vec<usize> {
        let number = self.rounds.len();
        if self.is_lost() || number >= 2 * self.wanted {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..self.failures.len()).collect();
        let lacking: Vec<bool> = order.iter().map(|&index| self.lacks(index)).collect();
        // The library is in every pair.
        let any = lacking.contains(&true);
        order.retain(|&index| lacking[index] || any && index == LIBRARY);
        let turn = number % order.len().max(1);
        order.rotate_left(turn);
        order
    }

    fn fail(&mut self, kind: Kind, failure: String) {
        let mut contestants = self.work.contestants.iter();
        if let Some(index) = contestants.position(|contestant| contestant.kind == kind) {
            self.failures[index] = Some(failure);
        }
    }
}

/// Whether the machine did not change during and between two samples.
pub fn are_steady(one: &Sample, other: &Sample) -> bool {
    probe::are_steady(one.probes.iter().chain(&other.probes))
}

/// Measures a work; calls `progress` with the next step.
pub fn measure(
    stage: &Stage,
    work: Work,
    wanted: usize,
    mut progress: impl FnMut(&str),
) -> Measured {
    let mut measured = Measured::new(work, wanted);
    for check in measured.work.checks.clone() {
        progress(&format!("each byte checked, {}", check.name));
        if let Err(failure) = stage.sample(&check, measured.work.settles) {
            measured.fail(check.kind, failure);
        }
    }
    loop {
        let order = measured.next();
        if order.is_empty() {
            return measured;
        }
        let number = measured.rounds.len() + 1;
        let mut round: Vec<Option<Sample>> = vec![None; measured.failures.len()];
        for index in order {
            let contestant = &measured.work.contestants[index];
            progress(&format!("round {number}, {}", contestant.name));
            let settles = measured.work.settles && contestant.kind != Kind::Other;
            match stage.sample(contestant, settles) {
                Ok(sample) => round[index] = Some(sample),
                Err(failure) => measured.failures[index] = Some(failure),
            }
        }
        measured.rounds.push(round);
    }
}

#[cfg(test)]
pub mod tests {
    use super::Measured;
    use crate::contestant::{Contestant, Kind};
    use crate::figure::{Figure, Output};
    use crate::probe::Probe;
    use crate::sample::Sample;
    use crate::work::{ratio, row, work};
    use std::path::Path;

    /// A sample whose median round trip is `micros`, at a bounce.
    pub fn sample(micros: f64, bounce: f64) -> Option<Sample> {
        let probe = Probe {
            bounce_ns: Some(bounce),
            wakeup_ns: Some(6_000.0),
        };
        let near = format!("lost 0\nrtt_ns {}", micros * 1e3);
        Some(Sample {
            output: Output::parse(&near, "").expect("results"),
            at: 0.0,
            probes: vec![probe; 2],
            steal: 0.0,
        })
    }

    /// Library, yardstick and another, three rounds wanted.
    pub fn measured(rounds: Vec<[Option<Sample>; 3]>) -> Measured {
        let kinds = [Kind::Library, Kind::Yardstick, Kind::Other];
        let names = ["library", "C", "other"];
        let contestants = kinds
            .into_iter()
            .zip(names)
            .map(|who| Contestant::alone(who, Path::new("."), "x", ""))
            .collect();
        let row = row(
            "rtt-p50",
            "RTT",
            Figure::RoundTrip(50.0),
            ratio("C", 1.0, 0.8),
        );
        let mut measured = Measured::new(work("rtt", "RTT", contestants, vec![row]), 3);
        measured.rounds = rounds.into_iter().map(Vec::from).collect();
        measured
    }

    fn good() -> [Option<Sample>; 3] {
        [sample(1.0, 90.0), sample(2.0, 95.0), sample(3.0, 100.0)]
    }

    /// The machine changed between the library and the yardstick.
    fn noisy() -> [Option<Sample>; 3] {
        [sample(1.0, 90.0), sample(2.0, 500.0), sample(3.0, 500.0)]
    }

    #[test]
    fn the_order_changes_from_round_to_round() {
        assert_eq!(measured(vec![]).next(), [0, 1, 2]);
        assert_eq!(measured(vec![noisy()]).next(), [1, 2, 0]);
        assert_eq!(measured(vec![good()]).next(), [1, 0], "enough of the other");
        assert!(measured(vec![good(), good(), good()]).next().is_empty());
    }

    #[test]
    fn noisy_pairs_are_measured_again_up_to_a_bound() {
        let again = measured(vec![good(), noisy(), good()]).next();
        assert_eq!(again.len(), 2, "not the other one, whose pairs are good");
        assert!(again.contains(&0) && again.contains(&1));
        let rounds = vec![good(), noisy(), good(), noisy(), noisy(), noisy()];
        assert!(measured(rounds).next().is_empty());
    }

    #[test]
    fn what_failed_does_not_run_again() {
        let mut broken = measured(vec![good()]);
        broken.failures[2] = Some("crashed".to_owned());
        assert_eq!(broken.next(), [1, 0]);
        broken.failures[1] = Some("crashed".to_owned());
        assert!(broken.next().is_empty(), "nothing left to compare with");
    }
}
