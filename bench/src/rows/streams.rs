//! Data streams: bytes, files, and connecting.

use crate::figure::Figure;
use crate::work::{limit, ratio, row, size, work, Builder, Goal, Size, Work};

/// Streams, files, messages of plugins, connections.
pub fn works(b: &Builder) -> Vec<Work> {
    let mut works = transfers(b);
    works.extend(plugins(b));
    works.extend(connections(b));
    works
}

/// The bytes of the run that checks every byte, which is slow.
const CHECKED: Size = Size {
    name: "bytes",
    full: 1 << 30,
    quick: 1 << 28,
};

fn transfers(b: &Builder) -> Vec<Work> {
    let stream = |id, title: &str, name, with: &str, bytes: Size, rows| {
        let contestants = |more: &str| {
            let with = format!("{with} {more}");
            vec![
                b.library("stream_dcf", &with, &with),
                b.yardstick(name, "stream_c", &with, &with),
            ]
        };
        Work {
            checks: contestants(&format!("verify=1 {}", b.length(CHECKED))),
            ..work(id, title, contestants(""), rows).lasting(b.length(bytes))
        }
    };
    let (rate, cost) = (Figure::StreamRate, Figure::StreamCost);
    vec![
        stream(
            "stream",
            "One stream, pieces of 256 KiB",
            "C, write → read",
            "streams=1",
            size("bytes", 16 << 30, 4 << 30),
            vec![
                row(
                    "stream",
                    "stream, 256 KiB pieces",
                    rate,
                    ratio("C", 0.97, 1.0),
                ),
                row(
                    "stream-iperf3",
                    "the same against iperf3",
                    rate,
                    ratio("iperf3 -l 256K", 0.97, 1.0),
                ),
                row(
                    "stream-cpu",
                    "stream, CPU of the machine",
                    cost,
                    Goal::Shown,
                ),
            ],
        ),
        stream(
            "stream-4",
            "Four streams, pieces of 256 KiB",
            "C, write → read",
            "streams=4",
            size("bytes", 32 << 30, 8 << 30),
            vec![
                row("stream-4", "4 streams", rate, ratio("C", 0.97, 1.0)),
                row(
                    "stream-4-cpu",
                    "4 streams, CPU of the machine",
                    cost,
                    Goal::Shown,
                ),
            ],
        ),
        stream(
            "stream-1000",
            "A thousand streams, pieces of 256 KiB",
            "C, write → read",
            "streams=1000",
            size("bytes", 8 << 30, 2 << 30),
            vec![row("stream-1000", "1,000 streams", rate, Goal::Shown)],
        ),
        stream(
            "file",
            "A file to a file, both in memory",
            "C, sendfile → splice",
            "file=1",
            size("bytes", 4 << 30, 1 << 30),
            vec![
                row("file", "file to file", rate, ratio("C", 0.95, 1.0)),
                row(
                    "file-cpu",
                    "file, CPU of the machine",
                    cost,
                    ratio("C", 1.1, 1.0),
                ),
            ],
        ),
    ]
}

/// Large messages of a DCF plugin, compared with a stream of the same bytes. The stream's reader also
/// allocates memory for each message, because a plugin's host frees every message it receives.
fn plugins(b: &Builder) -> Vec<Work> {
    const STREAM: &str = "a stream, read whole";
    let messages = |id, title: &str, bytes: u32, name| {
        let contestants = |more: &str| {
            let message = format!("piece={bytes} {more}");
            let stream = format!("messages=1 {message}");
            vec![
                b.library("plugin_dcf", &message, &message),
                b.yardstick(STREAM, "stream_dcf", &stream, &stream),
            ]
        };
        Work {
            checks: contestants(&format!("verify=1 {}", b.length(CHECKED))),
            ..work(
                id,
                title,
                contestants(""),
                vec![row(id, name, Figure::StreamRate, ratio(STREAM, 0.7, 1.0))],
            )
            .lasting(b.length(size("bytes", 8 << 30, 2 << 30)))
        }
    };
    vec![
        messages(
            "plugin-1m",
            "Messages of 1 MiB between DCF plugins",
            1 << 20,
            "plugin, 1 MiB messages",
        ),
        messages(
            "plugin-64m",
            "Messages of 64 MiB between DCF plugins",
            64 << 20,
            "plugin, 64 MiB messages",
        ),
    ]
}

fn connections(b: &Builder) -> Vec<Work> {
    let both = |with: &str| {
        vec![
            b.library("connect_dcf", with, with),
            b.yardstick("C, connect, accept", "connect_c", with, with),
        ]
    };
    let echo = Figure::ConnectEcho;
    vec![
        work(
            "connect",
            "Connect, accept, 64 bytes there and back, close",
            both(""),
            vec![
                row(
                    "connect-p50",
                    "connect + echo, p50",
                    echo(50.0),
                    ratio("C", 1.3, 1.1),
                ),
                row(
                    "connect-p99",
                    "connect + echo, p99",
                    echo(99.0),
                    Goal::Shown,
                ),
            ],
        )
        .lasting(b.length(size("count", 800, 400))),
        work(
            "connect-burst",
            "1,000 connects begun at once, until each has echoed 64 bytes",
            both("burst=1 count=1000"),
            vec![
                // A lost SYN is sent again after a second.
                row(
                    "connect-burst",
                    "1,000 connects, slowest",
                    Figure::Slowest,
                    limit(900.0, 900.0),
                ),
                row(
                    "connect-burst-all",
                    "1,000 connects, all",
                    Figure::Burst,
                    Goal::Shown,
                ),
            ],
        ),
    ]
}
