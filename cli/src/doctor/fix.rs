//! Running what mends: only on demand, and nothing that was not shown before.

use std::process::Command;

use super::finding::Finding;
use crate::exit::{Exit, Failure};
use crate::output;

pub fn run(findings: &[Finding]) -> Result<(), Failure> {
    let commands: Vec<&String> = findings.iter().flat_map(|finding| &finding.fix).collect();
    if commands.is_empty() {
        output::note("nothing here is mended by a command");
        return Ok(());
    }
    let mut failed = 0;
    for command in &commands {
        output::line(&format!("# {command}"));
        let status = Command::new("sh").args(["-c", command.as_str()]).status();
        if !status.is_ok_and(|status| status.success()) {
            output::error(&format!("it failed: {command}"));
            failed += 1;
        }
    }
    match failed {
        0 => {
            output::note("done, until the next start of this machine; `dcf-tb doctor` looks again");
            Ok(())
        }
        _ => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of {} commands failed", commands.len()),
        )
        .advise("they need root: sudo dcf-tb doctor --fix")),
    }
}
