//! Finds out why nobody answers: the other machine is off, no dcf-tb runs there, or a firewall drops the packets.

use std::net::Ipv6Addr;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use thunderbolt_transport::ThunderboltTransport;

use crate::common::Common;
use crate::echo::{answering, ALL_HOSTS};
use crate::peer::{address, Peer};

/// How long a host that answers an echo may take to answer or refuse a ping, and how many pings are tried: kernels
/// limit the rate of ICMP errors, so a single refusal may be lost.
const PING: Duration = Duration::from_millis(150);
const PINGS: usize = 3;

/// What is known about a host that does not answer, and what to do.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    /// The reason cannot be found.
    Unknown,
    /// No host answers an echo.
    NoHost,
    /// The host is up, and no program listens on the control port.
    NoProgram(String),
    /// The host is up, and the control port neither answers nor refuses.
    Filtered(String),
    /// It answers by now.
    Answers(String),
}

/// Advice for when the peer, or without one everybody, does not answer.
pub fn advice(transport: &ThunderboltTransport, common: &Common, peer: Option<&Peer>) -> String {
    let port = match peer {
        // A port in the address is that of either protocol.
        Some(peer) if peer.name.starts_with('[') => None,
        _ => Some(common.control_port),
    };
    let name = transport.interface();
    let to = peer.and_then(|peer| address(&peer.name));
    match look(transport, &name, port, to.unwrap_or(ALL_HOSTS)) {
        Silence::Unknown => {
            "start `dcf-tb receive` or `dcf-tb listen` on the other machine; if it is running, check the \
             firewall with `dcf-tb doctor` on both machines"
                .to_owned()
        }
        Silence::NoHost => format!(
            "no host answers on {name}, not even its kernel: the other machine is off or asleep, its \
             interface is down, or its firewall drops everything"
        ),
        Silence::NoProgram(host) => format!(
            "the host {host} is up, but no dcf-tb runs there: start `dcf-tb receive` or `dcf-tb listen` \
             on it, and compare --control-port"
        ),
        Silence::Filtered(host) => format!(
            "the host {host} is up, but a firewall drops UDP port {}, here or there: run `dcf-tb doctor` \
             on both machines",
            common.control_port
        ),
        Silence::Answers(host) if peer.is_some() => format!(
            "{host} answers pings, but accepts no stream: compare --data-port ({} here), and check the \
             firewall with `dcf-tb doctor` on both machines",
            common.data_port
        ),
        Silence::Answers(host) => format!("{host} answers now: try again"),
    }
}

fn look(
    transport: &ThunderboltTransport,
    interface: &str,
    port: Option<u16>,
    to: Ipv6Addr,
) -> Silence {
    let Ok(index) = if_nametoindex(interface) else {
        return Silence::Unknown;
    };
    let Ok(hosts) = answering(index, to) else {
        return Silence::Unknown;
    };
    let Some(host) = hosts.first() else {
        return Silence::NoHost;
    };
    let shown = format!("{host}%{interface}");
    let Some(port) = port else {
        return Silence::Unknown;
    };
    for _ in 0..PINGS {
        match transport.round_trip(&format!("[{shown}]:{port}"), Some(PING)) {
            Ok(_) => return Silence::Answers(shown),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                return Silence::NoProgram(shown);
            }
            Err(_) => {}
        }
    }
    Silence::Filtered(shown)
}
