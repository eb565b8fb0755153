//! Who else has a hand on the interface: bridges, bonds, NetworkManager, systemd-networkd.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;

pub fn all(sys: &SysRoot, name: &str) -> Vec<Finding> {
    vec![master(sys, name), managed(sys, name)]
}

fn master(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "bridge";
    let Some(master) = sys.link(&format!("sys/class/net/{name}/master")) else {
        return Finding::good(CHECK, "it is in no bridge or bond");
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
        format!("it belongs to the {what} {master}, which takes what arrives on it"),
    )
    .fixed_by(
        Fix::new(["ip", "link", "set", "dev"])
            .names([name])
            .words(["nomaster"]),
    )
}

/// A manager that waits for DHCP on a cable takes its addresses away when none answers.
fn managed(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "managed";
    let Some(index) = sys.read(&format!("sys/class/net/{name}/ifindex")) else {
        return Finding::unknown(CHECK, "its index cannot be read");
    };
    if index.parse::<u32>().is_err() {
        return Finding::unknown(CHECK, format!("its index is {index}, which is no number"));
    }
    let manager = sys.read(&format!("run/NetworkManager/devices/{index}"));
    let networkd = sys.read(&format!("run/systemd/netif/links/{index}"));
    if value(&manager, "managed") == Some("true") {
        return Finding::warning(
            CHECK,
            "NetworkManager manages it: waiting for DHCP in vain, it may take its addresses away",
        )
        .fixed_by(
            Fix::new(["nmcli", "device", "set"])
                .names([name])
                .words(["managed", "no"]),
        )
        .advise("or give its connection the method link-local for IPv6, and disabled for IPv4; until the next start:");
    }
    match value(&networkd, "ADMIN_STATE") {
        None | Some("unmanaged") if manager.is_none() && sys.exists("run/NetworkManager/devices") => {
            Finding::unknown(CHECK, "NetworkManager runs, and has not said whether it manages it")
                .advise("`nmcli device status` tells")
        }
        None | Some("unmanaged") => Finding::good(
            CHECK,
            "neither NetworkManager nor systemd-networkd manages it, by what they keep in /run",
        ),
        Some("configured") => Finding::good(CHECK, "systemd-networkd has configured it"),
        Some(state) => Finding::warning(
            CHECK,
            format!("systemd-networkd manages it, and is at \"{state}\": it may take its addresses away"),
        )
        .advise("in its .network file: [Network] LinkLocalAddressing=ipv6, DHCP=no, IPv6AcceptRA=no; then `networkctl reload`"),
    }
}

/// `key=value` in a file of lines.
fn value<'a>(text: &'a Option<String>, key: &str) -> Option<&'a str> {
    let lines = text.as_deref()?.lines();
    lines
        .filter_map(|line| line.split_once('='))
        .find_map(|(name, value)| (name == key).then_some(value))
}
