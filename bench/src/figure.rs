//! Figures: the quantities that rows compare, and their computation from the results of a run.

use serde::Serialize;

use crate::results::Results;
use crate::statistics::{percentile, sorted};

/// The output of both roles of one run.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Host a's program, which did the work.
    pub near: Results,
    /// Host b's.
    pub far: Results,
}

impl Output {
    /// Parses the output of both.
    pub fn parse(near: &str, far: &str) -> Result<Self, String> {
        Ok(Self {
            near: Results::parse(near).map_err(|error| format!("host a: {error}"))?,
            far: Results::parse(far).map_err(|error| format!("host b: {error}"))?,
        })
    }

    /// Why this run counts as a failure although both programs succeeded: data was altered, or lost where
    /// no loss is permitted.
    pub fn complaint(&self) -> Option<String> {
        for (host, results) in [("a", &self.near), ("b", &self.far)] {
            for (name, what) in [
                ("bad", "damaged messages or bytes"),
                ("lost", "lost without need"),
            ] {
                if let Some(count) = results.number(name).filter(|&count| count > 0.0) {
                    return Some(format!("{name} {count} on host {host}: {what}"));
                }
            }
        }
        let both = |sent, arrived| Some((self.near.number(sent)?, self.far.number(arrived)?));
        if let Some((sent, arrived)) = both("bytes", "bytes").filter(|(one, two)| one != two) {
            return Some(format!("{arrived} of {sent} bytes arrived"));
        }
        // If messages go both ways, the two counts differ.
        let one_way = self.near.number("messages").is_none();
        let (sent, arrived) = both("sent", "messages").filter(|(one, two)| one_way && two > one)?;
        Some(format!("{sent} messages were sent, and {arrived} arrived"))
    }
}

/// Whether lower or higher figures are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Lower is better.
    Lower,
    /// Higher is better.
    Higher,
}

/// A quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// A percentile of the round trips.
    RoundTrip(f64),
    /// A percentile of connect, echo and close.
    ConnectEcho(f64),
    /// Messages that arrived, per second.
    MessageRate,
    /// The share of the messages sent that did not arrive.
    Loss,
    /// Bytes of streams per second.
    StreamRate,
    /// Processor time of the whole machine for the bytes moved.
    StreamCost,
    /// The time until all connections of a burst have echoed.
    Burst,
    /// The slowest connection of a burst.
    Slowest,
    /// Memory of one open stream, on the host where it is more.
    MemoryPerStream,
    /// Processor time of an observed process, on the host where it uses more.
    Cpu,
    /// Wake-ups of an idle process, on the host where there are more.
    Wakeups,
    /// Processor time of host a's process for each message that it sends or receives.
    MessageCost,
    /// Processor time of host b's process for each message that it receives.
    ReceiveCost,
    /// Memory of a transport, or of a process that has one.
    Memory,
    /// Instructions of a call, without those of the kernel.
    Instructions,
}

/// How long a process was observed, if its output does not say.
const ONE_SECOND_NS: f64 = 1e9;

impl Figure {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::RoundTrip(_) | Self::ConnectEcho(_) | Self::MessageCost | Self::ReceiveCost => {
                "µs"
            }
            Self::MessageRate => "M/s",
            Self::Loss | Self::Cpu => "%",
            Self::StreamRate => "GB/s",
            Self::StreamCost => "s/GB",
            Self::Burst | Self::Slowest => "ms",
            Self::MemoryPerStream => "KiB",
            Self::Memory => "MiB",
            Self::Wakeups => "/s",
            Self::Instructions => "instr.",
        }
    }

    /// Whether lower or higher is better.
    pub fn better(self) -> Better {
        match self {
            Self::MessageRate | Self::StreamRate => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether it is counted rather than timed, and so does not depend on changes of the machine.
    pub fn is_count(self) -> bool {
        matches!(
            self,
            Self::MemoryPerStream | Self::Memory | Self::Wakeups | Self::Instructions
        )
    }

    /// The name of the line whose numbers it is a percentile of.
    pub fn distribution(self) -> Option<&'static str> {
        match self {
            Self::RoundTrip(_) => Some("rtt_ns"),
            Self::ConnectEcho(_) => Some("connect_echo_ns"),
            _ => None,
        }
    }

    /// Its value in its unit; `None` if the run printed too little for it.
    pub fn of(self, output: &Output) -> Option<f64> {
        let Output { near, far } = output;
        let worse = |figure: fn(&Results) -> Option<f64>| {
            let both: Vec<f64> = [near, far].into_iter().filter_map(figure).collect();
            both.into_iter().reduce(f64::max)
        };
        let value = match self {
            Self::RoundTrip(percent) | Self::ConnectEcho(percent) => {
                let times = near.numbers(self.distribution()?).iter().copied();
                let time = percentile(&sorted(times), percent);
                time.or_else(|| told(near, percent))? / 1e3
            }
            // With some tools the receiver reports to the sender, which prints everything on host a.
            Self::MessageRate => {
                let receiver = if far.number("messages").is_some() {
                    far
                } else {
                    near
                };
                receiver.number("messages")? / receiver.number("elapsed_ns")? * 1e3
            }
            Self::Loss => {
                let sent = near.number("sent")?;
                let arrived = far.number("messages").or(near.number("messages"))?;
                (sent - arrived) / sent * 100.0
            }
            Self::StreamRate => near.number("bytes")? / near.number("elapsed_ns")?,
            Self::StreamCost => near.number("machine_busy_ns")? / near.number("bytes")?,
            Self::Burst => near.number("burst_ns")? / 1e6,
            Self::Slowest => near.number("slowest_ns")? / 1e6,
            Self::MemoryPerStream => {
                worse(|side| Some(side.number("memory_per_stream")? / 1024.0))?
            }
            Self::Cpu => worse(|side| Some(side.number("cpu_ns")? / look_ns(side) * 100.0))?,
            Self::Wakeups => worse(|side| Some(side.number("wakeups")? / look_ns(side) * 1e9))?,
            Self::MessageCost => {
                let messages = near.number("sent")? + near.number("messages")?;
                near.number("cpu_ns")? / messages / 1e3
            }
            Self::ReceiveCost => far.number("cpu_ns")? / far.number("messages")? / 1e3,
            Self::Memory => near.number("memory")? / 1024.0 / 1024.0,
            Self::Instructions => near.number("instructions_per_call")?,
        };
        value.is_finite().then_some(value)
    }
}

