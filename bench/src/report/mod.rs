//! The report: the same contents as text, as Markdown, as JSON, and as a web page with charts.

mod chart;
mod content;
mod html;
mod json;
mod number;
pub mod text;

use std::time::Duration;

use crate::campaign::Measured;
use crate::cli::Options;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::sample::Sample;
use crate::statistics::Spread;
use crate::verdict::Verdict;

/// The data of a report.
pub struct Report {
    /// The day, as in 2026-01-31.
    pub date: String,
    /// Whether samples were short.
    pub quick: bool,
    /// The requested number of steady rounds.
    pub wanted: usize,
    /// The machine before the benchmark.
    pub machine: Machine,
    /// The duration of the benchmark.
    pub took: Duration,
    /// The measured works.
    pub works: Vec<WorkReport>,
}

/// The samples of a work, and their outcomes.
pub struct WorkReport {
    /// The samples.
    pub measured: Measured,
    /// The outcome of each row.
    pub outcomes: Vec<Outcome>,
}

impl WorkReport {
    /// Computes the outcomes.
    pub fn new(measured: Measured) -> Self {
        let rows = measured.work.rows.iter();
        Self {
            outcomes: rows.map(|row| Outcome::of(&measured, row)).collect(),
            measured,
        }
    }
}

impl Report {
    /// A report without works yet.
    pub fn new(date: String, options: &Options, machine: Machine) -> Self {
        Self {
            date,
            quick: options.is_quick(),
            wanted: options.wanted(),
            machine,
            took: Duration::ZERO,
            works: Vec::new(),
        }
    }

    /// Adds facts that are known at the end.
    pub fn finish(&mut self, took: Duration, load_average: Option<String>) {
        self.took = took;
        let more = [
            ("load average at the end", load_average),
            ("cache line there and back", shown(&self.bounces(), "ns")),
            ("wake-up there and back", shown(&self.wakeups(), "µs")),
            ("stolen time", self.steal_shown()),
        ];
        let known = |(name, fact): (_, Option<String>)| Some((name, fact?));
        self.machine.0.extend(more.into_iter().filter_map(known));
    }

    /// Whether a required value was missed, or a program failed.
    pub fn has_missed(&self) -> bool {
        self.outcomes().any(|outcome| outcome.verdict.is_failure())
    }

    /// Whether no program failed, whatever the figures.
    pub fn works_at_all(&self) -> bool {
        let failed = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Failed { .. });
        !self.outcomes().any(failed)
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.works.iter().flat_map(|work| &work.outcomes)
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        let rounds = self.works.iter().flat_map(|work| &work.measured.rounds);
        rounds.flatten().flatten()
    }

    /// The times of probes in seconds, with their values in ns.
    fn probed(&self, what: impl Fn(&Probe) -> Option<f64>) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for sample in self.samples() {
            let values = sample.probes.iter().filter_map(&what);
            points.extend(values.map(|value| (sample.at, value)));
        }
        points
    }

    fn bounces(&self) -> Vec<(f64, f64)> {
        self.probed(|probe| probe.bounce_ns)
    }

    fn wakeups(&self) -> Vec<(f64, f64)> {
        self.probed(|probe| Some(probe.wakeup_ns? / 1e3))
    }

    fn steal_shown(&self) -> Option<String> {
        let spread = Spread::of(self.samples().map(|sample| sample.steal))?;
        Some(format!(
            "median {:.1} %, at most {:.1} % of the time of a sample",
            spread.median, spread.max
        ))
    }
}

fn shown(points: &[(f64, f64)], unit: &str) -> Option<String> {
    let spread = Spread::of(points.iter().map(|(_, value)| *value))?;
    let [median, min, max] = [spread.median, spread.min, spread.max].map(number::number);
    Some(format!("median {median} {unit}, {min} to {max} {unit}"))
}
