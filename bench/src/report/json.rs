//! The report as JSON.

use serde::Serialize;
use serde_json::Value;

use super::{Report, WorkReport};
use crate::campaign::Measured;
use crate::contestant::Kind;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::sample::Sample;
use crate::statistics::{percentile, sorted};

/// The percentiles of a distribution in the report.
const PERCENTILES: [f64; 8] = [0.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 100.0];

#[derive(Serialize)]
struct Document<'a> {
    date: &'a str,
    quick: bool,
    rounds: usize,
    seconds: f64,
    machine: serde_json::Map<String, Value>,
    works: Vec<Work<'a>>,
}

#[derive(Serialize)]
struct Work<'a> {
    id: &'a str,
    title: &'a str,
    rows: &'a [Outcome],
    samples: Vec<Entry<'a>>,
}

/// A sample.
#[derive(Serialize)]
struct Entry<'a> {
    contestant: &'a str,
    kind: Kind,
    round: usize,
    at_seconds: f64,
    probes: &'a [Probe],
    steal_percent: f64,
    /// The work's figures, by row.
    figures: serde_json::Map<String, Value>,
    /// Percentiles of its round trips or connects, in ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    percentiles_ns: Option<serde_json::Map<String, Value>>,
}

impl Report {
    /// Converts the report to JSON.
    pub fn json(&self) -> String {
        let facts = self.machine.0.iter();
        let document = Document {
            date: &self.date,
            quick: self.quick,
            rounds: self.wanted,
            seconds: self.took.as_secs_f64(),
            machine: facts
                .map(|(name, fact)| ((*name).to_owned(), fact.as_str().into()))
                .collect(),
            works: self.works.iter().map(work).collect(),
        };
        let text = serde_json::to_string_pretty(&document);
        text.expect("every key is a string") + "\n"
    }
}

fn work(report: &WorkReport) -> Work<'_> {
    let measured = &report.measured;
    let mut samples = Vec::new();
    for (round, all) in measured.rounds.iter().enumerate() {
        for (contestant, sample) in measured.work.contestants.iter().zip(all) {
            let Some(sample) = sample else {
                continue;
            };
            samples.push(Entry {
                contestant: &contestant.name,
                kind: contestant.kind,
                round,
                at_seconds: sample.at,
                probes: &sample.probes,
                steal_percent: sample.steal,
                figures: figures(measured, sample),
                percentiles_ns: percentiles(measured, sample),
            });
        }
    }
    Work {
        id: measured.work.id,
        title: &measured.work.title,
        rows: &report.outcomes,
        samples,
    }
}

fn figures(measured: &Measured, sample: &Sample) -> serde_json::Map<String, Value> {
    let rows = measured.work.rows.iter();
    rows.filter_map(|row| Some((row.id.clone(), row.figure.of(&sample.output)?.into())))
        .collect()
}

fn percentiles(measured: &Measured, sample: &Sample) -> Option<serde_json::Map<String, Value>> {
    let line = measured
        .work
        .rows
        .iter()
        .find_map(|row| row.figure.distribution())?;
    let times = sorted(sample.output.near.numbers(line).iter().copied());
    let percentiles = PERCENTILES.into_iter();
    percentiles
        .map(|percent| Some((percent.to_string(), percentile(&times, percent)?.into())))
        .collect()
}
