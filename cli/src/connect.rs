//! From the common options to a transport, and from what the user wrote to a peer.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use thunderbolt_transport::{
    DiscoveredPeer, LogLevel, ThunderboltTransport, ThunderboltTransportBuilder,
};

use crate::common::Common;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hints::in_tool;
use crate::interrupt;
use crate::output::{self, Verbosity};
use crate::service;
use crate::units::plural;

/// How long the others on the link have for their answer: tens of times what a cable takes.
pub const DISCOVERY: Duration = Duration::from_millis(500);

/// Peers that an error names at most: anybody on the link can answer in many names.
const NAMED: usize = 8;

/// Interface names that mean "find it".
const AUTO: &str = "auto";

/// A peer, and the ports that it is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// As the user wrote it, or as it was found; without a port, if it is the usual one.
    pub name: String,
    /// For messages and round trips.
    pub control: String,
    /// For streams.
    pub data: String,
}

impl Peer {
    /// A bare address is at the ports of the options. One in brackets names its port itself.
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

    /// Whether both are the same address, however it was written.
    pub fn is_at(&self, other: &Self) -> bool {
        self.name == other.name
            || matches!((address(&self.name), address(&other.name)), (Some(one), Some(other)) if one == other)
    }

    /// One that discovery found: its address comes with the control port that was asked.
    pub fn found(peer: &DiscoveredPeer, common: &Common) -> Self {
        Self::new(without_port(&peer.address), common)
    }
}

/// `[fe80::1%tb0]:5000` as `fe80::1%tb0`.
fn without_port(address: &str) -> &str {
    let inside = address
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    inside.unwrap_or(address)
}

/// Whether a word on the command line is meant as a peer: an IPv6 address, perhaps with an
/// interface, in brackets with a port.
pub fn looks_like_peer(text: &str) -> bool {
    address(text).is_some()
}

/// The address in a peer, without its interface and port.
fn address(text: &str) -> Option<Ipv6Addr> {
    let address = without_port(text).split('%').next()?;
    address.parse().ok()
}

/// Refuses a word that is no peer, where nothing else would.
pub fn check_peer(named: Option<&str>) -> Result<(), Failure> {
    match named {
        Some(text) if !looks_like_peer(text) => Err(Failure::new(
            Exit::Usage,
            format!("\"{}\" is no peer", output::harmless(text.as_bytes())),
        )
        .advise("a peer is an IPv6 address, as `dcf-tb discover` prints it")),
        _ => Ok(()),
    }
}

/// The interface to use: what was asked for, or else the one that the peer's address names.
fn interface(common: &Common, peer: Option<&str>) -> String {
    let zone = peer.and_then(|peer| without_port(peer).split_once('%'));
    match zone {
        Some((_, zone)) if common.interface == AUTO => named(zone),
        _ => common.interface.clone(),
    }
}

/// Whether a name means nothing to a shell. Linux lets an interface be called almost anything, and its name
/// stands in commands that are run or pasted.
pub fn is_plain(interface: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte);
    // An option to a program begins with `-`.
    !interface.is_empty() && !interface.starts_with('-') && interface.bytes().all(is_plain)
}

/// The name of an interface that may have been given as an index.
fn named(zone: &str) -> String {
    if zone.is_empty() || !zone.bytes().all(|byte| byte.is_ascii_digit()) {
        return zone.to_owned();
    }
    // Not from sysfs, which may be that of another network namespace.
    let all = nix::net::if_::if_nameindex();
    all.ok()
        .and_then(|all| {
            let found = all
                .iter()
                .find(|interface| interface.index().to_string() == zone);
            Some(found?.name().to_string_lossy().into_owned())
        })
        .unwrap_or_else(|| zone.to_owned())
}

/// A builder with what all transports of this program have.
fn builder(interface: String) -> ThunderboltTransportBuilder {
    let level = if output::wants(Verbosity::Everything) {
        LogLevel::Debug
    } else if output::wants(Verbosity::Verbose) {
        LogLevel::Info
    } else if output::wants(Verbosity::Normal) {
        LogLevel::Warn
    } else {
        LogLevel::Error
    };
    ThunderboltTransportBuilder::new()
        .interface(interface)
        .name_settings(false)
        .log_level(level)
        .logger(|level, text| output::error(&format!("{level}: {}", in_tool(text))))
}

fn started(builder: ThunderboltTransportBuilder) -> Result<Arc<ThunderboltTransport>, Failure> {
    let transport = builder.build()?;
    interrupt::closes(Arc::downgrade(&transport));
    Ok(transport)
}

/// A transport that asks others. It takes any free ports, so that another program on this host may
/// hold the usual ones.
pub fn client(common: &Common, peer: Option<&str>) -> Result<Arc<ThunderboltTransport>, Failure> {
    client_with(common, peer, |builder| builder)
}

