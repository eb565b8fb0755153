//! Managers of rules, ufw and firewalld: how to add a rule, and what they have recorded.

use super::judge::outcome;
use super::packet::{self, Packet, Ports, Way};
use super::rules::Base;
use super::save;
use crate::doctor::finding::{Finding, Fix};
use crate::doctor::sysroot::SysRoot;

/// The name of the check.
pub const CHECK: &str = "firewall";

pub fn has_ufw(sys: &SysRoot) -> bool {
    sys.read("etc/ufw/ufw.conf")
        .is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"))
}

pub fn trust(name: &str) -> Fix {
    Fix::new([
        "firewall-cmd",
        "--zone=trusted",
        &format!("--change-interface={name}"),
    ])
}

/// The finding without the kernel's rules: it relies on what managers of rules have recorded.
pub fn unread(sys: &SysRoot, why: &str, interface: Option<&str>, ports: Ports) -> Finding {
    let unknown = || {
        Finding::unknown(
            CHECK,
            format!("the kernel's packet filter rules are unknown: {why}"),
        )
        .advise("run doctor as root, with nft installed, to read them")
    };
    let Some(name) = interface else {
        return unknown();
    };
    if has_ufw(sys) {
        let dropped = ufw_drops(sys, name, ports);
        return match dropped.is_empty() {
            false => Finding::problem(
                CHECK,
                format!("ufw is active and drops on {name}: {}", dropped.join(", ")),
            )
            .fixed_by(Fix::new(["ufw", "allow", "in", "on"]).names([name])),
            true => unknown(),
        };
    }
    if sys.exists("run/firewalld") {
        let zones = sys.ask(&["firewall-cmd", "--get-active-zones"]);
        return match zones {
            Ok(zones) if is_trusted(&zones, name) => Finding::note(
                CHECK,
                format!(
                    "firewalld has {name} in its zone \"trusted\"; other rules are unknown: {why}"
                ),
            ),
            Ok(_) => Finding::warning(
                CHECK,
                format!("firewalld is active, and {name} is not in its zone \"trusted\""),
            )
            .fixed_by(trust(name)),
            Err(_) => unknown(),
        };
    }
    unknown()
}

/// The packets that ufw's own list certainly drops, of those that start something and arrive here.
fn ufw_drops(sys: &SysRoot, name: &str, ports: Ports) -> Vec<String> {
    let rules = sys.read("etc/ufw/user6.rules").unwrap_or_default();
    let accepts = sys.read("etc/default/ufw").is_some_and(|text| {
        let policy = |line: &str| line.trim() == "DEFAULT_INPUT_POLICY=\"ACCEPT\"";
        text.lines().any(policy)
    });
    // Other chains of ufw jump to this list; its policy applies at the end.
    let rules = format!("*filter\n:ufw6-user-input -\n{rules}");
    let mut chains = save::read(&rules, "ip6");
    let list = chains
        .iter_mut()
        .find(|chain| chain.name == "ufw6-user-input");
    if let Some(list) = list {
        list.base = Some(Base {
            way: Way::In,
            drops: !accepts,
            devices: None,
        });
    }
    let packets = packet::all(Some(name), ports);
    let begins = |packet: &&Packet| packet.state == "new" && !packet.is_answer_to_a_search;
    let is_dropped = |packet: &&Packet| {
        let (outcomes, _) = outcome(&chains, packet);
        outcomes.drop && !outcomes.accept
    };
    let dropped = packets.iter().filter(begins).filter(is_dropped);
    dropped.map(|packet| packet.what.clone()).collect()
}

/// Whether the zone "trusted" has this interface.
fn is_trusted(zones: &str, name: &str) -> bool {
    let mut trusted = false;
    for line in zones.lines() {
        if !line.starts_with(' ') {
            trusted = line.split_whitespace().next() == Some("trusted");
        } else if trusted && line.split_whitespace().any(|word| word == name) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn zones_are_followed_by_their_interfaces() {
        let zones = "public (default)\n  interfaces: eth0\ntrusted\n  interfaces: thunderbolt0 x\n";
        assert!(is_trusted(zones, "thunderbolt0"));
        assert!(!is_trusted(zones, "eth0") && !is_trusted("", "thunderbolt0"));
    }
}
