//! Suggestions for malformed addresses, such as an address with a port but without brackets.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::can_name_an_interface;

/// The peer string that the user probably meant by `text`: `[fe80::1%tb0]:5001` for
/// `fe80::1%tb0:5001`. `None` if `text` is a valid peer string or does not resemble one. If `text` has
/// no valid port, the suggestion has `PORT` instead.
///
/// Use it for error texts in programs that parse peer strings themselves. `fe80::1:5001` is a valid
/// peer string: its last group is part of the address.
pub fn suggest_peer(text: &str) -> Option<String> {
    let (host, port) = split(text.trim())?;
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host.as_str(), None),
    };
    address.parse::<Ipv6Addr>().ok()?;
    if zone.is_some_and(|zone| !can_name_an_interface(zone)) {
        return None;
    }
    let suggestion = match port {
        None => host,
        Some(port) if is_port(&port) => format!("[{host}]:{port}"),
        Some(_) => format!("[{host}]:PORT"),
    };
    (suggestion != text).then_some(suggestion)
}

/// The address with its interface, `fe80::1%tb0`, in a text that has both, without brackets and port.
///
/// Use it for error texts, where the user should have given an interface or a local address.
pub fn address_in(text: &str) -> Option<String> {
    let (host, _) = split(text.trim())?;
    let (address, zone) = host.split_once('%')?;
    (address.parse::<Ipv6Addr>().is_ok() && can_name_an_interface(zone)).then_some(host)
}

/// The interface in a text that has an address with an interface, as for [`address_in`].
///
/// Use it for error texts, where the user should have given the name of an interface.
pub fn interface_in(text: &str) -> Option<String> {
    let address = address_in(text)?;
    address
        .split_once('%')
        .map(|(_, interface)| interface.to_owned())
}

