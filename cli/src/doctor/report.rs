//! The report for a person: problems first, wrapped to the terminal, with a summary at the end.

use anstyle::{AnsiColor, Style};

use super::finding::{Finding, Verdict};
use crate::output::{self, wrapped, wrapped_command};
use crate::units::plural;

/// The columns of the verdict and of the check, with the space behind each.
const VERDICT: usize = 9;
const CHECK: usize = 13;
/// In a narrower terminal the reason begins on a line of its own.
const NARROW: usize = 72;
/// How much further to the right commands begin than prose.
const COMMAND: usize = 4;

/// Prints the findings, and a summary. With `quiet`, only findings that matter.
pub fn print(findings: &[Finding], quiet: bool) {
    let columns = output::columns();
    let wanted = |finding: &&Finding| !quiet || finding.verdict > Verdict::Note;
    let mut wanted: Vec<&Finding> = findings.iter().filter(wanted).collect();
    // Stable: findings of the same verdict stay in the order of the checks.
    wanted.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    wanted
        .iter()
        .for_each(|finding| print_one(finding, columns));
    if !quiet {
        output::prose(&summary(findings));
    }
}

fn print_one(finding: &Finding, columns: Option<usize>) {
    let (word, colour) = match finding.verdict {
        Verdict::Good => ("good", AnsiColor::Green),
        Verdict::Note => ("note", AnsiColor::Cyan),
        Verdict::Unknown => ("unknown", AnsiColor::Yellow),
        Verdict::Warning => ("warning", AnsiColor::Yellow),
        Verdict::Problem => ("PROBLEM", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let is_narrow = columns.is_some_and(|columns| columns < NARROW);
    let indent = match is_narrow {
        true => VERDICT,
        false => VERDICT + CHECK,
    };
    let columns = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent));
    let mut reason = wrapped(&finding.reason, columns).into_iter();
    let first = match is_narrow {
        true => format!(" {}", finding.check),
        false => format!(
            " {:<12} {}",
            finding.check,
            reason.next().unwrap_or_default()
        ),
    };
    output::marked_line(style, &format!("{word:<8}"), &first);
    let advice = finding.advice.iter();
    let advice = advice.flat_map(|advice| wrapped(advice, columns));
    for line in reason.chain(advice) {
        output::line(&format!("{:indent$}{line}", ""));
    }
    for fix in &finding.fix {
        for line in wrapped_command(&format!("sudo {fix}"), columns.saturating_sub(COMMAND)) {
            output::line(&format!("{:1$}{line}", "", indent + COMMAND));
        }
    }
}

/// `2 problems, 4 notes; 3 can be fixed with --fix`.
pub fn summary(findings: &[Finding]) -> String {
    let of = |verdict| findings.iter().filter(|is| is.verdict == verdict).count() as u64;
    let counts = [
        (of(Verdict::Problem), "problem", "problems"),
        (of(Verdict::Warning), "warning", "warnings"),
        (
            of(Verdict::Unknown),
            "check could not be made",
            "checks could not be made",
        ),
        (of(Verdict::Note), "note", "notes"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| plural(number, one, many))
        .collect();
    if counts.is_empty() {
        return format!("all {} checks are good", findings.len());
    }
    let fixable = findings
        .iter()
        .filter(|is| is.is_fixed_by_command())
        .count();
    match fixable {
        0 => counts.join(", "),
        _ => format!("{}; {fixable} can be fixed with --fix", counts.join(", ")),
    }
}
