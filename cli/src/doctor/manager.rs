//! Checks what else controls the interface: bridges, bonds, NetworkManager, systemd-networkd.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;

pub fn all(sys: &SysRoot, name: &str) -> Vec<Finding> {
    vec![master(sys, name), managed(sys, name)]
}

fn master(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "bridge";
    let Some(master) = sys.link(&format!("sys/class/net/{name}/master")) else {
        return Finding::good(CHECK, "it is not part of a bridge or bond");
    };
    let what = if sys.exists(&format!("sys/class/net/{name}/brport")) {
        "bridge"
    } else if sys.exists(&format!("sys/class/net/{master}/bonding")) {
        "bond"
    } else {
        "device"
    };
    Finding::problem(
        CHECK,
        format!("it is part of the {what} {master}, which receives its packets"),
    )
    .fixed_by(
        Fix::new(["ip", "link", "set", "dev"])
            .names([name])
            .words(["nomaster"]),
    )
}

/// A network manager that gets no DHCP answer on the cable removes the addresses.
fn managed(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "managed";
    let Some(index) = sys.read(&format!("sys/class/net/{name}/ifindex")) else {
        return Finding::unknown(CHECK, "cannot read its index");
    };
    if index.parse::<u32>().is_err() {
        return Finding::unknown(CHECK, format!("its index \"{index}\" is not a number"));
    }
    let manager = sys.read(&format!("run/NetworkManager/devices/{index}"));
    let networkd = sys.read(&format!("run/systemd/netif/links/{index}"));
    if value(&manager, "managed") == Some("true") {
        return Finding::warning(
            CHECK,
            "NetworkManager manages it and may remove its addresses when DHCP gets no answer",
        )
        .fixed_by(
            Fix::new(["nmcli", "device", "set"])
                .names([name])
                .words(["managed", "no"]),
        )
        .advise("or set the connection's method to link-local for IPv6 and disabled for IPv4; until the next reboot:");
    }
    match value(&networkd, "ADMIN_STATE") {
        None | Some("unmanaged") if manager.is_none() && sys.exists("run/NetworkManager/devices") => {
            Finding::unknown(CHECK, "NetworkManager is running, but has not recorded whether it manages the interface")
                .advise("run `nmcli device status`")
        }
        None | Some("unmanaged") => Finding::good(
            CHECK,
            "by their state in /run, neither NetworkManager nor systemd-networkd manages it",
        ),
        Some("configured") => Finding::good(CHECK, "systemd-networkd has configured it"),
        Some(state) => Finding::warning(
            CHECK,
            format!("systemd-networkd manages it (state \"{state}\") and may remove its addresses"),
        )
        .advise("set in its .network file: [Network] LinkLocalAddressing=ipv6, DHCP=no, IPv6AcceptRA=no; then run `networkctl reload`"),
    }
}

/// Finds `key=value` in a file of lines.
fn value<'a>(text: &'a Option<String>, key: &str) -> Option<&'a str> {
    let lines = text.as_deref()?.lines();
    lines
        .filter_map(|line| line.split_once('='))
        .find_map(|(name, value)| (name == key).then_some(value))
}
