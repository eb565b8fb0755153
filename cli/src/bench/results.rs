//! The results and their formats.

use serde::Serialize;

use super::latency::Latency;
use super::machine::Machine;
use super::messages::Messages;
use super::throughput::Throughput;
use crate::output;
use crate::units::{count, rate};

/// The columns of the widest usual row.
const NARROW: usize = 80;

#[derive(Serialize)]
pub struct Results {
    pub peer: String,
    pub interface: String,
    #[serde(flatten)]
    pub machine: Machine,
    /// The trained rate of the cable, in Gb/s one way.
    pub trained_gbps: Option<f64>,
    /// The duration of each measurement.
    pub seconds: f64,
    pub round_trips: Latency,
    pub round_trips_under_load: Latency,
    pub messages: Messages,
    pub streams: Vec<Throughput>,
}

impl Results {
    pub fn is_right(&self) -> bool {
        self.streams.iter().all(|stream| stream.right)
    }

    pub fn title(&self) -> String {
        let trained = match self.trained_gbps {
            Some(rate) => format!("trained to {rate:.0} Gb/s each way"),
            None => "trained rate unknown".to_owned(),
        };
        format!("{} over {}, {trained}", self.peer, self.interface)
    }

    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![
            ("round trip".to_owned(), latency(&self.round_trips)),
            (
                "  under load".to_owned(),
                latency(&self.round_trips_under_load),
            ),
            ("messages".to_owned(), self.messages()),
        ];
        rows.extend(self.streams.iter().map(|stream| {
            let name = match (stream.name, stream.streams) {
                ("several out", number) => format!("{number} streams out"),
                (name, 1) => format!("stream {name}"),
                (name, _) => format!("streams {name}"),
            };
            (name, self.stream(stream))
        }));
        rows
    }

    pub fn lines(&self) -> Vec<String> {
        let rows = self.rows().into_iter();
        // In a narrow terminal a value has a line of its own.
        let is_narrow = output::columns().is_some_and(|columns| columns < NARROW);
        let row = |(name, value): (String, String)| match is_narrow {
            true => format!("{name}\n    {value}"),
            false => format!("{name:<18} {value}"),
        };
        let lines: Vec<String> = std::iter::once(self.title()).chain(rows.map(row)).collect();
        let lines = lines.iter().flat_map(|lines| lines.split('\n'));
        lines.map(str::to_owned).collect()
    }

    fn messages(&self) -> String {
        let messages = &self.messages;
        let (Some(received), Some(sent)) = (messages.received_per_second, messages.sent_per_second)
        else {
            return "no message was sent".to_owned();
        };
        let lost = (messages.sent - messages.received) as f64 / messages.sent.max(1) as f64;
        format!(
            "{} per second of {} bytes received, {} sent: {:.2} % lost",
            count(received as u64),
            messages.size,
            count(sent as u64),
            lost * 100.0
        )
    }

    fn stream(&self, stream: &Throughput) -> String {
        let mut text = rate(stream.bytes_per_second);
        // The trained rate applies to each direction.
        let ways = if stream.name == "both ways" { 2.0 } else { 1.0 };
        if let Some(trained) = self.trained_gbps {
            let share = stream.bytes_per_second * 8.0 / 1e9 / trained / ways;
            text.push_str(&format!(", {:.0} % of the trained rate", share * 100.0));
        }
        if !stream.right {
            text.push_str(", DAMAGED");
        }
        text
    }
}

fn latency(latency: &Latency) -> String {
    let mut text = latency
        .times
        .line()
        .unwrap_or_else(|| "no answer".to_owned());
    if latency.lost > 0 {
        text.push_str(&format!(", {} lost", count(latency.lost)));
    }
    text
}
