//! Checks the network interface: present, up, with carrier and a usable address.

use super::finding::{Finding, Fix, Verdict};
use super::sysroot::SysRoot;

/// The driver's name in sysfs.
pub const DRIVER: &str = "thunderbolt-net";
/// IFF_UP in `flags` (netdevice(7)).
const UP: u64 = 0x1;
/// IFA_F_TENTATIVE and IFA_F_DADFAILED in if_inet6 (linux/if_addr.h).
const TENTATIVE: u64 = 0x40;
const DUPLICATE: u64 = 0x08;
/// The scope of a link-local address in if_inet6.
const LINK: &str = "20";
/// The best MTU for both ends.
const BEST_MTU: u64 = 65_520;

pub const OTHERS: &str = "/sys shows the interfaces of another network namespace";
pub const OTHERS_ADVICE: &str =
    "use `ip netns exec NAME dcf-tb ...`, which mounts the right one, or run `mount -t sysfs sysfs /sys` after nsenter";

/// Whether /sys was mounted in another network namespace and shows that one's interfaces.
pub fn shows_others(sys: &SysRoot) -> bool {
    let is_shown = |(name, index): &(String, u32)| {
        sys.number(&format!("sys/class/net/{name}/ifindex")) == Some((*index).into())
    };
    sys.interfaces()
        .is_some_and(|real| !real.iter().all(is_shown))
}

/// Selects the interface.
pub fn find(sys: &SysRoot, asked: &str) -> (Option<String>, Finding) {
    const CHECK: &str = "interface";
    let all = sys.list("sys/class/net");
    if shows_others(sys) {
        let finding = Finding::unknown(CHECK, OTHERS).advise(OTHERS_ADVICE);
        return (None, finding);
    }
    let driver = |name: &str| sys.link(&format!("sys/class/net/{name}/device/driver"));
    if asked != "auto" {
        if !all.iter().any(|name| name == asked) {
            let text = format!("no interface {asked}; this host has {}", all.join(", "));
            return (None, Finding::problem(CHECK, text));
        }
        let finding = match driver(asked) {
            Some(driver) if driver == DRIVER => Finding::good(CHECK, asked),
            Some(driver) => Finding::note(
                CHECK,
                format!("{asked} uses the driver {driver}, not {DRIVER}"),
            ),
            None => Finding::note(CHECK, format!("{asked} does not use the driver {DRIVER}")),
        };
        return (Some(asked.to_owned()), finding);
    }
    let is_ours = |name: &&String| driver(name).as_deref() == Some(DRIVER);
    let ours: Vec<&String> = all.iter().filter(is_ours).collect();
    match &ours[..] {
        [] => (
            None,
            Finding::problem(CHECK, format!("no interface uses the driver {DRIVER}")).advise(
                "plug in a Thunderbolt or USB4 cable; the other host must be awake and have its driver loaded",
            ),
        ),
        [only] => (Some((*only).clone()), Finding::good(CHECK, only.as_str())),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            let text = format!("several interfaces use the driver {DRIVER}: {}", names.join(", "));
            (None, Finding::problem(CHECK, text).advise("choose one with --interface or DCF_TB_INTERFACE"))
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

/// Whether packets can be sent on the interface, or why not.
pub fn state(sys: &SysRoot, name: &str) -> Result<(), String> {
    let problem = all(sys, name)
        .into_iter()
        .find(|finding| finding.verdict == Verdict::Problem);
    problem.map_or(Ok(()), |finding| Err(finding.reason))
}

fn flags(sys: &SysRoot, name: &str) -> Option<u64> {
    let text = sys.read(&format!("sys/class/net/{name}/flags"))?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn up(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "up";
    match flags(sys, name) {
        Some(flags) if flags & UP != 0 => Finding::good(CHECK, "the interface is up"),
        Some(_) => Finding::problem(CHECK, "the interface is down").fixed_by(set(name, &["up"])),
        None => Finding::unknown(CHECK, "cannot read its flags"),
    }
}

/// A command that changes the interface.
fn set(name: &str, what: &[&str]) -> Fix {
    Fix::new(["ip", "link", "set", "dev"])
        .names([name])
        .words(what.iter().copied())
}

/// A command that changes an IPv6 setting of the interface, whose name may contain dots.
fn sysctl(name: &str, setting: &str) -> Fix {
    // In a key with slashes, dots belong to names (sysctl(8)).
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
        Some(1) => Finding::good(CHECK, "the link has carrier"),
        Some(_) => Finding::problem(CHECK, "the link has no carrier: the other host is not connected").advise(
            "on the other host: wake it, run `sudo modprobe thunderbolt-net`, and with the name of its INTERFACE \
             `sudo ip link set dev INTERFACE up`",
        ),
        None => Finding::unknown(CHECK, "cannot read it"),
    }
}

/// The flags of each link-local address. The fields are address, index, prefix, scope, flags, name (proc(5)).
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
        return Finding::problem(CHECK, "IPv6 is disabled on this interface")
            .fixed_by(sysctl(name, "disable_ipv6=0"));
    }
    let Some(found) = addresses(sys, name) else {
        return Finding::problem(CHECK, "this kernel has no IPv6")
            .advise("remove ipv6.disable=1 from the kernel's command line");
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
            "the other host uses the same link-local address (duplicate address)",
        )
        .fixed_by(sysctl(name, "addr_gen_mode=3"))
        .fixed_by(set(name, &["down"]))
        .fixed_by(set(name, &["up"]))
        .advise("use a random address (until the next reboot):");
    }
    if !found.is_empty() {
        return Finding::warning(
            CHECK,
            "its link-local address is still being checked for duplicates",
        )
        .advise("that takes a second or two; run doctor again");
    }
    let finding = Finding::problem(CHECK, "it has no link-local address");
    let mode = format!("proc/sys/net/ipv6/conf/{name}/addr_gen_mode");
    if !is_up {
        return finding.advise("it gets one when the interface is up");
    }
    match sys.number(&mode) {
        // IN6_ADDR_GEN_MODE_NONE: a network manager is supposed to add the address.
        Some(1) => finding
            .fixed_by(sysctl(name, "addr_gen_mode=0"))
            .fixed_by(set(name, &["down"]))
            .fixed_by(set(name, &["up"])),
        // The address was removed; the kernel adds it again when the interface comes up.
        _ if has_carrier(sys, name) => finding
            .fixed_by(set(name, &["down"]))
            .fixed_by(set(name, &["up"])),
        _ => finding.advise("it gets one when the link has carrier"),
    }
}

fn mtu(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "mtu";
    let path = format!("sys/class/net/{name}/mtu");
    match sys.number(&path) {
        Some(mtu @ BEST_MTU..) => Finding::good(CHECK, format!("{mtu} on this host")),
        Some(mtu) => Finding::warning(
            CHECK,
            format!("{mtu}: an MTU of {BEST_MTU} is several times as fast"),
        )
        .fixed_by(set(name, &["mtu", &BEST_MTU.to_string()]))
        .advise("set it on both hosts, or packets larger than the other's MTU are lost:"),
        None => Finding::unknown(CHECK, "cannot read it"),
    }
}
