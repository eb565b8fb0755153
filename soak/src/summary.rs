//! The progress lines, and the table at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::fault::Planned;
use crate::report::Report;
use crate::resources::Memory;
use crate::testbed::Testbed;

/// Pause between two progress lines.
const PACE: Duration = Duration::from_secs(10);

/// Totals of all rounds.
pub struct Summary {
    began: Instant,
    told: Instant,
    rounds: u64,
    totals: [Report; 2],
    faults: BTreeMap<String, u64>,
}

impl Summary {
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            told: began,
            rounds: 0,
            totals: Default::default(),
            faults: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, faults: &[Planned], reports: &[Report; 2]) {
        self.rounds += 1;
        for (total, report) in self.totals.iter_mut().zip(reports) {
            total.add(report);
        }
        for fault in faults {
            *self.faults.entry(fault.fault.name()).or_default() += 1;
        }
    }

    /// Prints a progress line if one is due.
    pub fn tell(&mut self, testbed: &mut Testbed) {
        if self.told.elapsed() < PACE {
            return;
        }
        self.told = Instant::now();
        let sum = |name: &str| self.totals.iter().map(|total| total.get(name)).sum::<u64>();
        let seconds = self.began.elapsed().as_secs_f64();
        let line = format!(
            "round {}: {} messages ({:.0}/s), {} streams, {} MB, {} round trips; in use {}",
            self.rounds,
            sum("messages_received"),
            sum("messages_received") as f64 / seconds,
            sum("opened_whole"),
            sum("stream_bytes_read") / 1_000_000,
            sum("round_trips") + sum("series"),
            testbed.memory.each_ref().map(Memory::last).join(" and "),
        );
        testbed.journal.line(&line);
    }

    /// The table at the end.
    pub fn table(&self, testbed: &Testbed) -> String {
        let mut lines = vec![format!("{:34}{:>16}{:>16}", "", "host a", "host b")];
        for (what, name) in [
            ("messages sent", "messages_sent"),
            ("messages received", "messages_received"),
            ("  dropped by the library", "library.messages_dropped"),
            ("  dropped by the kernel", "library.kernel_drops"),
            ("  of strangers", "messages_foreign"),
            ("streams opened, came to their end", "opened_whole"),
            ("  broken by a fault", "opened_broken"),
            ("  of strangers", "streams_foreign"),
            ("stream bytes written", "stream_bytes_written"),
            ("stream bytes read", "stream_bytes_read"),
            ("round trips", "round_trips"),
            ("series of round trips", "series"),
            ("discoveries", "discoveries"),
            ("transports opened and closed", "transients"),
            ("callbacks replaced", "replacements"),
            ("calls that failed", "failures"),
            ("calls interrupted by signals", "interruptions"),
        ] {
            let [a, b] = [0, 1].map(|host| self.totals[host].get(name));
            lines.push(format!("{what:34}{a:>16}{b:>16}"));
        }
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        lines.push(format!(
            "faults in {} rounds: {}",
            self.rounds,
            faults.join(", ")
        ));
        for (host, memory) in testbed.processes.iter().zip(&testbed.memory) {
            lines.push(format!("memory of {}: {}", host.name(), memory.describe()));
        }
        lines.join("\n")
    }
}
