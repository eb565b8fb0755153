//! The network interface: there, up, with carrier and an address that can be used.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;

/// The driver's name in sysfs.
pub const DRIVER: &str = "thunderbolt-net";
/// IFF_UP in `flags` (netdevice(7)).
const UP: u64 = 0x1;
/// IFA_F_TENTATIVE and IFA_F_DADFAILED in if_inet6 (linux/if_addr.h).
const TENTATIVE: u64 = 0x40;
const DUPLICATE: u64 = 0x08;
/// A link-local address's scope in if_inet6.
const LINK: &str = "20";
/// What both ends are best set to.
const BEST_MTU: u64 = 65_520;

/// The interface that is meant.
pub fn find(sys: &SysRoot, asked: &str) -> (Option<String>, Finding) {
    const CHECK: &str = "interface";
    let all = sys.list("sys/class/net");
    if let Some(real) = sys.interfaces() {
        // A /sys from before this network namespace: all that it says is of other interfaces.
        let shown = |(name, index): &(String, u32)| {
            sys.number(&format!("sys/class/net/{name}/ifindex")) == Some((*index).into())
        };
        if !real.iter().all(shown) {
            return (
                None,
                Finding::unknown(
                    CHECK,
                    "/sys shows the interfaces of another network namespace than this program's",
                )
                .advise("`ip netns exec NAME dcf-tb doctor` mounts the right one, and so does nsenter with a shell's `mount -t sysfs sysfs /sys`"),
            );
        }
    }
    let driver = |name: &str| sys.link(&format!("sys/class/net/{name}/device/driver"));
    if asked != "auto" {
        if !all.iter().any(|name| name == asked) {
            let text = format!("there is no {asked}; this host has {}", all.join(", "));
            return (None, Finding::problem(CHECK, text));
        }
        let finding = match driver(asked) {
            Some(driver) if driver == DRIVER => Finding::good(CHECK, asked),
            Some(driver) => Finding::note(
                CHECK,
                format!("{asked} has the driver {driver}, not {DRIVER}"),
            ),
            None => Finding::note(
                CHECK,
                format!("{asked} is no device of the driver {DRIVER}"),
            ),
        };
        return (Some(asked.to_owned()), finding);
    }
    let is_ours = |name: &&String| driver(name).as_deref() == Some(DRIVER);
    let ours: Vec<&String> = all.iter().filter(is_ours).collect();
    match &ours[..] {
        [] => (
            None,
            Finding::problem(CHECK, format!("no interface has the driver {DRIVER}")).advise(
                "plug the cable in (a Thunderbolt or USB4 one); the other host must be awake, and have its driver loaded",
            ),
        ),
        [only] => (Some((*only).clone()), Finding::good(CHECK, only.as_str())),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            let text = format!("several interfaces have the driver {DRIVER}: {}", names.join(", "));
            (None, Finding::problem(CHECK, text).advise("name one: --interface, or DCF_TB_INTERFACE"))
        }
    }
}

pub fn all(sys: &SysRoot, name: &str) -> Vec<Finding> {
    let is_up = flags(sys, name).is_some_and(|flags| flags & UP != 0);
    let mut findings = vec![up(sys, name)];
    if is_up {
        findings.push(carrier(sys, name));
    }
    findings.push(address(sys, name, is_up));
    findings.push(mtu(sys, name));
    findings
}

