//! The contestants: the library, the C yardstick, and other tools and libraries.

use std::path::Path;

use serde::Serialize;

use crate::peers::Peer;

/// Stands for the address of host b in a command.
const PEER: &str = "{peer}";

/// The role of a contestant in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The library, through its C ABI.
    Library,
    /// The program that the library is compared with.
    Yardstick,
    /// Only shown beside them.
    Other,
}

/// The programs for one work, and their name.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// Its name in tables and charts.
    pub name: String,
    /// Its role.
    pub kind: Kind,
    /// A note for readers of its figures; may be empty.
    pub note: &'static str,
    /// Host b's command; empty when it needs no other host.
    pub far: Vec<String>,
    /// Host a's command, in which `{peer}` stands for host b's address.
    pub near: Vec<String>,
}

impl Contestant {
    /// The benchmark's own `program` in `directory`, in its two roles. Arguments are NAME=VALUE, separated
    /// by spaces.
    pub fn pair(
        (kind, name): (Kind, &str),
        directory: &Path,
        program: &str,
        far: &str,
        near: &str,
    ) -> Self {
        let near = format!("peer={PEER} {near}");
        Self {
            name: name.to_owned(),
            kind,
            note: "",
            far: command(directory, program, "far", far),
            near: command(directory, program, "near", &near),
        }
    }

    /// A program of the benchmark that needs no other host.
    pub fn alone((kind, name): (Kind, &str), directory: &Path, program: &str, with: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            note: "",
            far: Vec::new(),
            near: command(directory, program, "alone", with),
        }
    }

    /// Another tool.
    pub fn other(peer: Peer) -> Self {
        Self {
            name: peer.name.to_owned(),
            kind: Kind::Other,
            note: peer.note,
            far: peer.far,
            near: peer.near,
        }
    }

    /// The same contestant with one more argument in both roles.
    #[must_use]
    pub fn with(mut self, argument: &str) -> Self {
        self.near.push(argument.to_owned());
        if !self.far.is_empty() {
            self.far.push(argument.to_owned());
        }
        self
    }

    /// Host b's command; none when it needs no other host.
    pub fn far(&self) -> Option<&[String]> {
        (!self.far.is_empty()).then_some(&self.far)
    }

    /// Host a's command, with host b's address in it.
    pub fn near(&self, peer: &str) -> Vec<String> {
        let with_peer = |word: &String| word.replace(PEER, peer);
        self.near.iter().map(with_peer).collect()
    }
}

fn command(directory: &Path, program: &str, role: &str, arguments: &str) -> Vec<String> {
    let program = directory.join(program).to_string_lossy().into_owned();
    [program.as_str(), role]
        .into_iter()
        .chain(arguments.split_whitespace())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Contestant, Kind};
    use std::path::Path;

    #[test]
    fn commands_have_role_address_and_arguments() {
        let contestant = Contestant::pair(
            (Kind::Library, "library"),
            Path::new("there"),
            "rtt_dcf",
            "",
            "load=1",
        )
        .with("count=5");
        assert_eq!(
            contestant.far(),
            Some(&["there/rtt_dcf", "far", "count=5"].map(str::to_owned)[..])
        );
        assert_eq!(
            contestant.near("fe80::1%x"),
            [
                "there/rtt_dcf",
                "near",
                "peer=fe80::1%x",
                "load=1",
                "count=5"
            ]
        );
        let alone = Contestant::alone((Kind::Library, "l"), Path::new("there"), "idle", "");
        assert_eq!(alone.far(), None);
        assert_eq!(alone.near("x"), ["there/idle", "alone"]);
    }
}
