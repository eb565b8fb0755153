//! Rows with little load: idle transports, and many peers with few messages.

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;
use crate::work::{limit, row, size, work, Builder, Goal, Work, LIBRARY};

/// Idle streams, an idle transport, many peers.
pub fn works(b: &Builder) -> Vec<Work> {
    let mut works = idleness(b);
    works.extend(scale(b));
    works
}

fn idleness(b: &Builder) -> Vec<Work> {
    let cpu = Figure::Cpu;
    let idle = Contestant::alone((Kind::Library, LIBRARY), b.programs, "idle_dcf", "");
    // Lower values are those of the program's own readings of the clock and of its threads.
    let no_cpu = limit(0.02, 0.02);
    vec![
        work(
            "idle-streams",
            "1,000 open streams on which nothing happens",
            vec![b.library("idle_streams_dcf", "streams=1000", "streams=1000")],
            vec![
                row(
                    "idle-streams",
                    "idle stream, memory",
                    Figure::MemoryPerStream,
                    limit(16.0, 4.0),
                ),
                row("idle-streams-cpu", "1,000 idle streams, CPU", cpu, no_cpu),
                row(
                    "idle-streams-wakeups",
                    "1,000 idle streams, wake-ups",
                    Figure::Wakeups,
                    limit(0.0, 0.0),
                ),
            ],
        ),
        work(
            "idle",
            "A transport on which nothing happens",
            vec![idle],
            vec![
                row(
                    "idle",
                    "idle transport, wake-ups",
                    Figure::Wakeups,
                    limit(0.0, 0.0),
                ),
                row("idle-cpu", "idle transport, CPU", cpu, no_cpu),
            ],
        ),
    ]
}

fn scale(b: &Builder) -> Vec<Work> {
    let scale = |id: &'static str, title, with: &str, titles: [&'static str; 3]| {
        let [cpu, cost, memory] = titles;
        let rows = vec![
            row(id, cpu, Figure::Cpu, Goal::Shown),
            row(
                format!("{id}-message"),
                cost,
                Figure::MessageCost,
                Goal::Shown,
            ),
            row(format!("{id}-memory"), memory, Figure::Memory, Goal::Shown),
        ];
        let contestants = vec![b.library("scale_dcf", with, with)];
        work(id, title, contestants, rows).lasting(b.length(size("seconds", 5, 2)))
    };
    let flow = b.library("messages_dcf", "size=64", "size=64 rate=100000");
    let flow = work(
        "scale-rate",
        "Messages of 64 bytes, 100,000 a second, for a minute (a few seconds in a quick run)",
        vec![flow],
        vec![
            row(
                "scale-rate",
                "100,000/s for a minute, loss",
                Figure::Loss,
                limit(0.0, 0.0),
            ),
            row(
                "scale-rate-cost",
                "the same, CPU a message got",
                Figure::ReceiveCost,
                Goal::Shown,
            ),
        ],
    );
    vec![
        scale(
            "scale-16",
            "A heartbeat a second to and from each of 16 peers",
            "peers=16",
            [
                "16 peers, CPU",
                "16 peers, CPU a message",
                "16 peers, memory",
            ],
        ),
        scale(
            "scale-128",
            "A heartbeat a second to and from each of 128 peers",
            "peers=128",
            [
                "128 peers, CPU",
                "128 peers, CPU a message",
                "128 peers, memory",
            ],
        ),
        scale(
            "scale-1000",
            "A heartbeat a second to and from each of 1,000 peers",
            "peers=1000",
            [
                "1,000 peers, CPU",
                "1,000 peers, CPU a message",
                "1,000 peers, memory",
            ],
        ),
        Work {
            settles: true,
            ..flow.lasting(b.length(size("duration_ms", 55_000, 3_000)))
        },
    ]
}
