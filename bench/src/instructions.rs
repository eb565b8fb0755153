//! How many instructions a call takes.
//!
//! Instructions are counted by callgrind and not timed: no second host and no steady machine is
//! needed, and a change of a few instructions shows. Those of the kernel are not counted.

use std::path::Path;

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;
use crate::work::{work, Goal, Row, Work, LIBRARY};

/// Runs one of our programs under callgrind.
const COUNTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions");

/// Row, title, function, and what `instructions_dcf` is to do.
const CALLS: [[&str; 4]; 3] = [
    ["instructions-send", "dcf_tb_send", "dcf_tb_send", "send"],
    [
        "instructions-batch",
        "dcf_tb_send_batch, a message",
        "dcf_tb_send_batch",
        "batch",
    ],
    [
        "instructions-write",
        "dcf_tb_stream_write",
        "dcf_tb_stream_write",
        "write",
    ],
];

/// A work for each function.
pub fn works(programs: &Path) -> Vec<Work> {
    let program = programs.join("instructions_dcf");
    let one = |[id, title, function, what]: [&'static str; 4]| {
        let command = [COUNTER, function, &program.to_string_lossy()].map(str::to_owned);
        let arguments = [format!("what={what}"), "count=2048".to_owned()];
        let counter = Contestant {
            name: LIBRARY.to_owned(),
            kind: Kind::Library,
            note: "",
            far: Vec::new(),
            near: command.into_iter().chain(arguments).collect(),
        };
        let row = Row {
            id: id.to_owned(),
            title,
            figure: Figure::Instructions,
            goal: Goal::Shown,
        };
        work(
            id,
            format!("Instructions of {title}"),
            vec![counter],
            vec![row],
        )
    };
    CALLS.into_iter().map(one).collect()
}
