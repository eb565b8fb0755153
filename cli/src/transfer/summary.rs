//! The last line about a push, on either side.

use std::time::Duration;

use crate::units::{bytes, files_and_links, plural, rate_of};

pub struct Summary<'a> {
    pub files: u64,
    pub links: u64,
    /// `pushed to` or `received from`, with the peer.
    pub done: &'a str,
    pub bytes: u64,
    pub time: Duration,
    /// Further counts, each with its words for one and for several. Zeros are left out.
    pub more: &'a [(u64, &'a str, &'a str)],
}

impl Summary<'_> {
    pub fn text(&self) -> String {
        let time = self.time.max(Duration::from_nanos(1));
        let mut text = format!(
            "{} {}: {} in {:.2} s, {}",
            files_and_links(self.files, self.links),
            self.done,
            bytes(self.bytes),
            time.as_secs_f64(),
            rate_of(self.bytes, time)
        );
        for (count, one, many) in self.more.iter().filter(|(count, ..)| *count > 0) {
            text.push_str(&format!("; {}", plural(*count, one, many)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counts_above_zero_are_mentioned() {
        let summary = Summary {
            files: 1,
            links: 2,
            done: "pushed to x",
            bytes: 0,
            time: Duration::ZERO,
            more: &[(0, "failed", "failed"), (3, "was skipped", "were skipped")],
        };
        assert_eq!(
            summary.text(),
            "1 file and 2 links pushed to x: 0 B in 0.00 s, 0.00 GB/s (0.0 Gb/s); 3 were skipped"
        );
    }
}
