//! The number of instructions of a call.
//!
//! Callgrind counts instructions, so this needs no second host and no steady machine, and shows a change
//! of a few instructions. Instructions of the kernel are not counted.

use std::path::{Path, PathBuf};

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;
use crate::work::{limit, work, Goal, Row, Work, LIBRARY};

/// The script that runs a program under callgrind and counts in one of its functions.
const COUNTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions");

/// One count of a run of `instructions_dcf`.
struct Count {
    id: &'static str,
    title: &'static str,
    /// The function; `*` stands for what the compiler adds to a name.
    function: &'static str,
    /// The program's argument `what`.
    what: &'static str,
}

const COUNTS: [Count; 4] = [
    Count {
        id: "instructions-send",
        title: "dcf_tb_send",
        function: "dcf_tb_send",
        what: "send",
    },
    Count {
        id: "instructions-batch",
        title: "dcf_tb_send_batch, a message",
        function: "dcf_tb_send_batch",
        what: "batch",
    },
    Count {
        id: "instructions-receive",
        title: "received, to the callback",
        function: "*receiver*Receiver*process*",
        what: "receive",
    },
    Count {
        id: "instructions-write",
        title: "dcf_tb_stream_write, 4 KiB",
        function: "dcf_tb_stream_write",
        what: "write",
    },
];

/// A work for each.
pub fn works(programs: &Path) -> Vec<Work> {
    let counted = COUNTS.iter().map(|count| {
        counting(
            (count.id, count.title),
            in_c(programs, count.function, count.what),
            Goal::Shown,
        )
    });
    counted.chain([abi(programs)]).collect()
}

/// The instructions that the C ABI adds to the Rust call.
fn abi(programs: &Path) -> Work {
    let rust = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("dcf-bench"));
    let rust = rust.with_file_name("rust-send");
    let mut command = in_c(programs, "dcf_tb_send", "send");
    command.extend(["--", "*send_one*", &rust.to_string_lossy()].map(str::to_owned));
    let goal = limit(250.0, 100.0);
    counting(
        ("instructions-abi", "added by the C ABI to a send"),
        command,
        goal,
    )
}

fn in_c(programs: &Path, function: &str, what: &str) -> Vec<String> {
    let program = programs.join("instructions_dcf");
    vec![
        COUNTER.to_owned(),
        function.to_owned(),
        program.to_string_lossy().into_owned(),
        format!("what={what}"),
        "count=2048".to_owned(),
    ]
}

fn counting((id, title): (&'static str, &'static str), near: Vec<String>, goal: Goal) -> Work {
    let counter = Contestant {
        name: LIBRARY.to_owned(),
        kind: Kind::Library,
        note: "",
        far: Vec::new(),
        near,
    };
    let row = Row {
        id: id.to_owned(),
        title,
        figure: Figure::Instructions,
        goal,
    };
    let what = format!("Instructions of {title}");
    work(id, what, vec![counter], vec![row])
}
