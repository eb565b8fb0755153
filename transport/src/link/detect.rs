//! Finding the interface: by name, or the one that the Thunderbolt driver made.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Result, TransportError};
use crate::sys::netlink::{self, Interface, Which};

/// The name that means "the interface whose driver is thunderbolt-net".
const AUTO: &str = "auto";
/// The driver's name in sysfs (drivers/net/thunderbolt/main.c).
const DRIVER: &str = "thunderbolt-net";

/// What a configured name means at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    Interface(Interface),
    /// There is none.
    Nothing,
    /// There are several, and none is better than another: using one by silence could be another
    /// network than the one that is meant.
    Several(Vec<String>),
}

/// Looks up the interface that a configured name means.
pub(crate) fn resolve(configured: &str) -> Result<Resolved> {
    let mut names = match configured {
        AUTO => {
            let found = thunderbolt_interfaces(Path::new("/sys/class/net"));
            found.map_err(|error| cannot_ask(AUTO, error))?
        }
        name => vec![name.to_owned()],
    };
    if names.len() > 1 {
        return Ok(Resolved::Several(names));
    }
    let Some(name) = names.pop() else {
        return Ok(Resolved::Nothing);
    };
    let found = netlink::interface(Which::Name(&name)).map_err(|error| cannot_ask(&name, error))?;
    Ok(found.map_or(Resolved::Nothing, Resolved::Interface))
}

/// Looks up an interface that may have been renamed since it was bound to.
pub(crate) fn by_index(index: u32, name: &str) -> Result<Option<Interface>> {
    netlink::interface(Which::Index(index)).map_err(|error| cannot_ask(name, error))
}

fn cannot_ask(name: &str, source: io::Error) -> TransportError {
    TransportError::from_os(
        format!("cannot ask the kernel about interface \"{name}\""),
        name,
        source,
    )
}

/// The interfaces whose device is driven by thunderbolt-net. Not to be able to look (no descriptors
/// left) is not the same as finding none: nothing would tell to look again.
fn thunderbolt_interfaces(class_net: &Path) -> io::Result<Vec<String>> {
    let is_ours = |name: &String| {
        let driver = fs::read_link(class_net.join(name).join("device/driver"));
        driver.is_ok_and(|path| path.file_name().is_some_and(|name| name == DRIVER))
    };
    Ok(interfaces(class_net)?.into_iter().filter(is_ours).collect())
}

fn interfaces(class_net: &Path) -> io::Result<Vec<String>> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names: io::Result<Vec<_>> = fs::read_dir(class_net)?
        .map(|entry| Ok(name(entry?)))
        .collect();
    let mut names = names?;
    names.sort();
    Ok(names)
}

/// The error for an interface that is not there, with those that are.
pub(crate) fn not_found(configured: &str, found: &Resolved) -> TransportError {
    let what = match found {
        Resolved::Several(names) => several(names),
        _ if configured == AUTO => format!(
            "no interface has the driver {DRIVER}; connect the cable and load the driver \
             (modprobe {DRIVER})"
        ),
        _ => format!("connect the cable, load the driver (modprobe {DRIVER}), or name another one"),
    };
    let there = interfaces(Path::new("/sys/class/net")).unwrap_or_default();
    let there = there.join(", ");
    TransportError::InterfaceNotFound {
        interface: configured.to_owned(),
        reason: format!("{what}; this host has: {there}"),
    }
}

/// Why nothing is bound to while there are several.
pub(crate) fn several(names: &[String]) -> String {
    format!(
        "{} interfaces have the driver {DRIVER} ({}); configure one of them by its name",
        names.len(),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree as /sys/class/net has it.
    struct Sysfs(std::path::PathBuf);

    impl Sysfs {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("dcf-tb-{name}-{}", std::process::id()));
            fs::create_dir_all(&root).unwrap();
            Self(root)
        }

        fn add(&self, name: &str, driver: Option<&str>) {
            let device = self.0.join(name).join("device");
            fs::create_dir_all(&device).unwrap();
            if let Some(driver) = driver {
                symlink(format!("../../../bus/{driver}"), device.join("driver")).unwrap();
            }
        }
    }

    impl Drop for Sysfs {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn auto_finds_the_interfaces_of_the_thunderbolt_driver() {
        let sysfs = Sysfs::new("several");
        sysfs.add("eth0", Some("e1000e"));
        sysfs.add("thunderbolt1", Some(DRIVER));
        sysfs.add("enx5", Some(DRIVER));
        sysfs.add("lo", None);
        let names = thunderbolt_interfaces(&sysfs.0).unwrap();
        assert_eq!(names, ["enx5", "thunderbolt1"]);
        let text = several(&names);
        assert!(text.contains("enx5, thunderbolt1"), "{text}");
    }

    #[test]
    fn auto_never_takes_another_network() {
        let sysfs = Sysfs::new("none");
        sysfs.add("eth0", Some("e1000e"));
        // The name alone says nothing.
        sysfs.add("thunderbolt0", None);
        assert!(thunderbolt_interfaces(&sysfs.0).unwrap().is_empty());
    }

    #[test]
    fn the_error_names_what_was_sought_and_what_there_is() {
        let text = not_found("thunderbolt7", &Resolved::Nothing).to_string();
        assert!(
            text.contains("thunderbolt7") && text.contains("lo"),
            "{text}"
        );
    }
}
