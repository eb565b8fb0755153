//! Other tools and libraries for the same work: see `bench/peers`.

use std::env;
use std::path::Path;

/// Another contestant of the rows whose id begins with `row`.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// Its work.
    pub row: &'static str,
    /// Host b's command.
    pub far: Vec<String>,
    /// Host a's command; `{peer}` stands for host b's address.
    pub near: Vec<String>,
    /// A note for readers of its figures.
    pub note: &'static str,
}

/// The adaptor that runs command line tools by the benchmark's protocol.
const ADAPTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer");

/// The works of peers: program, name, row, arguments, note. A program is a command of the system, run by
/// the adaptor, or, with `/`, a program of the benchmark for another library, built where that library is
/// installed. The row `messages` stands for one row per size.
type Work = [&'static str; 5];

#[rustfmt::skip] // a table
const WORK: &[Work] = &[
    ["sockperf", "sockperf", "rtt-default", "work=rtt", "IPv4"],
    ["sockperf", "sockperf", "rtt-busy", "work=rtt mode=spin", "IPv4"],
    ["sockperf", "sockperf", "messages", "work=messages", "IPv4"],
    ["qperf", "qperf", "rtt-default", "work=rtt", "gives a mean, no percentiles"],
    ["qperf", "qperf", "messages", "work=messages", ""],
    ["qperf", "qperf", "stream", "work=stream piece=262144", "the system's congestion control"],
    ["iperf3", "iperf3", "messages", "work=messages", ""],
    ["iperf3", "iperf3", "stream", "work=stream", "pieces of 128 KiB, its default"],
    ["iperf3", "iperf3 -l 256K", "stream", "work=stream piece=262144", ""],
    ["iperf3", "iperf3 -l 256K", "stream-4", "work=stream piece=262144 streams=4",
        "one thread a side for all four"],
    ["ucx_perftest", "UCX", "rtt-busy", "work=rtt", "TCP over IPv4"],
    ["ucx_perftest", "UCX", "messages", "work=messages",
        "TCP over IPv4: nothing is lost; both sides spin"],
    ["ucx_perftest", "UCX", "stream", "work=stream piece=262144",
        "IPv4; both sides spin; the system's congestion control"],
    ["fi_pingpong", "libfabric udp", "rtt-busy", "work=rtt mode=udp",
        "IPv4; gives a mean, no percentiles"],
    ["fi_pingpong", "libfabric tcp", "rtt-busy", "work=rtt mode=tcp",
        "TCP over IPv4; gives a mean, no percentiles"],
    ["/zeromq", "ZeroMQ", "rtt-default", "work=rtt", "TCP, through threads of its own"],
    ["/zeromq", "ZeroMQ", "connect", "work=connect", "a socket of its own kind, its handshake"],
    ["/zeromq", "ZeroMQ", "messages", "work=messages",
        "TCP: nothing is lost, and many messages go in one write"],
    ["/zeromq", "ZeroMQ", "stream", "work=stream",
        "messages of 256 KiB; the system's congestion control"],
    ["/zeromq", "ZeroMQ", "stream-4", "work=stream streams=4",
        "messages of 256 KiB; the system's congestion control"],
    ["/nng", "nng", "rtt-default", "work=rtt", "TCP, through threads of its own"],
    ["/nng", "nng", "connect", "work=connect", "a socket of its own kind, its handshake"],
    ["/nng", "nng", "messages", "work=messages", "TCP: nothing is lost"],
    ["/nng", "nng", "stream", "work=stream",
        "messages of 256 KiB; the system's congestion control"],
    ["/nng", "nng", "stream-4", "work=stream streams=4",
        "messages of 256 KiB; the system's congestion control"],
];

const MESSAGES: [(&str, &str); 3] = [
    ("messages-64", "size=64"),
    ("messages-1k", "size=1024"),
    ("messages-8k", "size=8192"),
];

/// The peers whose programs exist. Programs of the benchmark are in `bench_dir`.
pub fn installed(bench_dir: &Path) -> Vec<Peer> {
    let present = |[program, ..]: &&Work| match program.strip_prefix('/') {
        Some(ours) => bench_dir.join(ours).is_file(),
        None => in_path(program) && (*program != "iperf3" || in_path("jq")),
    };
    let work = WORK.iter().filter(present);
    work.flat_map(|work| peers(work, bench_dir)).collect()
}

fn peers(&[program, name, row, arguments, note]: &Work, bench_dir: &Path) -> Vec<Peer> {
    let (program, tool) = match program.strip_prefix('/') {
        Some(ours) => (bench_dir.join(ours).to_string_lossy().into_owned(), None),
        None => (ADAPTOR.to_owned(), Some(format!("tool={program}"))),
    };
    let peer = |row, size: &str| {
        let command = |first: &[&str]| {
            let told = arguments.split(' ').chain(size.split_terminator(' '));
            let words = first.iter().copied().chain(tool.as_deref()).chain(told);
            let command = [program.as_str()].into_iter().chain(words);
            command.map(str::to_owned).collect()
        };
        Peer {
            name,
            row,
            far: command(&["far"]),
            near: command(&["near", "peer={peer}"]),
            note,
        }
    };
    match row {
        "messages" => MESSAGES.map(|(row, size)| peer(row, size)).to_vec(),
        _ => vec![peer(row, "")],
    }
}

fn in_path(command: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(command).is_file())
}

#[cfg(test)]
mod tests {
    use super::{installed, peers, ADAPTOR, WORK};
    use std::collections::BTreeSet;
    use std::path::Path;

    const ROWS: [&str; 12] = [
        "rtt-default",
        "rtt-busy",
        "rtt-load",
        "messages-64",
        "messages-1k",
        "messages-8k",
        "batch-64",
        "batch-1k",
        "batch-8k",
        "stream",
        "stream-4",
        "connect",
    ];

    #[test]
    fn names_rows_and_commands_are_well_formed() {
        let mut seen = BTreeSet::new();
        let all = WORK.iter().flat_map(|work| peers(work, Path::new("there")));
        for peer in all {
            assert!(!peer.name.is_empty() && peer.name.trim() == peer.name);
            assert!(ROWS.contains(&peer.row), "{}", peer.row);
            assert!(
                seen.insert((peer.name, peer.row)),
                "{} is twice in {}",
                peer.name,
                peer.row
            );
            assert_eq!(peer.far[1], "far");
            assert_eq!(peer.near[1..3], ["near", "peer={peer}"]);
            assert_eq!(peer.far[0], peer.near[0]);
            assert_eq!(peer.far[2..], peer.near[3..], "both are told the same");
            assert!(peer.far[2..].iter().all(|argument| argument.contains('=')));
        }
    }

    #[test]
    fn only_what_is_there_takes_part() {
        assert!(Path::new(ADAPTOR).is_file());
        let without_ours = installed(Path::new("/nonexistent"));
        assert!(without_ours.iter().all(|peer| peer.far[0] == ADAPTOR));
    }
}
