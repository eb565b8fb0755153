//! The kernel and its driver.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;

const RELEASE: &str = "proc/sys/kernel/osrelease";
/// Where the driver came in.
const FIRST: Version = (4, 15, 0);
/// The releases of longer-lived branches that took the repair of TCP over IPv6 (commit e0b65f9b81fe) from 6.6.
const REPAIRED: [Version; 3] = [(5, 15, 134), (6, 1, 56), (6, 5, 6)];
/// All branches from here on have it.
const GOOD: Version = (6, 6, 0);

pub type Version = (u32, u32, u32);

/// That of the kernel, if it can be read and understood.
pub fn running(sys: &SysRoot) -> Option<Version> {
    version(&sys.read(RELEASE)?)
}

/// `6.8.0-45-generic` as 6, 8 and 0.
fn version(release: &str) -> Option<Version> {
    // `6.12-rc1`, `6.12+`, `6.1.0~rc2`: what follows the numbers says nothing here.
    let numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut numbers = numbers.map(str::parse);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((
        major,
        minor,
        numbers.next().and_then(Result::ok).unwrap_or(0),
    ))
}

/// As far as the version tells: distributions repair what they do not number.
fn is_repaired(version: Version) -> bool {
    let same_branch = |(major, minor, patch): &Version| {
        (*major, *minor) == (version.0, version.1) && version.2 >= *patch
    };
    version >= GOOD || REPAIRED.iter().any(same_branch)
}

/// Whether its driver breaks what it segments.
fn is_suspect(sys: &SysRoot) -> Option<bool> {
    Some(!is_repaired(running(sys)?))
}

pub fn kernel(sys: &SysRoot) -> Finding {
    let Some(release) = sys.read(RELEASE) else {
        return Finding::unknown("kernel", "its version cannot be read");
    };
    match version(&release) {
        None => Finding::unknown("kernel", format!("{release} is no version that is understood")),
        Some(version) if version < FIRST => Finding::problem(
            "kernel",
            format!("{release} has no driver thunderbolt-net: it came with 4.15"),
        )
        .advise("install a kernel of 6.6 or later"),
        Some(version) if !is_repaired(version) => Finding::warning(
            "kernel",
            format!(
                "{release} may send damaged TCP segments over IPv6: repaired in 6.6 (commit e0b65f9b81fe), \
                 which your distribution may have taken over"
            ),
        )
        .advise("messages that arrive while streams hang are its sign; install a kernel of 6.6 or later"),
        Some(_) => Finding::good(
            "kernel",
            format!("{release}: by its number it has no known fault of thunderbolt-net"),
        ),
    }
}

/// The way around the fault of old kernels.
pub fn offload(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "offload";
    if is_suspect(sys) == Some(false) {
        return Finding::good(
            CHECK,
            "by the kernel's number, its driver segments TCP over IPv6 correctly",
        );
    }
    let features = sys.ask(&["ethtool", "--show-features", name]);
    let segments = features.as_deref().ok().and_then(|features| {
        let line = features
            .lines()
            .find_map(|line| line.trim().strip_prefix("tx-tcp6-segmentation:"))?;
        Some(line.trim().starts_with("on"))
    });
    match segments {
        Some(false) => Finding::good(
            CHECK,
            "ethtool says that segmentation of TCP over IPv6 is off: old kernels need that",
        ),
        Some(true) => Finding::warning(
            CHECK,
            "the driver segments TCP over IPv6, and may damage it (see kernel)",
        )
        .fixed_by(
            Fix::new(["ethtool", "--features"])
                .names([name])
                .words(["tx", "off"]),
        ),
        None => Finding::unknown(
            CHECK,
            match features {
                Err(why) => {
                    format!("whether the driver segments TCP over IPv6 is not known: {why}")
                }
                Ok(_) => {
                    "ethtool does not tell whether the driver segments TCP over IPv6".to_owned()
                }
            },
        ),
    }
}

pub fn module(sys: &SysRoot) -> Finding {
    const CHECK: &str = "driver";
    if sys.exists("sys/module/thunderbolt_net") {
        return Finding::good(CHECK, "thunderbolt-net is loaded");
    }
    if !sys.exists("sys/bus/thunderbolt") {
        return Finding::problem(CHECK, "this kernel knows no Thunderbolt bus: the module thunderbolt is not loaded")
            .fix(["modprobe", "thunderbolt"])
            .fix(["modprobe", "thunderbolt-net"])
            .advise("if that fails: is there a Thunderbolt or USB4 controller, and is it switched on in the firmware?");
    }
    if sys.list("sys/bus/thunderbolt/devices").is_empty() {
        return Finding::problem(CHECK, "no Thunderbolt or USB4 controller was found").advise(
            "is it switched on in the firmware (\"Thunderbolt\", \"USB4\", \"security level\")?",
        );
    }
    Finding::problem(CHECK, "thunderbolt-net is not loaded").fix(["modprobe", "thunderbolt-net"])
}

#[cfg(test)]
mod tests {
    use super::{is_repaired, version};

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("6.8.0-45-generic"), Some((6, 8, 0)));
        assert_eq!(version("6.12-rc1"), Some((6, 12, 0)));
        assert_eq!(version("6.12"), Some((6, 12, 0)));
        assert_eq!(version("6.12.3+"), Some((6, 12, 3)));
        assert_eq!(version("six"), None);
    }

    #[test]
    fn longer_lived_branches_were_repaired() {
        for good in ["5.15.134", "6.1.60-1-amd64", "6.5.6", "6.6.0", "7.0.1"] {
            assert!(is_repaired(version(good).unwrap()), "{good}");
        }
        for bad in [
            "5.15.133",
            "5.16.200",
            "6.1.55",
            "6.4.16",
            "6.5.0-45-generic",
        ] {
            assert!(!is_repaired(version(bad).unwrap()), "{bad}");
        }
    }
}
