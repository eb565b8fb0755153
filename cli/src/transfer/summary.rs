//! The result of a push, on either side.

use std::time::Duration;

use serde::Serialize;

use crate::output::{self, Verbosity};
use crate::units::{bytes, files_and_links, plural, rate_of};

/// The most failures that a report lists; all are counted.
pub const LISTED: usize = 100;

/// The result in JSON.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    pub peer: &'a str,
    /// The files and links that were transferred.
    pub files: u64,
    pub links: u64,
    pub bytes: u64,
    /// The time of the transfer, without waiting for the receiver or for the cable.
    pub seconds: f64,
    /// `None` if nothing was sent.
    pub bytes_per_second: Option<f64>,
    pub existed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// The first failures.
    pub failures: &'a [Failed],
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Line,
    Json,
    /// Standard output has something else.
    Nothing,
}

/// An entry that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failed {
    pub path: String,
    pub code: u8,
    pub reason: String,
}

impl<'a> Summary<'a> {
    pub fn new(peer: &'a str, bytes: u64, time: Duration) -> Self {
        let seconds = (time.as_secs_f64() * 1e6).round() / 1e6;
        Self {
            peer,
            files: 0,
            links: 0,
            bytes,
            seconds,
            bytes_per_second: (bytes > 0).then(|| (bytes as f64 / seconds.max(1e-6)).round()),
            existed: 0,
            failed: 0,
            skipped: 0,
            failures: &[],
        }
    }

    /// One line for a person. `done` is `pushed to` or `received from`.
    pub fn text(&self, done: &str) -> String {
        let what = files_and_links(self.files, self.links);
        let mut text = format!("{what} {done} {}: {}", self.peer, bytes(self.bytes));
        text.push_str(&format!(" in {:.2} s", self.seconds));
        if self.bytes > 0 {
            let time = Duration::from_secs_f64(self.seconds.max(1e-6));
            text.push_str(&format!(", {}", rate_of(self.bytes, time)));
        }
        for (count, one, many) in [
            (self.existed, "existed already", "existed already"),
            (self.failed, "failed", "failed"),
            (self.skipped, "was skipped", "were skipped"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {}", plural(count, one, many)));
            }
        }
        text
    }

    /// Prints the result on standard output: as JSON, or as a line unless `--quiet` is given.
    pub fn print(&self, done: &str, how: Report) {
        match how {
            Report::Json => output::json_line(self),
            Report::Line if output::wants(Verbosity::Normal) => output::prose(&self.text(done)),
            Report::Line | Report::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counts_above_zero_are_mentioned() {
        let mut summary = Summary {
            files: 1,
            links: 2,
            skipped: 3,
            ..Summary::new("x", 0, Duration::ZERO)
        };
        assert_eq!(
            summary.text("pushed to"),
            "1 file and 2 links pushed to x: 0 B in 0.00 s; 3 were skipped"
        );
        let json = serde_json::to_value(&summary).unwrap();
        assert!(json["bytes_per_second"].is_null());
        summary = Summary::new("x", 5 << 20, Duration::from_millis(10));
        assert_eq!(
            summary.text("received from"),
            "0 files received from x: 5.00 MiB in 0.01 s, 4.19 Gb/s"
        );
    }
}