/// Splits a text into the host and the part in the place of a port.
fn split(text: &str) -> Option<(String, Option<String>)> {
    let bare = |text: &str| text.replace(['[', ']'], "");
    if let Some((host, port)) = text.rsplit_once("]:") {
        let host = bare(host);
        return match port.split_once('%') {
            // [fe80::1]:5001%tb0
            Some((port, zone)) if is_port(port) => {
                Some((format!("{host}%{zone}"), Some(port.to_owned())))
            }
            _ if is_port(port) => Some((host, Some(port.to_owned()))),
            // Only the port is wrong, and no correct one can be suggested.
            _ => None,
        };
    }
    let text = bare(text);
    // A port comes after the zone, and a zone has no colon.
    if let Some((address, zone)) = text.split_once('%') {
        return Some(match zone.split_once(':') {
            Some((zone, port)) => (format!("{address}%{zone}"), Some(port.to_owned())),
            None => (text, None),
        });
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    let (address, port) = text.rsplit_once(':')?;
    Some((address.to_owned(), Some(port.to_owned())))
}

fn is_port(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse().is_ok_and(|port: u16| port != 0)
}

/// A hint for error texts about an unreachable peer: the user may have intended the last group of its
/// address as a port. Empty if that is unlikely.
pub(crate) fn perhaps_a_port(to: &SocketAddrV6, interface: &str) -> String {
    let [first, second, third, fourth, rest @ ..] = to.ip().segments();
    let last = format!("{:x}", rest[3]);
    if !is_port(&last) {
        return String::new();
    }
    // After a complete interface identifier, the group shifts the others into the subnet, which
    // link-local addresses do not have. After a short one, the group is a number typical of ports.
    let swallowed = first == 0xfe80 && fourth != 0;
    let short = [second, third, fourth, rest[0], rest[1]] == [0; 5]
        && (first == 0 || first == 0xfe80)
        && rest[2] != 0
        && last.len() >= 4;
    if second != 0 || third != 0 || !(swallowed || short) {
        return String::new();
    }
    let meant = Ipv6Addr::from([first, 0, 0, 0, fourth, rest[0], rest[1], rest[2]]);
    format!("; \"{last}\" is part of the address: if it is the port, write \"[{meant}%{interface}]:{last}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_brackets_gets_them() {
        for (text, meant) in [
            ("::1%lo:5000", "[::1%lo]:5000"),
            ("fe80::1%thunderbolt0:5001", "[fe80::1%thunderbolt0]:5001"),
            ("fe80::1%2:5001", "[fe80::1%2]:5001"),
            ("fe80:0:0:0:0:0:0:1:5001", "[fe80:0:0:0:0:0:0:1]:5001"),
            (
                "fe80::a8bb:ccff:fedd:1234%tb0:1",
                "[fe80::a8bb:ccff:fedd:1234%tb0]:1",
            ),
            ("::1%lo:", "[::1%lo]:PORT"),
            ("::1%lo:0", "[::1%lo]:PORT"),
            ("::1%lo:70000", "[::1%lo]:PORT"),
            ("::1%lo:http", "[::1%lo]:PORT"),
            ("::1%lo]:5000", "[::1%lo]:5000"),
            ("[::1%lo:5000", "[::1%lo]:5000"),
            ("[::1]%lo:5000", "[::1%lo]:5000"),
            ("[::1]:5000%lo", "[::1%lo]:5000"),
            ("[[::1%lo]]:5000", "[::1%lo]:5000"),
            ("[::1%lo]", "::1%lo"),
            ("[::1]%lo", "::1%lo"),
            ("[::1]", "::1"),
            (" ::1%lo:5000\n", "[::1%lo]:5000"),
            (" ::1%lo", "::1%lo"),
        ] {
            assert_eq!(suggest_peer(text).as_deref(), Some(meant), "{text:?}");
        }
    }

    #[test]
    fn an_address_and_its_interface_are_found() {
        for text in ["::1%lo", "::1%lo:5000", "[::1%lo]:5000", "[::1]%lo"] {
            assert_eq!(address_in(text).as_deref(), Some("::1%lo"), "{text}");
            assert_eq!(interface_in(text).as_deref(), Some("lo"), "{text}");
        }
        for text in ["lo", "lo:1", "::1", "", "a%lo", "[::1]:5000"] {
            assert_eq!(address_in(text), None, "{text}");
            assert_eq!(interface_in(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_as_it_should_be_or_means_nothing_gets_no_advice() {
        for text in [
            "",
            ":",
            "%",
            "]:",
            "::1",
            "::1%lo",
            "::1%2",
            "fe80::1:5000",
            "[::1%lo]:5000",
            "[::1]:",
            "[::1]:0",
            "[::1]:+1",
            "127.0.0.1",
            "127.0.0.1:5000",
            "localhost:5000",
            "::1%",
            "::1%lo%lo",
            "::1%a-name-of-sixteen:5000",
            "./::1:5000",
        ] {
            assert_eq!(suggest_peer(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_port_in_the_address_is_told_from_a_group() {
        let hint = |ip: &str| {
            let to = SocketAddrV6::new(ip.parse().unwrap(), 5000, 0, 1);
            perhaps_a_port(&to, "tb0")
        };
        for (ip, meant) in [
            ("::1:5000", "[::1%tb0]:5000"),
            ("fe80::1:5001", "[fe80::1%tb0]:5001"),
            (
                "fe80::a8bb:ccff:fedd:12:6000",
                "[fe80::a8bb:ccff:fedd:12%tb0]:6000",
            ),
        ] {
            assert!(
                hint(ip).contains(&format!("write \"{meant}\"")),
                "{}",
                hint(ip)
            );
        }
        for ip in [
            "::1",
            "::5000",
            "fe80::1",
            "fe80::5000",
            "fe80::1:2",
            "fe80::1:500a",
            "fe80::a8bb:ccff:fedd:1234",
            "2001:db8::1:5000",
            "ff02::1:5000",
            "::ffff:1.2.80.0",
        ] {
            assert_eq!(hint(ip), "", "{ip}");
        }
    }
}
