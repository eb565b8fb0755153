//! Finding the interface: by name, or the one that the Thunderbolt driver made.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Result, TransportError};
use crate::sys::netlink::{self, Interface, Which};

/// The name that means "the first interface whose driver is thunderbolt-net".
const AUTO: &str = "auto";
/// The driver's name in sysfs (drivers/net/thunderbolt/main.c).
const DRIVER: &str = "thunderbolt-net";

/// Looks up the interface that a configured name means; `None` when there is none.
pub(crate) fn resolve(configured: &str) -> Result<Option<Interface>> {
    let name = if configured == AUTO {
        match thunderbolt_interface(Path::new("/sys/class/net")) {
            Some(name) => name,
            None => return Ok(None),
        }
    } else {
        configured.to_owned()
    };
    netlink::interface(Which::Name(&name)).map_err(|error| cannot_ask(&name, error))
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

/// The first interface, by index, whose device is driven by thunderbolt-net.
fn thunderbolt_interface(class_net: &Path) -> Option<String> {
    let mut found: Vec<(u32, String)> = interfaces(class_net)
        .into_iter()
        .filter(|name| {
            let driver = fs::read_link(class_net.join(name).join("device/driver"));
            driver.is_ok_and(|path| path.file_name().is_some_and(|name| name == DRIVER))
        })
        .map(|name| {
            let index = fs::read_to_string(class_net.join(&name).join("ifindex"));
            let index = index.ok().and_then(|text| text.trim().parse().ok());
            (index.unwrap_or(u32::MAX), name)
        })
        .collect();
    found.sort();
    found.into_iter().next().map(|(_, name)| name)
}

fn interfaces(class_net: &Path) -> Vec<String> {
    let entries = fs::read_dir(class_net).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The error for an interface that is not there, with those that are.
pub(crate) fn not_found(configured: &str) -> TransportError {
    let there = interfaces(Path::new("/sys/class/net")).join(", ");
    let what = if configured == AUTO {
        "no interface has the driver thunderbolt-net; connect the cable and load the driver \
         (modprobe thunderbolt-net)"
    } else {
        "connect the cable, load the driver (modprobe thunderbolt-net), or name another one"
    };
    TransportError::InterfaceNotFound {
        interface: configured.to_owned(),
        reason: format!("{what}; this host has: {there}"),
    }
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

        fn add(&self, name: &str, index: u32, driver: Option<&str>) {
            let device = self.0.join(name).join("device");
            fs::create_dir_all(&device).unwrap();
            fs::write(self.0.join(name).join("ifindex"), format!("{index}\n")).unwrap();
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
    fn auto_takes_the_first_interface_of_the_thunderbolt_driver() {
        let sysfs = Sysfs::new("several");
        sysfs.add("eth0", 2, Some("e1000e"));
        sysfs.add("enx5", 9, Some(DRIVER));
        sysfs.add("thunderbolt1", 7, Some(DRIVER));
        sysfs.add("lo", 1, None);
        assert_eq!(
            thunderbolt_interface(&sysfs.0).as_deref(),
            Some("thunderbolt1")
        );
    }

    #[test]
    fn auto_never_takes_another_network() {
        let sysfs = Sysfs::new("none");
        sysfs.add("eth0", 2, Some("e1000e"));
        // The name alone says nothing.
        sysfs.add("thunderbolt0", 3, None);
        assert_eq!(thunderbolt_interface(&sysfs.0), None);
    }

    #[test]
    fn the_error_names_what_was_sought_and_what_there_is() {
        let text = not_found("thunderbolt7").to_string();
        assert!(
            text.contains("thunderbolt7") && text.contains("lo"),
            "{text}"
        );
    }
}
