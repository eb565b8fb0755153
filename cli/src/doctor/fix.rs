//! Running what mends: only on demand, and nothing that was not shown before.

use std::io::ErrorKind;
use std::time::Duration;

use super::finding::{Finding, Fix};
use super::program;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// How long a command has: drivers take their time to be loaded.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(findings: &[Finding]) -> Result<(), Failure> {
    let commands: Vec<&Fix> = findings.iter().flat_map(|finding| &finding.fix).collect();
    if commands.is_empty() {
        output::note("nothing here is mended by a command");
        return Ok(());
    }
    let mut failed = 0;
    for command in &commands {
        output::line(&format!("# {command}"));
        let ended = program::run(&command.argv(), PATIENCE);
        let why = match ended {
            Ok(ended) => {
                let said = [&ended.output[..], &ended.complaint[..]];
                for line in said
                    .iter()
                    .flat_map(|said| said.split(|byte| *byte == b'\n'))
                {
                    if !line.is_empty() {
                        output::note(&output::harmless(line));
                    }
                }
                match ended.success {
                    true => continue,
                    false => String::new(),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => ": it is not installed".to_owned(),
            Err(error) => format!(": {error}"),
        };
        output::error(&format!("it failed: {command}{why}"));
        failed += 1;
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
