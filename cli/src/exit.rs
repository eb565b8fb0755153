//! Exit codes.

use std::process::ExitCode;

/// The exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// A failure without an exit code of its own.
    Failed = 1,
    /// The command line is wrong (also clap's exit code).
    Usage = 2,
    /// No interface, or the link is down.
    Link = 3,
    /// No peer, several peers, or a peer that does not offer the service.
    Peer = 4,
    /// The name is already taken at the receiver.
    Exists = 5,
    /// The receiver's disk is full.
    DiskFull = 6,
    /// A file was damaged in transit or changed while it was sent.
    Damaged = 7,
    /// The receiver refused a name or a kind of file.
    Refused = 8,
    /// doctor could not check something.
    Unknown = 10,
    /// doctor found a warning.
    Warning = 11,
    /// doctor found a problem.
    Problem = 12,
    /// The reader of the output has exited: 128 plus the number of SIGPIPE, as in a shell.
    ReaderGone = 141,
    /// Interrupted by a signal: 128 plus the number of SIGINT, as in a shell.
    Interrupted = 130,
}

/// The meaning of each exit code, for the man pages, `--help` and docs/DCF-TB.md.
pub const MEANINGS: [(&str, &str); 14] = [
    ("0", "success; doctor: at most notes"),
    ("1", "any other failure, or the result could not be written; ping: no answer; push: a file could not be read"),
    ("2", "the command line is wrong"),
    ("3", "no such interface, or the link is down"),
    ("4", "no peer or several peers found, or the peer does not answer or does not offer this service"),
    ("5", "the name already exists at the receiver"),
    ("6", "the receiver's disk is full, or its file system cannot store a file of that size"),
    ("7", "a file was damaged in transit or changed while it was sent; bench: data was damaged"),
    ("8", "the receiver refused a name or a kind of file; push --strict: links or special files were skipped"),
    ("10", "doctor: a check could not be made, and there is no warning or problem"),
    ("11", "doctor: at least one warning, and no problem"),
    ("12", "doctor: at least one problem"),
    (
        "130",
        "interrupted by SIGINT, SIGTERM or SIGHUP; receive and listen exit with 0 after SIGTERM, unless it interrupted a push, `--once` or `--count`",
    ),
    ("141", "the program that reads the output has exited, as in `dcf-tb ping | head`"),
];

/// The list for `--help`.
pub fn list() -> String {
    let rows = MEANINGS.map(|(number, meaning)| format!("  {number:>3}  {meaning}"));
    format!("Exit codes:\n{}", rows.join("\n"))
}

impl Exit {
    /// Converts the exit code that the receiver sent.
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
