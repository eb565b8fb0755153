//! Percentiles of times, and their histogram in the terminal.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units::{count, in_microseconds, microseconds, rounded};

/// Any number of times in bounded memory, with a precision of 0.1 %.
pub struct Times {
    histogram: Histogram<u64>,
    total: f64,
    squares: f64,
}

/// Statistics in microseconds. Without times, only their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    pub count: u64,
    pub min_us: Option<f64>,
    pub mean_us: Option<f64>,
    pub deviation_us: Option<f64>,
    pub p50_us: Option<f64>,
    pub p90_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub max_us: Option<f64>,
}

/// A range of times, and how many are in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    pub from_us: f64,
    pub to_us: f64,
    pub count: u64,
}

/// The number of bins for programs and pages.
pub const BINS: usize = 200;
/// The most lines of a histogram in the terminal.
const LINES: usize = 16;
/// The longest bar, in characters.
const WIDTH: usize = 40;

impl Times {
    pub fn new() -> Self {
        Self {
            // `Histogram::new` accepts up to five digits.
            histogram: Histogram::new(3).expect("three digits are allowed"),
            total: 0.0,
            squares: 0.0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    pub fn add(&mut self, time: Duration) {
        // A histogram made by `new` resizes itself.
        let _ = self.histogram.record(time.as_nanos() as u64);
        let us = microseconds(time);
        self.total += us;
        self.squares += us * us;
    }

    pub fn summary(&self) -> Summary {
        let count = self.histogram.len();
        if count == 0 {
            return Summary::default();
        }
        let at = |quantile| Some(self.histogram.value_at_quantile(quantile) as f64 / 1e3);
        let mean = self.total / count as f64;
        let deviation = (self.squares / count as f64 - mean * mean).max(0.0).sqrt();
        Summary {
            count,
            min_us: Some(self.histogram.min() as f64 / 1e3),
            mean_us: Some(rounded(mean)),
            deviation_us: Some(rounded(deviation)),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: Some(self.histogram.max() as f64 / 1e3),
        }
    }

    /// At most `most` bins, whose width grows with the time, so that both frequent and rare times are visible.
    pub fn bins(&self, most: usize) -> Vec<Bin> {
        if self.histogram.is_empty() {
            return Vec::new();
        }
        let low = (self.histogram.min() as f64).max(1.0);
        let high = (self.histogram.max() as f64).max(low);
        let factor = [1.02_f64, 1.05, 1.1, 1.2, 1.5, 2.0, 4.0, 10.0, 100.0]
            .into_iter()
            .find(|factor| (high / low).ln() / factor.ln() < (most - 1) as f64)
            .unwrap_or(1000.0);
        let mut bins: Vec<Bin> = Vec::new();
        let mut from = low;
        while from <= high {
            let to = from * factor;
            bins.push(Bin {
                from_us: rounded(from / 1e3),
                to_us: rounded(to / 1e3),
                count: 0,
            });
            from = to;
        }
        for value in self.histogram.iter_recorded() {
            let at = (value.value_iterated_to() as f64).clamp(low, high);
            let index = ((at / low).ln() / factor.ln()) as usize;
            let last = bins.len() - 1;
            bins[index.min(last)].count += value.count_at_value();
        }
        bins
    }

    /// The bins as bars, one per line, in at most so many columns.
    pub fn drawn(&self, columns: usize) -> Vec<String> {
        let bins = self.bins(LINES);
        let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
        let label = |us: f64| in_microseconds(Duration::from_nanos((us * 1e3) as u64));
        let longest = bins.iter().map(|bin| label(bin.to_us).chars().count());
        let wide = longest.max().unwrap_or_default();
        // The labels, the count, and what is between them.
        let width = columns.saturating_sub(2 * wide + 15).min(WIDTH);
        let draw = |bin: &Bin| {
            format!(
                "{:>wide$} – {:<wide$} {:>9}  {}",
                label(bin.from_us),
                label(bin.to_us),
                count(bin.count),
                bar(bin.count as f64 / most as f64, width)
            )
        };
        bins.iter()
            .map(|bin| draw(bin).trim_end().to_owned())
            .collect()
    }
}

/// A bar in eighths of a character. A share above zero is at least one eighth.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (width * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

impl Summary {
    /// Two lines in the style of ping(8), if there are times.
    pub fn lines(&self) -> Option<[String; 2]> {
        Some([
            format!(
                "rtt min/avg/max/mdev = {:.1}/{:.1}/{:.1}/{:.1} µs",
                self.min_us?, self.mean_us?, self.max_us?, self.deviation_us?
            ),
            format!(
                "rtt p50/p90/p99/p99.9 = {:.1}/{:.1}/{:.1}/{:.1} µs",
                self.p50_us?, self.p90_us?, self.p99_us?, self.p999_us?
            ),
        ])
    }

    /// One line, if there are times.
    pub fn line(&self) -> Option<String> {
        Some(format!(
            "p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1} µs",
            self.p50_us?, self.p90_us?, self.p99_us?, self.p999_us?, self.max_us?
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(us: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::new();
        us.into_iter()
            .for_each(|us| times.add(Duration::from_micros(us)));
        times
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let summary = times(1..=1000).summary();
        let near = |value: Option<f64>, wanted: f64| (value.unwrap() / wanted - 1.0).abs() < 0.002;
        assert!(near(summary.p50_us, 500.0) && near(summary.p99_us, 990.0));
        assert!(near(summary.min_us, 1.0) && near(summary.max_us, 1000.0));
        assert!(near(summary.mean_us, 500.5) && near(summary.deviation_us, 288.7));
        let none = serde_json::to_value(Times::new().summary()).unwrap();
        let none = none.as_object().unwrap();
        assert_eq!(none["count"], 0);
        let others = none.iter().filter(|(name, _)| *name != "count");
        assert!(others.clone().count() == 8 && others.clone().all(|(_, value)| value.is_null()));
        assert_eq!(Times::new().summary().lines(), None);
    }

    #[test]
    fn every_time_lies_in_a_bin() {
        for values in [vec![5], vec![1, 1_000_000], (1..500).collect()] {
            let total = values.len() as u64;
            let bins = times(values).bins(LINES);
            assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), total);
            assert!(bins.len() <= LINES, "{}", bins.len());
        }
        assert!(Times::new().bins(LINES).is_empty());
        assert!(Times::new().drawn(80).is_empty());
    }

    #[test]
    fn bars_show_the_share() {
        assert_eq!(bar(1.0, WIDTH).chars().count(), WIDTH);
        assert_eq!(bar(0.5, WIDTH).chars().count(), WIDTH / 2);
        assert_eq!(bar(0.0, WIDTH), "");
        assert_eq!(bar(1e-9, WIDTH), "▏");
    }
}
