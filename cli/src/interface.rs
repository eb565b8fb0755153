//! The name of the network interface.

use crate::common::Common;
use crate::peer::without_port;

/// The interface name for automatic selection.
const AUTO: &str = "auto";

/// The interface to use: the option's, or else the one that the peer's address names.
pub fn interface(common: &Common, peer: Option<&str>) -> String {
    let zone = peer.and_then(|peer| without_port(peer).split_once('%'));
    match zone {
        Some((_, zone)) if common.interface == AUTO => named(zone),
        _ => common.interface.clone(),
    }
}

/// Whether this is no name, but asks for the automatic selection.
pub fn is_auto(interface: &str) -> bool {
    interface == AUTO
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_a_shell_are_plain() {
        assert!(is_plain("thunderbolt0") && is_plain("enp2s0.7"));
        for odd in ["$(reboot)", "a;b", "a'b", "a b", "ü", "", "-f"] {
            assert!(!is_plain(odd), "{odd}");
        }
    }

    #[test]
    fn the_peers_interface_is_meant_when_none_is_named() {
        let mut options = Common {
            interface: AUTO.to_owned(),
            control_port: 5000,
            data_port: 5001,
            quiet: false,
            verbose: 0,
        };
        assert_eq!(interface(&options, Some("fe80::1%tb7")), "tb7");
        assert_eq!(interface(&options, Some("[fe80::1%tb7]:1")), "tb7");
        assert_eq!(interface(&options, Some("::1%1")), "lo", "by its index");
        assert_eq!(interface(&options, Some("fe80::1")), AUTO);
        options.interface = "tb1".to_owned();
        assert_eq!(interface(&options, Some("fe80::1%tb7")), "tb1");
    }
}
