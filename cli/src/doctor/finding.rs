//! Findings: a verdict, a reason, and how to fix the problem.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::exit::Exit;
use crate::interface::is_plain;

/// Verdicts, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    /// Could be better, or is worth knowing.
    Note,
    /// Could not be checked.
    Unknown,
    /// Works, but not well.
    Warning,
    /// Does not work.
    Problem,
}

#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub reason: String,
    /// Commands that fix it, for root's shell.
    pub fix: Vec<Fix>,
    /// Advice where no command helps.
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

    /// Adds a command of constant words.
    #[must_use]
    pub fn fix<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.fixed_by(Fix::new(words))
    }

    /// Adds a command, if each word of it is safe.
    #[must_use]
    pub fn fixed_by(mut self, fix: Fix) -> Self {
        const REFUSED: &str =
            "no command is suggested, because a name in it is not safe in a shell";
        if fix.is_safe {
            self.fix.push(fix);
        } else if self.advice.as_deref() != Some(REFUSED) {
            self.advice = Some(REFUSED.to_owned());
        }
        self
    }

    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Whether `--fix` changes something for it. A note is no fault, so its commands are only suggested.
    pub fn is_fixed_by_command(&self) -> bool {
        self.verdict > Verdict::Note && !self.fix.is_empty()
    }
}

/// A command that fixes something. It is run without a shell, and printed so that a shell runs the same.
#[derive(Debug)]
pub struct Fix {
    words: Vec<String>,
    is_safe: bool,
}

impl Fix {
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            words: Vec::new(),
            is_safe: true,
        }
        .words(words)
    }

    /// Adds words of ours, which may contain numbers or names from elsewhere.
    #[must_use]
    pub fn words<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-/=+, ".contains(&byte);
        for word in words {
            self.is_safe &= !word.is_empty() && word.bytes().all(is_safe);
            self.words.push(word.to_owned());
        }
        self
    }

    /// Adds names from elsewhere, one word each, which must not be options.
    #[must_use]
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            self.is_safe &= is_plain(name);
            self.words.push(name.to_owned());
        }
        self
    }

    pub fn argv(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, word) in self.words.iter().enumerate() {
            let quote = if word.contains(' ') { "'" } else { "" };
            let space = if number > 0 { " " } else { "" };
            write!(to, "{space}{quote}{word}{quote}")?;
        }
        Ok(())
    }
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The exit code: that of the worst finding.
pub fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.verdict).max() {
        None | Some(Verdict::Good | Verdict::Note) => Exit::Done,
        Some(Verdict::Unknown) => Exit::Unknown,
        Some(Verdict::Warning) => Exit::Warning,
        Some(Verdict::Problem) => Exit::Problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_safe_words_only() {
        let of = |name: &str| Finding::note("x", "").fixed_by(Fix::new(["nft"]).names([name]));
        assert_eq!(of("tb0.7").fix[0].to_string(), "nft tb0.7");
        for odd in [
            "", "-f", "a b", "a;b", "$(id)", "a'b", "a\nb", "\u{1b}[m", "`id`", "ü",
        ] {
            assert!(of(odd).fix.is_empty(), "{odd:?}");
            assert!(of(odd).advice.is_some());
        }
        let values = Finding::note("x", "").fix(["sysctl", "-w", "net.a=1 2 3"]);
        assert_eq!(values.fix[0].to_string(), "sysctl -w 'net.a=1 2 3'");
        assert_eq!(values.fix[0].argv(), ["sysctl", "-w", "net.a=1 2 3"]);
    }
}
