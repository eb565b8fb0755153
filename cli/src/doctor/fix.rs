//! Runs the commands that fix problems: only on request, only commands that were printed, and after a question. Then
//! the checks are made again, because the exit status of a command is no proof.

use std::io::{self, ErrorKind, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::{Finding, Fix, Verdict};
use super::program;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::units::plural;

/// The time limit of a command: a driver may load slowly.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a change may take to show: an address is checked for duplicates for a second or two.
const SHOWING: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(250);

/// Fails if there is no terminal to ask on.
pub fn check_terminal(yes: bool) -> Result<(), Failure> {
    if yes || io::stdin().is_terminal() {
        return Ok(());
    }
    let text = "--fix asks before each change, and standard input is not a terminal";
    Err(Failure::new(Exit::Usage, text)
        .advise("use --fix --yes to make all changes without a question"))
}

/// Fixes the findings, and returns those of a new examination. With `yes`, does not ask.
pub fn run(
    findings: Vec<Finding>,
    yes: bool,
    examine: impl Fn() -> Vec<Finding>,
) -> Result<Vec<Finding>, Failure> {
    let (mut changed, mut failed) = (Vec::new(), 0);
    for finding in findings
        .iter()
        .filter(|finding| finding.is_fixed_by_command())
    {
        output::line("");
        output::prose(&format!("{}: {}", finding.check, finding.reason));
        for command in &finding.fix {
            output::line(&format!("    {command}"));
        }
        if !yes && !output::confirms("run this?") {
            output::line("not changed");
            continue;
        }
        failed += finding.fix.iter().filter(|command| !ran(command)).count();
        changed.push(finding);
    }
    if changed.is_empty() {
        if !findings.iter().any(Finding::is_fixed_by_command) {
            output::note("there is nothing that --fix can fix");
        }
        return Ok(findings);
    }
    let now = look_again(&changed, examine);
    output::line("");
    let mut same = 0;
    for before in &changed {
        let (words, is_better) = outcome(before, &now);
        output::prose(&words);
        same += u64::from(!is_better);
    }
    if failed > 0 || same > 0 {
        let text = format!("{} had no effect", plural(same.max(1), "change", "changes"));
        return Err(Failure::new(super::finding::exit(&now), text)
            .advise("the commands need root: sudo dcf-tb doctor --fix"));
    }
    output::note("the changes last until the next reboot");
    Ok(now)
}

/// Examines until each change shows, or for a few seconds.
fn look_again(changed: &[&Finding], examine: impl Fn() -> Vec<Finding>) -> Vec<Finding> {
    let begin = Instant::now();
    loop {
        let now = examine();
        let shows = changed.iter().all(|before| outcome(before, &now).1);
        if shows || begin.elapsed() >= SHOWING {
            return now;
        }
        thread::sleep(AGAIN);
    }
}

/// Describes what became of a finding, and whether it is better.
fn outcome(before: &Finding, now: &[Finding]) -> (String, bool) {
    let check = before.check;
    let after = now.iter().find(|finding| finding.check == check);
    match after {
        Some(after) if after.verdict <= Verdict::Note => {
            (format!("fixed: {check}: {}", after.reason), true)
        }
        Some(after) if after.verdict < before.verdict => {
            (format!("better: {check}: {}", after.reason), true)
        }
        Some(after) => (format!("NOT fixed: {check}: {}", after.reason), false),
        None => (format!("NOT fixed: {check} is no longer checked"), false),
    }
}

/// Runs a command and prints what it says. Returns whether it ended well.
fn ran(command: &Fix) -> bool {
    let why = match program::run(&command.argv(), PATIENCE) {
        Ok(ended) => {
            let said = [&ended.output[..], &ended.complaint[..]];
            let lines = said
                .iter()
                .flat_map(|said| said.split(|byte| *byte == b'\n'));
            for line in lines.filter(|line| !line.is_empty()) {
                output::note(&output::harmless(line));
            }
            match ended.success {
                true => return true,
                false => String::new(),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => ": it is not installed".to_owned(),
        Err(error) => format!(": {error}"),
    };
    output::error(&format!("failed: {command}{why}"));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ended_well_is_not_believed() {
        let before = Finding::problem("mtu", "1500").fix(["true"]);
        let run = |after: fn() -> Finding| {
            let before = Finding::problem("mtu", "1500").fix(["true"]);
            run(vec![before], true, move || vec![after()])
        };
        let now = run(|| Finding::good("mtu", "65520")).unwrap();
        assert_eq!(now[0].verdict, Verdict::Good);
        assert!(outcome(&before, &[Finding::warning("mtu", "9000")]).1);
        let failure = run(|| Finding::problem("mtu", "1500")).unwrap_err();
        assert_eq!(failure.exit, Exit::Problem);
        assert!(failure.text.contains("1 change had no effect"));
        assert!(!outcome(&before, &[]).1);
    }

    #[test]
    fn a_note_is_no_fault() {
        let note = Finding::note("governor", "powersave").fix(["false"]);
        let examine = || -> Vec<Finding> { unreachable!("nothing is changed") };
        let same = run(vec![note], true, examine).unwrap();
        assert_eq!(same[0].verdict, Verdict::Note);
    }
}
