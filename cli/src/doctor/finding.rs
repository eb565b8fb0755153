//! What was found: a verdict, its reason, and how to mend it.

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::exit::Exit;
use crate::output;

/// From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    /// Could be better, or is worth knowing.
    Note,
    /// Could not be found out.
    Unknown,
    /// It works, and not well.
    Warning,
    /// It does not work like this.
    Problem,
}

#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub reason: String,
    /// Commands that mend it, for root's shell.
    pub fix: Vec<String>,
    /// What no command mends.
    pub advice: Option<String>,
}

impl Finding {
    pub fn new(check: &'static str, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            reason: reason.into(),
            fix: Vec::new(),
            advice: None,
        }
    }

    pub fn good(check: &'static str, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Good, reason)
    }

    pub fn note(check: &'static str, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Note, reason)
    }

    pub fn unknown(check: &'static str, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Unknown, reason)
    }

    pub fn warning(check: &'static str, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, reason)
    }

    pub fn problem(check: &'static str, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Problem, reason)
    }

    #[must_use]
    pub fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }

    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// For a person.
    pub fn print(&self) {
        let (word, colour) = match self.verdict {
            Verdict::Good => ("good", AnsiColor::Green),
            Verdict::Note => ("note", AnsiColor::Cyan),
            Verdict::Unknown => ("unknown", AnsiColor::Yellow),
            Verdict::Warning => ("warning", AnsiColor::Yellow),
            Verdict::Problem => ("PROBLEM", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        output::marked_line(
            style,
            &format!("{word:<8}"),
            &format!(" {:<12} {}", self.check, self.reason),
        );
        let more = self.advice.iter().cloned();
        let fixes = self.fix.iter().map(|command| format!("sudo {command}"));
        more.chain(fixes)
            .for_each(|line| output::line(&format!("{:22}{line}", "")));
    }
}

/// What scripts learn: the worst.
pub fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.verdict).max() {
        None | Some(Verdict::Good | Verdict::Note) => Exit::Done,
        Some(Verdict::Unknown) => Exit::Unknown,
        Some(Verdict::Warning) => Exit::Warning,
        Some(Verdict::Problem) => Exit::Problem,
    }
}