fn flags(sys: &SysRoot, name: &str) -> Option<u64> {
    let text = sys.read(&format!("sys/class/net/{name}/flags"))?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn up(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "up";
    match flags(sys, name) {
        Some(flags) if flags & UP != 0 => Finding::good(CHECK, "the interface is switched on"),
        Some(_) => {
            Finding::problem(CHECK, "the interface is switched off").fixed_by(set(name, &["up"]))
        }
        None => Finding::unknown(CHECK, "its flags cannot be read"),
    }
}

/// A change of the interface.
fn set(name: &str, what: &[&str]) -> Fix {
    Fix::new(["ip", "link", "set", "dev"])
        .names([name])
        .words(what.iter().copied())
}

/// A setting of IPv6 of the interface, whose name may have dots.
fn sysctl(name: &str, setting: &str) -> Fix {
    // In a key that begins with slashes, dots are those of names (sysctl(8)).
    let key = match name.contains('.') {
        true => format!("net/ipv6/conf/{name}/{setting}"),
        false => format!("net.ipv6.conf.{name}.{setting}"),
    };
    Fix::new(["sysctl", "-w", &key])
}

fn has_carrier(sys: &SysRoot, name: &str) -> bool {
    sys.number(&format!("sys/class/net/{name}/carrier")) == Some(1)
}

fn carrier(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "carrier";
    match sys.number(&format!("sys/class/net/{name}/carrier")) {
        Some(1) => Finding::good(CHECK, "the kernel says that the link has carrier"),
        Some(_) => Finding::problem(CHECK, "the other host has not logged in on the cable").advise(
            "over there: wake it, `sudo modprobe thunderbolt-net`, and with INTERFACE as it is called there \
             `sudo ip link set dev INTERFACE up`",
        ),
        None => Finding::unknown(CHECK, "it cannot be read"),
    }
}

/// The flags of each link-local address, as proc(5) has them: address, index, prefix, scope, flags, name.
fn addresses(sys: &SysRoot, name: &str) -> Option<Vec<u64>> {
    let table = sys.read("proc/net/if_inet6")?;
    let flags = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, _, _, LINK, flags, of] if of == name => u64::from_str_radix(flags, 16).ok(),
            _ => None,
        }
    };
    Some(table.lines().filter_map(flags).collect())
}

fn address(sys: &SysRoot, name: &str, is_up: bool) -> Finding {
    const CHECK: &str = "address";
    let disabled =
        |scope: &str| sys.number(&format!("proc/sys/net/ipv6/conf/{scope}/disable_ipv6"));
    if disabled(name) == Some(1) {
        return Finding::problem(CHECK, "IPv6 is switched off on this interface")
            .fixed_by(sysctl(name, "disable_ipv6=0"));
    }
    let Some(found) = addresses(sys, name) else {
        return Finding::problem(CHECK, "this kernel has no IPv6")
            .advise("remove ipv6.disable=1 from its command line");
    };
    if found
        .iter()
        .any(|flags| flags & (TENTATIVE | DUPLICATE) == 0)
    {
        return Finding::good(CHECK, "it has a link-local address");
    }
    if found.iter().any(|flags| flags & DUPLICATE != 0) {
        return Finding::problem(
            CHECK,
            "its link-local address is taken by the other host (duplicate address)",
        )
        .fixed_by(sysctl(name, "addr_gen_mode=3"))
        .fixed_by(set(name, &["down"]))
        .fixed_by(set(name, &["up"]))
        .advise("a random one instead (until the next start):");
    }
    if !found.is_empty() {
        return Finding::warning(
            CHECK,
            "its link-local address is still being checked for duplicates",
        )
        .advise("that takes a second or two: look again");
    }
    let finding = Finding::problem(CHECK, "it has no link-local address");
    let mode = format!("proc/sys/net/ipv6/conf/{name}/addr_gen_mode");
    if !is_up {
        return finding.advise("it gets one when it is up");
    }
    match sys.number(&mode) {
        // IN6_ADDR_GEN_MODE_NONE: whoever manages it is to give it one.
        Some(1) => finding
            .fixed_by(sysctl(name, "addr_gen_mode=0"))
            .fixed_by(set(name, &["down"]))
            .fixed_by(set(name, &["up"])),
        // Somebody took it away: it comes again with the interface.
        _ if has_carrier(sys, name) => finding
            .fixed_by(set(name, &["down"]))
            .fixed_by(set(name, &["up"])),
        _ => finding.advise("it gets one with the carrier"),
    }
}

fn mtu(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "mtu";
    let path = format!("sys/class/net/{name}/mtu");
    match sys.number(&path) {
        Some(mtu @ BEST_MTU..) => Finding::good(CHECK, format!("{mtu} on this host")),
        Some(mtu) => Finding::warning(
            CHECK,
            format!("{mtu}: large packets are several times as fast ({BEST_MTU})"),
        )
        .fixed_by(set(name, &["mtu", &BEST_MTU.to_string()]))
        .advise("on both hosts, or what is larger than the other's gets lost:"),
        None => Finding::unknown(CHECK, "it cannot be read"),
    }
}
