//! What was probably meant by an address with a port that is not written in brackets.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::can_name_an_interface;

/// The peer string that `text` was probably meant to be: `[fe80::1%tb0]:5001` for `fe80::1%tb0:5001`.
/// `None` if `text` is written as a peer string is, or as nothing like one. The port is `PORT` where
/// `text` has none that can be one.
///
/// It is for error texts, in programs that read peer strings themselves. `fe80::1:5001` is a peer
/// string, whatever was meant: its last group is part of the address.
pub fn suggest_peer(text: &str) -> Option<String> {
    let (host, port) = taken_apart(text.trim())?;
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

/// The address with its interface in a text that has both, `fe80::1%tb0`, without brackets and port.
///
/// It is for error texts, where an interface or an address of one's own was asked for.
pub fn address_in(text: &str) -> Option<String> {
    let (host, _) = taken_apart(text.trim())?;
    let (address, zone) = host.split_once('%')?;
    (address.parse::<Ipv6Addr>().is_ok() && can_name_an_interface(zone)).then_some(host)
}

/// The interface in such a text.
///
/// It is for error texts, where the name of an interface was asked for.
pub fn interface_in(text: &str) -> Option<String> {
    let address = address_in(text)?;
    address
        .split_once('%')
        .map(|(_, interface)| interface.to_owned())
}

/// The host, and what stands where a port may.
fn taken_apart(text: &str) -> Option<(String, Option<String>)> {
    let bare = |text: &str| text.replace(['[', ']'], "");
    if let Some((host, port)) = text.rsplit_once("]:") {
        let host = bare(host);
        return match port.split_once('%') {
            // [fe80::1]:5001%tb0
            Some((port, zone)) if is_port(port) => {
                Some((format!("{host}%{zone}"), Some(port.to_owned())))
            }
            _ if is_port(port) => Some((host, Some(port.to_owned()))),
            // Only the port is wrong, and nobody knows what it should be.
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

/// A hint for the texts of those that do not reach `to`: the last group of its address may have been
/// meant as a port. Empty if it does not look like one.
pub(crate) fn perhaps_a_port(to: &SocketAddrV6, interface: &str) -> String {
    let [first, second, third, fourth, rest @ ..] = to.ip().segments();
    let last = format!("{:x}", rest[3]);
    if !is_port(&last) {
        return String::new();
    }
    // Behind a whole interface identifier it fills the subnet, which link-local addresses have none of;
    // else behind a short one it is a number that ports usually have.
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