/// A percentile that a tool printed; its mean is used for the median.
fn told(near: &Results, percent: f64) -> Option<f64> {
    let mean = || near.number("mean_ns").filter(|_| percent == 50.0);
    near.number(&format!("p{percent}_ns")).or_else(mean)
}

fn look_ns(side: &Results) -> f64 {
    let told = side.number("look_ns").or(side.number("elapsed_ns"));
    told.unwrap_or(ONE_SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::{Figure, Output};

    fn output(near: &str, far: &str) -> Output {
        Output::parse(near, far).expect("results")
    }

    #[test]
    fn figures_have_their_unit() {
        let trips = output("lost 0\nrtt_ns 4000 1000 3000 2000", "");
        assert_eq!(Figure::RoundTrip(50.0).of(&trips), Some(2.0));
        assert_eq!(Figure::RoundTrip(99.0).of(&trips), Some(4.0));
        let told = output("p99_ns 9000\nmean_ns 3000", "");
        assert_eq!(Figure::RoundTrip(99.0).of(&told), Some(9.0));
        assert_eq!(Figure::RoundTrip(50.0).of(&told), Some(3.0));
        let messages = output(
            "sent 2000\nsend_ns 9",
            "messages 1500\nbad 0\nelapsed_ns 1000000",
        );
        assert_eq!(Figure::MessageRate.of(&messages), Some(1.5));
        assert_eq!(Figure::Loss.of(&messages), Some(25.0));
        let stream = output("bytes 8000\nelapsed_ns 4000\nmachine_busy_ns 800", "");
        assert_eq!(Figure::StreamRate.of(&stream), Some(2.0));
        assert_eq!(Figure::StreamCost.of(&stream), Some(0.1));
    }

    #[test]
    fn of_two_hosts_the_worse_one_counts() {
        let idle = output(
            "wakeups 0\ncpu_ns 0\nmemory_per_stream 2048",
            "wakeups 4\nlook_ns 2000000000\nmemory_per_stream 4096",
        );
        assert_eq!(Figure::Wakeups.of(&idle), Some(2.0));
        assert_eq!(Figure::Cpu.of(&idle), Some(0.0));
        assert_eq!(Figure::MemoryPerStream.of(&idle), Some(4.0));
    }

    #[test]
    fn what_was_not_printed_has_no_figure() {
        let nothing = Output::default();
        assert_eq!(Figure::RoundTrip(50.0).of(&nothing), None);
        assert_eq!(Figure::Loss.of(&nothing), None);
        assert_eq!(Figure::Wakeups.of(&nothing), None);
        let still = output("", "messages 1\nelapsed_ns 0");
        assert_eq!(Figure::MessageRate.of(&still), None, "no time passed");
    }

    #[test]
    fn damage_and_loss_are_complaints() {
        assert_eq!(output("sent 5", "messages 4\nbad 0").complaint(), None);
        let damaged = output("sent 5", "messages 5\nbad 2").complaint();
        assert!(damaged.is_some_and(|text| text.contains("bad 2 on host b")));
        let lost = output("lost 1\nrtt_ns 5", "").complaint();
        assert!(lost.is_some_and(|text| text.contains("lost 1 on host a")));
        let twice = output("sent 5", "messages 6").complaint();
        assert!(twice.is_some_and(|text| text.contains("6 arrived")));
        assert_eq!(output("sent 5\nmessages 5", "messages 6").complaint(), None);
        let short = output("bytes 10", "bytes 9").complaint();
        assert!(short.is_some_and(|text| text.contains("9 of 10")));
    }
}