/// The same with other settings.
pub fn client_with(
    common: &Common,
    peer: Option<&str>,
    more: impl FnOnce(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
) -> Result<Arc<ThunderboltTransport>, Failure> {
    let builder = builder(interface(common, peer))
        .control_port(0)
        .data_port(0);
    started(more(builder))
}

/// A transport that others find, at the ports of the options.
pub fn server(
    common: &Common,
    more: impl FnOnce(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
) -> Result<Arc<ThunderboltTransport>, Failure> {
    let builder = builder(interface(common, None))
        .control_port(common.control_port)
        .data_port(common.data_port)
        .wait_for_interface(true);
    started(more(builder))
}

/// Says where a server is to be found, as soon as its interface is there.
pub fn say_who_listens(transport: &ThunderboltTransport) {
    let interface = transport.interface();
    let status = if transport.get_stats().link_up {
        format!(
            "listening on {interface}: control port {}, data port {}",
            transport.control_port(),
            transport.data_port()
        )
    } else {
        let said = transport.set_link_handler(Some(Box::new(|event| {
            let state = if event.up { "up" } else { "down" };
            let status = format!("{} is {state}", event.interface);
            output::note(&status);
            service::status(&status);
        })));
        // It fails for a transport that was closed meanwhile.
        drop(said);
        format!("waiting for the link on {interface}; `dcf-tb doctor` says what is missing")
    };
    output::note(&status);
    // Waiting for the link is what it is there for: whoever plugs the cable finds it.
    service::ready(&status);
}

/// The peer that the user named, or the only one there is.
pub fn peer(
    transport: &ThunderboltTransport,
    common: &Common,
    named: Option<&str>,
) -> Result<Peer, Failure> {
    if let Some(text) = named {
        return Ok(Peer::new(text, common));
    }
    let found = transport.discover_port(common.control_port, Some(DISCOVERY))?;
    match &found[..] {
        [only] => {
            let peer = Peer::found(only, common);
            output::detail(&format!("found {}", peer.name));
            Ok(peer)
        }
        [] => Err(nobody(transport, common)),
        several => {
            let mut names: Vec<_> = several
                .iter()
                .take(NAMED)
                .map(|peer| Peer::found(peer, common).name)
                .collect();
            if several.len() > NAMED {
                names.push("…".to_owned());
            }
            Err(Failure::new(
                Exit::Peer,
                format!(
                    "{} answered on {}: {}",
                    plural(several.len() as u64, "peer", "peers"),
                    transport.interface(),
                    names.join(", ")
                ),
            )
            .advise("name one of them"))
        }
    }
}

/// Who answers now. `None`: the link is down, or nobody can be asked.
pub fn present(transport: &ThunderboltTransport, common: &Common) -> Option<Vec<Peer>> {
    let found = transport.discover_port(common.control_port, Some(DISCOVERY));
    let found = found.ok()?;
    Some(found.iter().map(|peer| Peer::found(peer, common)).collect())
}

/// Says that a peer does not answer any more, and who does.
pub fn gone(peer: &Peer, present: &[Peer]) -> String {
    let mut names: Vec<&str> = present.iter().map(|peer| &*peer.name).collect();
    names.truncate(NAMED);
    format!(
        "{} is gone; who answers now: {}",
        peer.name,
        names.join(", ")
    )
}

/// The failure of a search that found nobody.
pub fn nobody(transport: &ThunderboltTransport, common: &Common) -> Failure {
    Failure::new(
        Exit::Peer,
        format!(
            "nobody answered on {}, control port {}",
            transport.interface(),
            common.control_port
        ),
    )
    .advise(
        "start `dcf-tb receive DIR` or `dcf-tb listen` over there; if it runs, `dcf-tb doctor` on \
         both sides finds a firewall that drops the answer",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common() -> Common {
        Common {
            interface: AUTO.to_owned(),
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
    fn names_for_a_shell_are_plain() {
        assert!(is_plain("thunderbolt0") && is_plain("enp2s0.7"));
        for odd in ["$(reboot)", "a;b", "a'b", "a b", "ü", "", "-f"] {
            assert!(!is_plain(odd), "{odd}");
        }
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

    #[test]
    fn the_peers_interface_is_meant_when_none_is_named() {
        let mut options = common();
        assert_eq!(interface(&options, Some("fe80::1%tb7")), "tb7");
        assert_eq!(interface(&options, Some("[fe80::1%tb7]:1")), "tb7");
        assert_eq!(interface(&options, Some("::1%1")), "lo", "by its index");
        assert_eq!(interface(&options, Some("fe80::1")), AUTO);
        options.interface = "tb1".to_owned();
        assert_eq!(interface(&options, Some("fe80::1%tb7")), "tb1");
    }
}
