//! How it ends: exit codes for scripts, and failures in words.

use std::process::ExitCode;

/// What a script learns. The man page lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// It failed in a way that has no number of its own.
    Failed = 1,
    /// The command line is wrong (clap's own number).
    Usage = 2,
    /// No interface, or the link is down.
    Link = 3,
    /// No peer, several, or one that does not serve this.
    Peer = 4,
    /// The receiver has a file of that name already.
    Exists = 5,
    /// The receiver's disk is full.
    DiskFull = 6,
    /// A file did not arrive as it was, or changed meanwhile.
    Damaged = 7,
    /// The receiver does not take something for what it is called or what it is.
    Refused = 8,
    /// Something could not be found out.
    Unknown = 10,
    /// It works, and not well.
    Warning = 11,
    /// It does not work like this.
    Problem = 12,
    /// Who read the result has gone: 128 and the number of SIGPIPE, as shells give it.
    ReaderGone = 141,
    /// Ctrl-C, or another signal: 128 and the number of SIGINT, as shells give it.
    Interrupted = 130,
}

/// Each with its meaning, for the man page, `--help` and docs/DCF-TB.md.
pub const MEANINGS: [(&str, &str); 14] = [
    ("0", "everything asked for was done; doctor: no more than notes"),
    ("1", "it failed in a way that has no number of its own, or its result cannot be written; ping: no answer; push: something could not be read"),
    ("2", "the command line is wrong"),
    ("3", "no such interface, or the link is down"),
    ("4", "no peer, several of them, one that does not answer, or one that does not serve this"),
    ("5", "the receiver has something of that name already"),
    ("6", "the receiver's disk is full, or takes no file of that size"),
    ("7", "a file did not arrive as it was, or changed meanwhile; bench: content was damaged"),
    ("8", "the receiver refused a name or a kind of file; push: links or special files were left out"),
    ("10", "doctor: something could not be found out, and nothing is worse"),
    ("11", "doctor: a warning is the worst"),
    ("12", "doctor: a problem is the worst"),
    (
        "130",
        "interrupted by Ctrl-C or another signal that ends programs; receive and listen end with 0 after SIGTERM, unless it cut a push, `--once` or `--count` short",
    ),
    ("141", "the program that read the result ended first, as in `dcf-tb ping | head`"),
];

/// The list for `--help`.
pub fn list() -> String {
    let rows = MEANINGS.map(|(number, meaning)| format!("  {number:>3}  {meaning}"));
    format!("Exit codes:\n{}", rows.join("\n"))
}

impl Exit {
    /// From what the other side said.
    pub fn from_code(code: u8) -> Self {
        [
            Self::Done,
            Self::Link,
            Self::Peer,
            Self::Exists,
            Self::DiskFull,
            Self::Damaged,
            Self::Refused,
        ]
        .into_iter()
        .find(|exit| *exit as u8 == code)
        .unwrap_or(Self::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_meaning() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Link,
            Exit::Peer,
            Exit::Exists,
            Exit::DiskFull,
            Exit::Damaged,
            Exit::Refused,
            Exit::Unknown,
            Exit::Warning,
            Exit::Problem,
            Exit::ReaderGone,
            Exit::Interrupted,
        ] {
            let number = (exit as u8).to_string();
            assert!(MEANINGS.iter().any(|(code, _)| *code == number), "{number}");
        }
    }
}
