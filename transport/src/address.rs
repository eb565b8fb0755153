//! Peer strings: `fe80::1%thunderbolt0`, or `[fe80::1%thunderbolt0]:6000` with a port.

mod hint;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

pub(crate) use hint::perhaps_a_port;
pub use hint::{address_in, interface_in, suggest_peer};

use crate::error::{Result, TransportError};
use crate::sys::netlink::{Kernel, Which};

/// The length in bytes of the longest peer string that this crate returns.
pub const MAX_PEER_TEXT: usize = 79;

/// The interface to which a transport is bound, for parsing addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub interface: &'a str,
    /// `None` while the interface is absent.
    pub index: Option<u32>,
    /// For looking up other interfaces.
    pub kernel: &'a Kernel,
}

/// The port of this transport, which is the default port of peer strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnPort {
    /// A configured port. Peers are assumed to have the same one.
    Configured(u16),
    /// A port that the kernel chose. Peers have other ones.
    AnyFree {
        /// The port.
        number: u16,
        /// The name of the setting for it.
        setting: &'static str,
    },
}

impl OwnPort {
    pub fn new(configured: u16, number: u16, setting: &'static str) -> Self {
        match configured {
            0 => Self::AnyFree { number, setting },
            _ => Self::Configured(number),
        }
    }

    pub fn number(self) -> u16 {
        match self {
            Self::Configured(number) | Self::AnyFree { number, .. } => number,
        }
    }

    /// For parsing where the peer's port does not matter.
    pub fn ignored(self) -> Self {
        match self {
            // The cache of parsed peer strings has this number in its key. 1 keeps these entries
            // apart from those whose port matters.
            Self::AnyFree { .. } => Self::Configured(1),
            configured => configured,
        }
    }

    /// Whether a peer string for `ip` without a port means this port.
    fn is_default_for(self, ip: &Ipv6Addr) -> bool {
        // A loopback address is this transport itself.
        matches!(self, Self::Configured(_)) || ip.is_loopback()
    }
}

/// Parses a peer string. Without a port it means `own_port`, if the peer can have that port.
pub(crate) fn parse(text: &str, scope: Scope<'_>, own_port: OwnPort) -> Result<SocketAddrV6> {
    let invalid = |reason: String| {
        let suggestion = match suggest_peer(text) {
            Some(peer) => format!("; did you mean \"{peer}\"?"),
            None => String::new(),
        };
        TransportError::invalid_address(text, format_args!("{reason}{suggestion}"))
    };
    let (host, port) = split_port(text).map_err(|reason| invalid(reason.to_owned()))?;
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    let ip: Ipv6Addr = address
        .parse()
        .map_err(|_| invalid(not_an_address(address, scope)))?;
    if ip.is_unspecified() {
        return Err(invalid(
            "the unspecified address belongs to no host".to_owned(),
        ));
    }
    if ip.to_ipv4_mapped().is_some() {
        return Err(invalid(
            "it is an IPv4 address in IPv6 form; the link speaks IPv6 only".to_owned(),
        ));
    }
    if let Some(zone) = zone {
        check_zone(zone, scope, invalid)?;
    }
    let port = match (port, own_port) {
        (Some(port), _) => port,
        (None, OwnPort::AnyFree { setting, .. }) if !own_port.is_default_for(&ip) => {
            return Err(invalid(format!(
                "it names no port, and no other host has our own one, which the kernel chose \
                 ({setting} is 0): write [{ip}%{}]:PORT, with the peer's {setting}{}",
                scope.interface,
                perhaps_a_port(&SocketAddrV6::new(ip, 0, 0, 0), scope.interface)
            )));
        }
        (None, own_port) => own_port.number(),
    };
    Ok(SocketAddrV6::new(ip, port, 0, scope.index.unwrap_or(0)))
}

/// Splits `[host]:port`. A host without brackets has no port.
fn split_port(text: &str) -> std::result::Result<(&str, Option<u16>), &'static str> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok((text, None));
    };
    let (host, port) = inner
        .rsplit_once("]:")
        .ok_or("an address in brackets ends in \"]:PORT\"")?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port != 0 => Ok((host, Some(port))),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

fn not_an_address(text: &str, scope: Scope<'_>) -> String {
    let example = format!("give an IPv6 address such as fe80::1%{}", scope.interface);
    if text.is_empty() {
        format!("it is empty; {example}")
    } else if text.parse::<Ipv4Addr>().is_ok() || text.parse::<SocketAddrV4>().is_ok() {
        format!("it is an IPv4 address; {example}")
    } else {
        format!("it is not an IPv6 address (host names are not looked up); {example}")
    }
}

/// Checks that a zone is the transport's interface, by name or by index.
fn check_zone(
    zone: &str,
    scope: Scope<'_>,
    invalid: impl Fn(String) -> TransportError,
) -> Result<()> {
    if zone == scope.interface {
        return Ok(());
    }
    let ours = scope.interface;
    if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) {
        let index: u32 = zone
            .parse()
            .map_err(|_| invalid(format!("interface index {zone} is too large")))?;
        if Some(index) == scope.index {
            return Ok(());
        }
        if index != 0 && matches!(scope.kernel.interface(Which::Index(index)), Ok(None)) {
            return Err(TransportError::interface_not_found(
                zone,
                format_args!("no interface has this index; this transport is bound to {ours}"),
            ));
        }
    } else if !can_name_an_interface(zone) {
        return Err(invalid(format!(
            "{zone:?} cannot be the name of an interface"
        )));
    } else {
        match scope.kernel.interface(Which::Name(zone)) {
            // An alternative name of our interface.
            Ok(Some(found)) if Some(found.index) == scope.index => return Ok(()),
            Ok(None) => {
                return Err(TransportError::interface_not_found(
                    zone,
                    format_args!("there is none of this name; this transport is bound to {ours}"),
                ))
            }
            // Another interface, or an unknown one: not ours.
            Ok(Some(_)) | Err(_) => {}
        }
    }
    Err(invalid(format!(
        "interface {zone} is not {ours}, which this transport is bound to"
    )))
}

/// Whether Linux accepts the name (dev_valid_name in net/core/dev.c). `.` and `..` are not checked.
fn can_name_an_interface(zone: &str) -> bool {
    let forbidden = |c: char| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace();
    (1..libc::IF_NAMESIZE).contains(&zone.len()) && !zone.contains(forbidden)
}

/// Writes an address so that [`parse`] returns it. The port is omitted if it is the default.
pub(crate) fn write(text: &mut String, address: &SocketAddrV6, interface: &str, own_port: OwnPort) {
    text.clear();
    let (ip, port) = (address.ip(), address.port());
    // Writing to a String cannot fail.
    let _ = if port == own_port.number() && own_port.is_default_for(ip) {
        write!(text, "{ip}%{interface}")
    } else {
        write!(text, "[{ip}%{interface}]:{port}")
    };
}

/// Like [`write()`], into a new string.
pub(crate) fn format(address: &SocketAddrV6, interface: &str, own_port: OwnPort) -> String {
    let mut text = String::new();
    write(&mut text, address, interface, own_port);
    text
}

/// Whether an address is link-local (fe80::/10, RFC 4291, 2.5.6) or loopback. A cable between two
/// machines has no other ones.
pub(crate) fn is_local(ip: &Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip.is_loopback()
}

#[cfg(test)]
mod tests;
