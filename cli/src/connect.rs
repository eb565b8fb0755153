//! Builds transports from the common options, and finds peers.

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

/// How long peers have to answer a search: tens of times the round trip of a cable.
pub const DISCOVERY: Duration = Duration::from_millis(500);

/// The most peers that an error names, because a host on the link can answer under many addresses.
const NAMED: usize = 8;

/// The interface name for automatic selection.
const AUTO: &str = "auto";

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
fn without_port(address: &str) -> &str {
    let inside = address
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    inside.unwrap_or(address)
}

/// Whether a word on the command line is a peer: an IPv6 address, optionally with an interface, in brackets if it
/// has a port.
pub fn looks_like_peer(text: &str) -> bool {
    address(text).is_some()
}

/// Parses the address of a peer, without its interface and port.
fn address(text: &str) -> Option<Ipv6Addr> {
    let address = without_port(text).split('%').next()?;
    address.parse().ok()
}

/// Rejects a word that is not a peer, for commands that would not notice it.
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
        _ => Ok(()),
    }
}

/// The interface to use: the option's, or else the one that the peer's address names.
fn interface(common: &Common, peer: Option<&str>) -> String {
    let zone = peer.and_then(|peer| without_port(peer).split_once('%'));
    match zone {
        Some((_, zone)) if common.interface == AUTO => named(zone),
        _ => common.interface.clone(),
    }
}

/// Whether an interface name is safe in a shell command. Linux accepts almost any name.
pub fn is_plain(interface: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte);
    // A leading `-` would make it an option.
    !interface.is_empty() && !interface.starts_with('-') && interface.bytes().all(is_plain)
}

/// The name of an interface that may be given as an index.
fn named(zone: &str) -> String {
    if zone.is_empty() || !zone.bytes().all(|byte| byte.is_ascii_digit()) {
        return zone.to_owned();
    }
    // sysfs may show another network namespace.
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

/// A builder with the settings of every transport of this program.
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

/// A transport for a client. It uses any free ports, so another program on this host may hold the default ports.
pub fn client(common: &Common, peer: Option<&str>) -> Result<Arc<ThunderboltTransport>, Failure> {
    client_with(common, peer, |builder| builder)
}

/// As [`client`], with more settings.
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

/// A transport for a server, at the ports of the options.
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

/// Reports where a server listens, or that it waits for its interface.
pub fn report_listening(transport: &ThunderboltTransport) {
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
        // Fails if the transport was closed meanwhile.
        drop(said);
        format!("waiting for the link on {interface}; run `dcf-tb doctor` if it should be up")
    };
    output::note(&status);
    // A server is ready before the link is up: the cable may be plugged in at any time.
    service::ready(&status);
}

/// Returns the peer that the user named, or the only one on the link.
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
        [] => Err(no_peer(transport, common)),
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
            .advise("give one of them as PEER"))
        }
    }
}

/// The peers that answer now. `None`: the link is down, or the search failed.
pub fn present(transport: &ThunderboltTransport, common: &Common) -> Option<Vec<Peer>> {
    let found = transport.discover_port(common.control_port, Some(DISCOVERY));
    let found = found.ok()?;
    Some(found.iter().map(|peer| Peer::found(peer, common)).collect())
}

/// Describes that a peer no longer answers, and which peers do.
pub fn gone(peer: &Peer, present: &[Peer]) -> String {
    let mut names: Vec<&str> = present.iter().map(|peer| &*peer.name).collect();
    names.truncate(NAMED);
    format!(
        "{} no longer answers; these peers do: {}",
        peer.name,
        names.join(", ")
    )
}

/// The failure of a search without an answer.
pub fn no_peer(transport: &ThunderboltTransport, common: &Common) -> Failure {
    Failure::new(
        Exit::Peer,
        format!(
            "no peer answered on {}, control port {}",
            transport.interface(),
            common.control_port
        ),
    )
    .advise(
        "start `dcf-tb receive DIR` or `dcf-tb listen` on the other machine; if it is running, \
         check the firewall with `dcf-tb doctor` on both machines",
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
