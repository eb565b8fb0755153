//! Runs the commands that fix problems: only on request, and only commands that were printed.

use std::io::ErrorKind;
use std::time::Duration;

use super::finding::{Finding, Fix};
use super::program;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// The time limit of a command: a driver may load slowly.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(findings: &[Finding]) -> Result<(), Failure> {
    let commands: Vec<&Fix> = findings.iter().flat_map(|finding| &finding.fix).collect();
    if commands.is_empty() {
        output::note("there is nothing that a command can fix");
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
        output::error(&format!("failed: {command}{why}"));
        failed += 1;
    }
    match failed {
        0 => {
            output::note("done; the changes last until the next reboot; run `dcf-tb doctor` again to check them");
            Ok(())
        }
        _ => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of {} commands failed", commands.len()),
        )
        .advise("the commands need root: sudo dcf-tb doctor --fix")),
    }
}
