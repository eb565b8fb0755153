//! Checks the kernel and its driver.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;

const RELEASE: &str = "proc/sys/kernel/osrelease";
/// The first version with the driver.
const FIRST: Version = (4, 15, 0);
/// The stable releases that got the fix of TCP over IPv6 (commit e0b65f9b81fe) from 6.6.
const REPAIRED: [Version; 3] = [(5, 15, 134), (6, 1, 56), (6, 5, 6)];
/// All later versions have the fix.
const GOOD: Version = (6, 6, 0);

pub type Version = (u32, u32, u32);

/// The version of the running kernel, if it can be read and parsed.
pub fn running(sys: &SysRoot) -> Option<Version> {
    version(&sys.read(RELEASE)?)
}

/// Parses `6.8.0-45-generic` as 6, 8 and 0.
fn version(release: &str) -> Option<Version> {
    // In `6.12-rc1`, `6.12+` and `6.1.0~rc2`, only the numbers matter.
    let numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut numbers = numbers.map(str::parse);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((
        major,
        minor,
        numbers.next().and_then(Result::ok).unwrap_or(0),
    ))
}

/// By the version only: distributions backport fixes without a new number.
fn is_repaired(version: Version) -> bool {
    let same_branch = |(major, minor, patch): &Version| {
        (*major, *minor) == (version.0, version.1) && version.2 >= *patch
    };
    version >= GOOD || REPAIRED.iter().any(same_branch)
}

/// Whether the driver may damage segmented packets.
fn is_suspect(sys: &SysRoot) -> Option<bool> {
    Some(!is_repaired(running(sys)?))
}

pub fn kernel(sys: &SysRoot) -> Finding {
    let Some(release) = sys.read(RELEASE) else {
        return Finding::unknown("kernel", "cannot read its version");
    };
    match version(&release) {
        None => Finding::unknown("kernel", format!("cannot parse its version \"{release}\"")),
        Some(version) if version < FIRST => Finding::problem(
            "kernel",
            format!("{release} does not have the driver thunderbolt-net, which was added in 4.15"),
        )
        .advise("install a kernel of 6.6 or later"),
        Some(version) if !is_repaired(version) => Finding::warning(
            "kernel",
            format!(
                "{release} may send damaged TCP segments over IPv6: fixed in 6.6 (commit e0b65f9b81fe), \
                 which your distribution may have backported"
            ),
        )
        .advise("a symptom is that messages arrive while streams hang; install a kernel of 6.6 or later"),
        Some(_) => Finding::good(
            "kernel",
            format!("{release}: no known bug of thunderbolt-net in this version"),
        ),
    }
}

/// The workaround for the bug of old kernels.
pub fn offload(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "offload";
    if is_suspect(sys) == Some(false) {
        return Finding::good(
            CHECK,
            "the driver of this kernel version segments TCP over IPv6 correctly",
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
            "segmentation of TCP over IPv6 is off, as old kernels need it",
        ),
        Some(true) => Finding::warning(
            CHECK,
            "the driver segments TCP over IPv6 and may damage the packets (see kernel)",
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
                    format!("cannot check whether the driver segments TCP over IPv6: {why}")
                }
                Ok(_) => {
                    "ethtool does not report whether the driver segments TCP over IPv6".to_owned()
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
        return Finding::problem(CHECK, "this kernel has no Thunderbolt bus: the module thunderbolt is not loaded")
            .fix(["modprobe", "thunderbolt"])
            .fix(["modprobe", "thunderbolt-net"])
            .advise("if that fails, check that there is a Thunderbolt or USB4 controller and that it is enabled in the firmware");
    }
    if sys.list("sys/bus/thunderbolt/devices").is_empty() {
        return Finding::problem(CHECK, "no Thunderbolt or USB4 controller was found").advise(
            "check that it is enabled in the firmware (\"Thunderbolt\", \"USB4\", \"security level\")",
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
