//! The meaning of a failed system call. An errno alone is ambiguous: the kernel reports ENETUNREACH if the interface is
//! gone, and also if a link that is up has no route to one address. A caller that gets `LinkDown` waits until the link
//! is up. So the state is checked before an error says that the link is down.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

use super::state::word;
use super::{Absence, Link, LinkState};
use crate::address::perhaps_a_port;
use crate::error::TransportError;
use crate::sync::atomic::Ordering;

/// What failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attempt<'a> {
    /// Passing a datagram to the kernel.
    Send(&'a SocketAddrV6),
    /// Waiting for the answer to a ping: an ICMP error came back.
    Ping(&'a SocketAddrV6),
    /// Beginning to connect.
    Connect(&'a SocketAddrV6),
    /// Connecting: the kernel reports the result.
    Opening(&'a SocketAddrV6),
    /// An established connection.
    Connection,
    /// Binding another socket to the interface of this name.
    Bind(&'a str),
}

impl Link {
    /// The error of a system call that failed on a socket of this link. `any_source`: sources that are not link-local
    /// are served.
    pub fn failed(
        &self,
        attempt: Attempt<'_>,
        action: String,
        source: io::Error,
        any_source: bool,
    ) -> TransportError {
        let outages = self.outages.load(Ordering::SeqCst);
        let (name, index, mut state) =
            self.with(|now| (now.name.clone(), now.index, now.state.clone()));
        let mut asked = false;
        if state == LinkState::Up && depends_on_link(&source) {
            // A notification of a change may be on its way to the event loop.
            state = match attempt {
                // The socket or the address belongs to an interface that was replaced during the call.
                Attempt::Send(to) | Attempt::Ping(to) | Attempt::Connect(to)
                    if Some(to.scope_id()) != index =>
                {
                    LinkState::Absent(Absence::Gone)
                }
                // It was renamed.
                Attempt::Bind(tried) if tried != name => LinkState::Absent(Absence::Gone),
                _ => {
                    asked = true;
                    self.present_state().unwrap_or(state)
                }
            };
        }
        let error = sort(attempt, action, source, &name, &state, any_source);
        match error {
            TransportError::LinkDown {
                interface,
                reason,
                errno,
                ..
            } => {
                let found = asked && state != LinkState::Up && self.found_down(index, state);
                let back = self.is_up();
                if back && !found {
                    self.doubt(outages);
                }
                TransportError::LinkDown {
                    interface,
                    reason,
                    errno,
                    back,
                }
            }
            other => other,
        }
    }
}

/// Whether the meaning of this error depends on the state of the link.
fn depends_on_link(source: &io::Error) -> bool {
    matches!(
        source.raw_os_error(),
        Some(
            libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::ENODEV
                | libc::ENXIO
                | libc::EADDRNOTAVAIL
                | libc::EINVAL
                | libc::EHOSTUNREACH
                | libc::EHOSTDOWN
        )
    )
}

/// Turns an errno into the error that a caller can act on, for this state of the link.
fn sort(
    attempt: Attempt<'_>,
    action: String,
    source: io::Error,
    interface: &str,
    state: &LinkState,
    any_source: bool,
) -> TransportError {
    use Attempt::{Bind, Connect, Connection, Opening, Ping, Send};
    let Some(errno) = source.raw_os_error() else {
        return TransportError::from_os(action, source);
    };
    let up = *state == LinkState::Up;
    let link_down = |reason| TransportError::LinkDown {
        interface: interface.to_owned(),
        reason,
        errno: Some(errno),
        back: false,
    };
    let with_state =
        |source: &io::Error| format!("{} ({action}: {source})", state.reason(interface));
    let because = |why: &str| format!("{action} ({why})");
    let connection = |why: &str| TransportError::connection_failed(because(why), &source);
    match (errno, attempt) {
        (libc::ENODEV, Bind(_)) if up => {
            let why = "the link is up; does this thread belong to another network namespace than \
                       the thread that started the transport?";
            TransportError::io(because(why), source)
        }
        // The kernel reports that it was down, whatever its present state.
        (libc::ENETDOWN | libc::ENODEV | libc::ENXIO, _) if up => {
            link_down(format!("{action}: {source}"))
        }
        (libc::ENETDOWN | libc::ENODEV | libc::ENXIO | libc::ENETUNREACH, _)
        | (libc::EADDRNOTAVAIL, _)
        | (libc::EINVAL, Send(_) | Connect(_))
            if !up =>
        {
            link_down(with_state(&source))
        }
        (libc::ENETUNREACH, Send(to) | Connect(to)) => {
            let why = no_route(to.ip(), interface, any_source);
            connection(&(why + &perhaps_a_port(to, interface)))
        }
        (libc::EHOSTUNREACH | libc::EHOSTDOWN, _) if !up => {
            connection(&format!("the link is down: {}", state.reason(interface)))
        }
        (libc::EHOSTUNREACH | libc::EHOSTDOWN, Send(to) | Ping(to) | Connect(to) | Opening(to)) => {
            let hint = perhaps_a_port(to, interface);
            let why = format!("the link is up, but no host answers for this address{hint}");
            connection(&why)
        }
        (libc::ENETUNREACH, Opening(to) | Ping(to)) => connection(&format!(
            "the link is up, but a router on the way has no route to this address{}",
            perhaps_a_port(to, interface)
        )),
        (libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::EPROTO, _) => {
            TransportError::connection_failed(action, &source)
        }
        (libc::ECONNREFUSED, Ping(to)) => TransportError::connection_failed(
            format_args!(
                "nothing listens on UDP port {} of {}%{interface} (start the program there, or \
                 compare control_port; a firewall there may reject it, too)",
                to.port(),
                to.ip()
            ),
            &source,
        ),
        (libc::ECONNREFUSED, Connect(_) | Opening(_)) => {
            connection("the host is there, but nothing listens on this port")
        }
        (libc::EADDRNOTAVAIL, Connect(_)) => {
            let why = "all local ports are in use or wait for the end of earlier connections to \
                       it: net.ipv4.ip_local_port_range";
            TransportError::io(because(why), source)
        }
        (libc::EADDRNOTAVAIL, Send(_)) => TransportError::io(
            because(&format!("no address of {interface} can be its source")),
            source,
        ),
        (libc::EINVAL, Send(_) | Connect(_)) => {
            let why = "the kernel's neighbour table may be full \
                       (net.ipv6.neigh.default.gc_thresh3), or a blackhole route or rule of this \
                       host covers this address";
            TransportError::io(because(why), source)
        }
        (libc::EACCES | libc::EPERM, Send(_) | Connect(_)) => TransportError::PermissionDenied {
            action: because("a firewall rule or a prohibit route of this host forbids it"),
            source,
        },
        // ICMPv6 "administratively prohibited" comes from another host.
        (libc::EACCES, Opening(_) | Ping(_)) => {
            connection("a firewall of the peer, or on the way to it, rejects it")
        }
        (libc::EACCES, Connection) => TransportError::connection_failed(action, &source),
        _ => TransportError::from_os(action, source),
    }
}

/// Why an address is unreachable over a link that is up, and what to do.
fn no_route(to: &Ipv6Addr, interface: &str, any_source: bool) -> String {
    let dev = word(interface);
    let what = if to.is_loopback() {
        "this is the address of a host itself, which only lo leads to".to_owned()
    } else if to.is_unicast_link_local() {
        format!("the route to link-local addresses is missing; add it: ip -6 route add fe80::/64 dev {dev}")
    } else if to.is_multicast() {
        format!(
            "the route to multicast groups is missing; add it: ip -6 route add multicast ff00::/8 \
             dev {dev} table local"
        )
    } else if any_source {
        format!(
            "no route of this host leads there; add one: ip -6 route add {to}/128 dev {dev}, or \
             give the peer's link-local address, fe80::…"
        )
    } else {
        "no route of this host leads there; give the peer's link-local address, fe80::…".to_owned()
    };
    format!("{interface} is up, but {what}")
}

#[cfg(test)]
mod tests;
