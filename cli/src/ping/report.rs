//! The results of a series of pings.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::histogram::{Bin, Summary, Times, BINS};
use crate::output;
use crate::units::{count, rounded};

/// With fewer times, no histogram is drawn: most bins would have one or none.
const WORTH_DRAWING: u64 = 20;
/// The columns of output that no terminal shows.
const COLUMNS: usize = 80;

/// A series of pings.
pub struct Series {
    pub peer: String,
    interface: String,
    sent: u64,
    times: Times,
    begin: Instant,
}

#[derive(Serialize)]
struct Json<'a> {
    peer: &'a str,
    interface: &'a str,
    sent: u64,
    received: u64,
    duration_s: f64,
    rtt: Summary,
    histogram: Vec<Bin>,
}

impl Series {
    pub fn new(peer: String, interface: String) -> Self {
        Self {
            peer,
            interface,
            sent: 0,
            times: Times::new(),
            begin: Instant::now(),
        }
    }

    /// Records a ping: its round trip, or `None` if no answer came.
    pub fn add(&mut self, time: Option<Duration>) {
        self.sent += 1;
        if let Some(time) = time {
            self.times.add(time);
        }
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn received(&self) -> u64 {
        self.times.summary().count
    }

    pub fn lines(&self) -> Vec<String> {
        let summary = self.times.summary();
        let lost = (self.sent - summary.count) as f64 / self.sent.max(1) as f64 * 100.0;
        let mut lines = vec![
            format!("--- {} ping statistics ---", self.peer),
            format!(
                "{} sent, {} answered, {lost:.3}% lost, time {:.2} s",
                count(self.sent),
                count(summary.count),
                self.begin.elapsed().as_secs_f64()
            ),
        ];
        lines.extend(summary.lines().into_iter().flatten());
        if summary.count >= WORTH_DRAWING {
            let columns = output::columns().unwrap_or(COLUMNS);
            lines.extend(self.times.drawn(columns));
        }
        lines
    }

    pub fn json(&self) -> impl Serialize + use<'_> {
        let rtt = self.times.summary();
        Json {
            peer: &self.peer,
            interface: &self.interface,
            sent: self.sent,
            received: rtt.count,
            duration_s: rounded(self.begin.elapsed().as_secs_f64()),
            rtt,
            histogram: self.times.bins(BINS),
        }
    }
}
