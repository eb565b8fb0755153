//! Facts about the machine that matter for absolute figures.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use testkit::Cable;

use crate::processors::Halves;

/// Facts about the machine, each a name and a text.
#[derive(Debug, Clone, Serialize)]
pub struct Machine(pub Vec<(&'static str, String)>);

impl Machine {
    /// Collects facts of the machine, the hosts and the project.
    pub fn look(cable: &Cable, halves: Option<&Halves>, project: &Path) -> Self {
        let pinning = match halves {
            Some(Halves { a, b }) => format!("host a: {a}; host b: {b}"),
            None => "not bound to any".to_owned(),
        };
        let mtu = mtu_shown(&cable.a().ip(&["link", "show", "thunderbolt0"]));
        let congestion = cable
            .a()
            .run(|| read("/proc/sys/net/ipv4/tcp_congestion_control"));
        let facts = [
            ("processor", cpu_info("model name")),
            ("processors", online()),
            ("of the hosts", Some(pinning)),
            ("virtual machine", Some(virtualisation())),
            ("memory", memory()),
            ("kernel", kernel()),
            (
                "link",
                mtu.map(|mtu| format!("veth between two network namespaces, MTU {mtu}")),
            ),
            ("tcp_congestion_control", congestion),
            ("net.core.rmem_max", read("/proc/sys/net/core/rmem_max")),
            ("net.core.wmem_max", read("/proc/sys/net/core/wmem_max")),
            ("load average", load_average()),
            ("library", Some(library(project))),
        ];
        let known = |(name, fact): (_, Option<String>)| Some((name, fact?));
        Self(facts.into_iter().filter_map(known).collect())
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Asks `ip`, because /sys shows the network namespace in which it was mounted.
fn mtu_shown(link: &str) -> Option<String> {
    let mut words = link.split_whitespace();
    words.find(|&word| word == "mtu")?;
    words.next().map(str::to_owned)
}

fn cpu_info(field: &str) -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn online() -> Option<String> {
    read("/sys/devices/system/cpu/online")
}

fn virtualisation() -> String {
    let vendor = read("/sys/class/dmi/id/sys_vendor").filter(|vendor| !vendor.is_empty());
    let hypervisor = cpu_info("flags").is_some_and(|flags| flags.contains(" hypervisor"));
    match (hypervisor, vendor) {
        (true, Some(vendor)) => format!("yes ({vendor})"),
        (true, None) => "yes".to_owned(),
        (false, _) => "no sign of one".to_owned(),
    }
}

fn memory() -> Option<String> {
    let text = read("/proc/meminfo")?;
    let kib: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1024.0 / 1024.0))
}

fn kernel() -> Option<String> {
    Some(format!("Linux {}", read("/proc/sys/kernel/osrelease")?))
}

/// The load averages of one, five and fifteen minutes.
pub fn load_average() -> Option<String> {
    let text = read("/proc/loadavg")?;
    Some(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// The version of the library, and the commit of the tree.
fn library(project: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(project)
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return version.to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let changed = changed.is_some_and(|changed| !changed.is_empty());
    let more = if changed { " and changes" } else { "" };
    format!("{version}, commit {commit}{more}")
}

/// The processors' time so far, from /proc/stat.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessorTime {
    all: u64,
    steal: u64,
}

impl ProcessorTime {
    /// The current values; zeros if they cannot be read.
    pub fn now() -> Self {
        read("/proc/stat")
            .and_then(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user's.
        let times: Vec<u64> = text
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_whitespace()
            .take(8)
            .map(|time| time.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            all: times.iter().sum(),
            steal: times.get(7).copied().unwrap_or(0),
        })
    }

    /// Percent of the time since `earlier` that was stolen.
    pub fn steal_since(&self, earlier: &Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.steal.saturating_sub(earlier.steal) as f64 / all as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::{mtu_shown, ProcessorTime};

    #[test]
    fn steal_is_a_share_of_all_time() {
        let earlier = ProcessorTime::parse("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1").expect("times");
        let later = ProcessorTime::parse("cpu  60 0 10 80 0 0 0 50 0 0\ncpu0 1").expect("times");
        assert_eq!(later.steal_since(&earlier), 50.0);
        assert_eq!(later.steal_since(&later), 0.0);
        assert_eq!(ProcessorTime::parse("intr 5"), None);
    }

    #[test]
    fn reads_the_mtu() {
        let shown = "10: thunderbolt0@if11: <UP> mtu 65520 qdisc noqueue state UP";
        assert_eq!(mtu_shown(shown).as_deref(), Some("65520"));
        assert_eq!(mtu_shown(""), None);
    }
}
