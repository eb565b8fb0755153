//! Round trips.

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;
use crate::work::{ratio, row, size, work, Builder, Goal, Work};

/// Round trips in several situations.
pub fn works(b: &Builder) -> Vec<Work> {
    let trip = |id: &'static str,
                title,
                (count, contestants): ((u64, u64), Vec<Contestant>),
                titles: [&'static str; 2],
                goals: [Goal; 2]| {
        let rows = vec![
            row(
                format!("{id}-p50"),
                titles[0],
                Figure::RoundTrip(50.0),
                goals[0],
            ),
            row(
                format!("{id}-p99"),
                titles[1],
                Figure::RoundTrip(99.0),
                goals[1],
            ),
        ];
        let length = b.length(size("count", count.0, count.1));
        work(id, title, contestants, rows).lasting(length)
    };
    let blocking = |near: &str| {
        vec![
            b.library("rtt_dcf", "", near),
            b.yardstick(
                "C, blocking",
                "rtt_c",
                "mode=block",
                &format!("mode=block {near}"),
            ),
        ]
    };
    let spinning = vec![
        b.library("rtt_dcf", "busy_poll_us=1000", "busy_poll_us=1000"),
        b.yardstick("C, spinning", "rtt_c", "mode=spin", "mode=spin"),
        // It answers only one peer, which no library can do.
        b.ours(
            Kind::Other,
            "C, spinning, answerer connected",
            "rtt_c",
            "mode=spin connected=1",
            "mode=spin",
        ),
    ];
    let loaded = vec![
        b.library("rtt_dcf", "load=1", "load=1"),
        b.yardstick(
            "C, blocking",
            "rtt_c",
            "mode=block load=1",
            "mode=block load=1",
        ),
    ];
    vec![
        trip(
            "rtt-default",
            "Round trips of 16 bytes, default settings",
            ((20_000, 10_000), blocking("")),
            ["RTT p50, default", "RTT p99, default"],
            [ratio("C", 0.9, 0.7), ratio("C", 1.25, 1.1)],
        ),
        trip(
            "rtt-busy",
            "Round trips of 16 bytes, both sides spin",
            ((100_000, 20_000), spinning),
            ["RTT p50, busy polling", "RTT p99, busy polling"],
            [ratio("C", 1.15, 1.05), ratio("C", 1.25, 1.1)],
        ),
        trip(
            "rtt-load",
            "Round trips of 16 bytes while a stream saturates the link",
            ((10_000, 2_000), loaded),
            ["RTT p50, saturated link", "RTT p99, saturated link"],
            [ratio("C", 1.1, 1.0); 2],
        ),
        trip(
            "rtt-1ms",
            "Round trips of 16 bytes, 1 ms apart, default settings",
            ((1_000, 200), blocking("interval_us=1000")),
            ["RTT p50, every 1 ms", "RTT p99, every 1 ms"],
            [Goal::Shown; 2],
        ),
        trip(
            "rtt-10ms",
            "Round trips of 16 bytes, 10 ms apart, default settings",
            ((150, 30), blocking("interval_us=10000")),
            ["RTT p50, every 10 ms", "RTT p99, every 10 ms"],
            [Goal::Shown; 2],
        ),
    ]
}
