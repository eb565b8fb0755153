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
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn kernel() -> &'static Kernel {
        static KERNEL: OnceLock<Kernel> = OnceLock::new();
        KERNEL.get_or_init(Kernel::new)
    }

    const OWN: OwnPort = OwnPort::Configured(5000);

    fn lo() -> Scope<'static> {
        Scope {
            interface: "lo",
            index: Some(1),
            kernel: kernel(),
        }
    }

    #[test]
    fn every_form_of_a_peer_is_read() {
        let bare = parse("fe80::1%lo", lo(), OWN).unwrap();
        assert_eq!((bare.port(), bare.scope_id()), (5000, 1));
        for same in [
            "fe80::1",
            "fe80::1%1",
            "fe80:0::1%lo",
            "[fe80::1]:5000",
            "[fe80::1%1]:5000",
        ] {
            assert_eq!(parse(same, lo(), OWN).unwrap(), bare, "{same}");
        }
        assert_eq!(parse("[::1%lo]:6000", lo(), OWN).unwrap().port(), 6000);
    }

    #[test]
    fn what_is_no_peer_is_refused_and_quoted() {
        let wrong = [
            "",
            " ",
            "%lo",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "localhost",
            "fe80::1 ",
            " fe80::1",
            "::",
            "fe80::1%",
            "fe80::1%lo ",
            "fe80::1%0",
            "fe80::1%lo%lo",
            "fe80::1%99999999999",
            "[fe80::1]",
            "[fe80::1]:",
            "[fe80::1]:0",
            "[fe80::1]:65536",
            "[fe80::1]:+1",
            "[fe80::1]:5000x",
            "fe80::1]:5000",
            "[[fe80::1]]:5000",
            "fe80::1:5000:%lo",
            "[]:5000",
            "fe80::1%lo\n",
        ];
        for text in wrong {
            let error = parse(text, lo(), OWN).unwrap_err();
            assert!(quotes(&error, text), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn a_port_without_brackets_is_refused_with_the_form_that_was_meant() {
        for (text, words) in [
            (
                "::1%lo:5000",
                ["\"lo:5000\" cannot be", "did you mean \"[::1%lo]:5000\"?"],
            ),
            (
                "[::1%lo]",
                ["ends in \"]:PORT\"", "did you mean \"::1%lo\"?"],
            ),
            (
                "::1%lo:70000",
                ["::1%lo:70000", "did you mean \"[::1%lo]:PORT\"?"],
            ),
            (
                "127.0.0.1:5000",
                ["it is an IPv4 address", "127.0.0.1:5000"],
            ),
        ] {
            let error = parse(text, lo(), OWN).unwrap_err().to_string();
            assert!(words.iter().all(|words| error.contains(words)), "{error}");
        }
    }

    #[test]
    fn a_port_that_the_kernel_chose_is_no_peers() {
        let own = OwnPort::new(0, 40_000, "control_port");
        for bare in [
            "fe80::1",
            "fe80::1%lo",
            "fe80::1%1",
            "2001:db8::1",
            "ff02::1",
        ] {
            let error = parse(bare, lo(), own).unwrap_err();
            assert!(quotes(&error, bare), "{error:?}");
            let reason = error.to_string();
            let ip = bare.split('%').next().unwrap();
            let advice = format!("(control_port is 0): write [{ip}%lo]:PORT");
            assert!(reason.contains(&advice), "{reason}");
        }
        assert_eq!(parse("[fe80::1]:5000", lo(), own).unwrap().port(), 5000);
        assert_eq!(parse("::1%lo", lo(), own).unwrap().port(), 40_000);
        assert_eq!(parse("fe80::1", lo(), own.ignored()).unwrap().port(), 1);
        // A peer can have the same port by chance.
        let peer = SocketAddrV6::new("fe80::1".parse().unwrap(), 40_000, 0, 1);
        assert_eq!(format(&peer, "lo", own), "[fe80::1%lo]:40000");
        let ourselves = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 40_000, 0, 1);
        assert_eq!(format(&ourselves, "lo", own), "::1%lo");
    }

    #[test]
    fn interfaces_that_are_not_ours_are_told_from_those_that_do_not_exist() {
        let elsewhere = Scope {
            interface: "thunderbolt0",
            index: Some(999_999),
            kernel: kernel(),
        };
        let error = |text| parse(text, elsewhere, OWN).unwrap_err();
        assert!(matches!(
            error("fe80::1%lo"),
            TransportError::InvalidAddress(_)
        ));
        assert!(matches!(
            error("fe80::1%1"),
            TransportError::InvalidAddress(_)
        ));
        assert!(matches!(
            error("fe80::1%none0"),
            TransportError::InterfaceNotFound(_)
        ));
        assert!(matches!(
            error("fe80::1%888888"),
            TransportError::InterfaceNotFound(_)
        ));
    }

    /// Whether the error rejects the peer string and quotes it.
    fn quotes(error: &TransportError, text: &str) -> bool {
        let start = format!("invalid peer address \"{text}\": ");
        matches!(error, TransportError::InvalidAddress(reason) if reason.starts_with(&start))
    }

    /// Whether the error quotes the interface of the peer string that was not found.
    fn names_the_zone(error: &str, text: &str) -> bool {
        let named = error.strip_prefix("network interface \"");
        let zone = named.and_then(|rest| rest.split_once("\" not found: "));
        zone.is_some_and(|(zone, _)| text.contains(&format!("%{zone}")))
    }

    #[test]
    fn an_interface_with_brackets_in_its_name_is_named() {
        for text in ["::1%a]b", "[::1%a]b]:5000", "[::1%]]:5000"] {
            let error = parse(text, lo(), OWN).unwrap_err();
            assert!(names_the_zone(&error.to_string(), text), "{text}: {error}");
        }
    }

    /// Pieces of peer strings, and characters that are not valid there.
    fn piece() -> impl Strategy<Value = String> {
        let known = [
            "[",
            "]",
            "]:",
            ":",
            "%",
            "%lo",
            "%1",
            "::1",
            "fe80::1",
            "fe80::a:b",
            "0",
            "6000",
            "65536",
            "+1",
            "127.0.0.1",
            "::ffff:1.2.3.4",
            "ff02::1",
            "\0",
            " ",
        ];
        prop_oneof![
            4 => proptest::sample::select(known.map(str::to_owned).to_vec()),
            1 => any::<char>().prop_map(String::from),
        ]
    }

    proptest! {
        #[test]
        fn any_string_means_what_it_is_written_as_or_is_quoted(pieces in vec(piece(), 0..6)) {
            let text = pieces.concat();
            match parse(&text, lo(), OWN) {
                Ok(address) => {
                    prop_assert_ne!(address.port(), 0);
                    prop_assert_eq!(address.scope_id(), 1);
                    let written = format(&address, "lo", OWN);
                    prop_assert_eq!(parse(&written, lo(), OWN).ok(), Some(address));
                }
                Err(error @ TransportError::InterfaceNotFound(_)) => {
                    prop_assert!(names_the_zone(&error.to_string(), &text), "{error}");
                }
                Err(error) => prop_assert!(quotes(&error, &text), "{error:?}"),
            }
        }

        #[test]
        fn any_address_on_any_interface_is_read_back(
            ip: u128, port in 1..=u16::MAX, own_port: u16, configured: bool, interface in "[^/:%\\s\\x00]{1,3}"
        ) {
            let scope = Scope { interface: &interface, index: Some(7), kernel: kernel() };
            let address = SocketAddrV6::new(ip.into(), port, 0, 7);
            prop_assume!(!address.ip().is_unspecified() && address.ip().to_ipv4_mapped().is_none());
            let own_port = OwnPort::new(configured.into(), own_port, "control_port");
            let text = format(&address, &interface, own_port);
            prop_assert!(text.len() <= MAX_PEER_TEXT);
            prop_assert_eq!(parse(&text, scope, own_port).ok(), Some(address), "{}", text);
        }
    }
}
