//! Peers, as the user writes them and as discovery finds them.

use std::net::Ipv6Addr;

use thunderbolt_transport::{suggest_peer, DiscoveredPeer};

use crate::common::Common;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// A peer and its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// As the user wrote it or as discovery found it, without a port unless the user gave one.
    pub name: String,
    /// The address for messages and round trips.
    pub control: String,
    /// The address for streams.
    pub data: String,
}

impl Peer {
    /// A bare address gets the ports of the options; an address in brackets has its own port.
    pub fn new(text: &str, common: &Common) -> Self {
        let (control, data) = match text.starts_with('[') {
            true => (text.to_owned(), text.to_owned()),
            false => (
                format!("[{text}]:{}", common.control_port),
                format!("[{text}]:{}", common.data_port),
            ),
        };
        Self {
            name: text.to_owned(),
            control,
            data,
        }
    }

    /// Whether both are the same IPv6 address, in any notation.
    pub fn is_at(&self, other: &Self) -> bool {
        self.name == other.name
            || matches!((address(&self.name), address(&other.name)), (Some(one), Some(other)) if one == other)
    }

    /// Converts a discovered peer. Its address has the control port of the search.
    pub fn found(peer: &DiscoveredPeer, common: &Common) -> Self {
        Self::new(without_port(&peer.address), common)
    }
}

/// `[fe80::1%tb0]:5000` becomes `fe80::1%tb0`.
pub fn without_port(address: &str) -> &str {
    let inside = address
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    inside.unwrap_or(address)
}

/// Whether a word on the command line is a peer: an IPv6 address, optionally with an interface, in brackets if it
/// has a port.
pub fn looks_like_peer(text: &str) -> bool {
    address(text).is_some() || suggest_peer(text).is_some()
}

/// Parses the address of a peer, without its interface and port.
pub fn address(text: &str) -> Option<Ipv6Addr> {
    let address = without_port(text).split('%').next()?;
    address.parse().ok()
}

/// Rejects a word that is not a peer, and quotes it as it was typed.
pub fn check_peer(named: Option<&str>) -> Result<(), Failure> {
    match named {
        Some(text) if !looks_like_peer(text) => Err(Failure::new(
            Exit::Usage,
            format!(
                "\"{}\" is not a peer address",
                output::harmless(text.as_bytes())
            ),
        )
        .advise("use an IPv6 address as `dcf-tb discover` prints it")),
        Some(text) => check_form(text),
        None => Ok(()),
    }
}

/// Rejects a peer whose port is outside of brackets, where it would become part of the interface's name.
fn check_form(text: &str) -> Result<(), Failure> {
    let Some(meant) = suggest_peer(text) else {
        return Ok(());
    };
    let shown = |text: &str| output::harmless(text.as_bytes());
    let error = format!("\"{}\" is not a peer address", shown(text));
    Err(Failure::new(Exit::Usage, error).advise(format!("did you mean \"{}\"?", shown(&meant))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_brackets_is_rejected_with_the_form_that_was_meant() {
        for (text, meant) in [
            ("::1%lo:5000", "[::1%lo]:5000"),
            ("fe80::1%thunderbolt0:5001", "[fe80::1%thunderbolt0]:5001"),
            ("fe80:0:0:0:0:0:0:1:5001", "[fe80:0:0:0:0:0:0:1]:5001"),
        ] {
            assert!(looks_like_peer(text), "{text}");
            for error in [check_peer(Some(text)), check_form(text)] {
                let error = format!("{:?}", error.unwrap_err());
                assert!(error.contains(text) && error.contains(meant), "{error}");
            }
        }
        for text in ["fe80::1%tb0", "[fe80::1%tb0]:5001", "fe80::1:5001"] {
            assert!(check_peer(Some(text)).is_ok(), "{text}");
        }
    }

    fn common() -> Common {
        Common {
            interface: "auto".to_owned(),
            control_port: 5000,
            data_port: 5001,
            quiet: false,
            verbose: 0,
        }
    }

    #[test]
    fn a_bare_peer_gets_the_ports_of_the_options() {
        let peer = Peer::new("fe80::1%tb0", &common());
        assert_eq!(peer.control, "[fe80::1%tb0]:5000");
        assert_eq!(peer.data, "[fe80::1%tb0]:5001");
        let peer = Peer::new("[fe80::1%tb0]:7000", &common());
        assert_eq!((&peer.control, &peer.data), (&peer.name, &peer.name));
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let at = |text: &str| Peer::new(text, &common());
        for same in [
            "fe80::1%2",
            "[fe80::1%tb0]:5001",
            "fe80:0::1%tb0",
            "fe80::1",
        ] {
            assert!(at("fe80::1%tb0").is_at(&at(same)), "{same}");
        }
        assert!(!at("fe80::1%tb0").is_at(&at("fe80::2%tb0")));
    }

    #[test]
    fn peers_are_told_from_paths() {
        for peer in ["fe80::1", "fe80::1%thunderbolt0", "[fe80::1%2]:5001", "::1"] {
            assert!(looks_like_peer(peer), "{peer}");
        }
        for path in ["weights", "./fe80::1", "a:b", "", "fe80", "host%if"] {
            assert!(!looks_like_peer(path), "{path}");
        }
    }
}
