//! Finding the interface: by name, or by the Thunderbolt driver.

use std::fs;
use std::io;
use std::path::Path;

use crate::address::interface_in;
use crate::error::{Result, TransportError};
use crate::sys::netlink::{Interface, Kernel, Named, Which};

/// The name that means "the interface whose driver is thunderbolt-net".
const AUTO: &str = "auto";
/// The driver's name in sysfs (drivers/net/thunderbolt/main.c).
const DRIVER: &str = "thunderbolt-net";
/// The interfaces in sysfs, of the network namespace in which it was mounted.
const SYSFS: &str = "/sys/class/net";

/// The interface that a configured name means at present.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    Interface(Interface),
    /// There is none.
    Nothing,
    /// There are several. Choosing one silently could use another network than the intended one.
    Several(Vec<String>),
}

/// Looks up the interface that a configured name means.
pub(crate) fn resolve(kernel: &Kernel, configured: &str) -> Result<Resolved> {
    let failed = |error| cannot_ask(configured, error);
    let mut kernel = kernel.ask().map_err(failed)?;
    let mut names = match configured {
        AUTO => {
            let all = kernel.all().map_err(failed)?;
            thunderbolt_interfaces(&all, Path::new(SYSFS), |name| kernel.driver(name))
        }
        name => vec![name.to_owned()],
    };
    if names.len() > 1 {
        return Ok(Resolved::Several(names));
    }
    let Some(name) = names.pop() else {
        return Ok(Resolved::Nothing);
    };
    let found = kernel.interface(Which::Name(&name)).map_err(failed)?;
    Ok(found.map_or(Resolved::Nothing, Resolved::Interface))
}

/// Looks up an interface by its index, because it may have been renamed since the sockets were bound.
pub(crate) fn by_index(kernel: &Kernel, index: u32, name: &str) -> Result<Option<Interface>> {
    let found = kernel.interface(Which::Index(index));
    found.map_err(|error| cannot_ask(name, error))
}

fn cannot_ask(name: &str, source: io::Error) -> TransportError {
    let action = format!("cannot ask the kernel about interface \"{name}\"");
    TransportError::from_os(action, source)
}

/// The interfaces of `all` whose driver is thunderbolt-net, according to sysfs or to the driver itself. sysfs may belong
/// to another network namespace, whose interfaces do not count.
fn thunderbolt_interfaces(
    all: &[Named],
    class_net: &Path,
    driver: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let is_ours = |interface: &&Named| {
        let entry = class_net.join(&interface.name);
        let link = fs::read_link(entry.join("device/driver"));
        let in_sysfs = link.is_ok_and(|path| path.file_name().is_some_and(|name| name == DRIVER));
        (in_sysfs && is_same(interface, &entry))
            || driver(&interface.name).is_some_and(|driver| driver == DRIVER)
    };
    all.iter()
        .filter(is_ours)
        .map(|interface| interface.name.clone())
        .collect()
}

/// Whether an entry of sysfs belongs to this interface, and not to one with the same name in another network namespace.
fn is_same(interface: &Named, entry: &Path) -> bool {
    let hardware: Vec<String> = interface
        .hardware
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let says = |file: &str, value: &str| {
        // A missing file does not contradict.
        fs::read_to_string(entry.join(file)).map_or(true, |text| text.trim() == value)
    };
    says("ifindex", &interface.index.to_string()) && says("address", &hardware.join(":"))
}

/// The error for an interface that does not exist. It lists the existing ones.
pub(crate) fn not_found(kernel: &Kernel, configured: &str, found: &Resolved) -> TransportError {
    let what = match found {
        Resolved::Several(names) => several(names),
        _ if configured == AUTO => format!(
            "no interface has the driver {DRIVER}; connect the cable and load the driver \
             (modprobe {DRIVER})"
        ),
        _ => format!("connect the cable, load the driver (modprobe {DRIVER}), or name another one"),
    };
    let what = match interface_in(configured) {
        Some(interface) => format!("it is an address; did you mean \"{interface}\"?"),
        None => what,
    };
    let all = kernel.ask().and_then(|mut kernel| kernel.all());
    let all = all.unwrap_or_default();
    let there: Vec<&str> = all
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    let there = match &there[..] {
        [] => "no interface".to_owned(),
        names => names.join(", "),
    };
    TransportError::interface_not_found(configured, format_args!("{what}; this host has: {there}"))
}

/// Why the sockets are not bound while there are several.
pub(crate) fn several(names: &[String]) -> String {
    format!(
        "{} interfaces have the driver {DRIVER} ({}); name the one that is meant",
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

    fn named(index: u32, name: &str) -> Named {
        Named {
            index,
            name: name.to_owned(),
            hardware: vec![2, 0, 0, 0, 0, 0x0a],
        }
    }

    fn unknown(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn auto_finds_the_interfaces_of_the_thunderbolt_driver() {
        let sysfs = Sysfs::new("several");
        sysfs.add("eth0", Some("e1000e"));
        sysfs.add("thunderbolt1", Some(DRIVER));
        sysfs.add("enx5", Some(DRIVER));
        sysfs.add("lo", None);
        let all = ["enx5", "eth0", "lo", "thunderbolt1"].map(|name| named(3, name));
        let names = thunderbolt_interfaces(&all, &sysfs.0, unknown);
        assert_eq!(names, ["enx5", "thunderbolt1"]);
        let text = several(&names);
        assert!(text.contains("enx5, thunderbolt1"), "{text}");
    }

    #[test]
    fn auto_never_takes_another_network() {
        let sysfs = Sysfs::new("none");
        sysfs.add("eth0", Some("e1000e"));
        // The name alone does not count.
        sysfs.add("thunderbolt0", None);
        let all = ["eth0", "thunderbolt0"].map(|name| named(3, name));
        assert!(thunderbolt_interfaces(&all, &sysfs.0, unknown).is_empty());
    }

    #[test]
    fn a_sysfs_of_another_namespace_is_not_believed() {
        let sysfs = Sysfs::new("elsewhere");
        sysfs.add("thunderbolt0", Some(DRIVER));
        sysfs.add("thunderbolt9", Some(DRIVER));
        let all = [named(3, "thunderbolt0")];
        let found = || thunderbolt_interfaces(&all, &sysfs.0, unknown);
        assert_eq!(found(), ["thunderbolt0"], "thunderbolt9 is not here");
        let tell = |file: &str, text: &str| {
            fs::write(sysfs.0.join("thunderbolt0").join(file), text).unwrap();
        };
        tell("ifindex", "3\n");
        tell("address", "02:00:00:00:00:0a\n");
        assert_eq!(found(), ["thunderbolt0"]);
        tell("ifindex", "4\n");
        assert!(found().is_empty(), "another index");
        tell("ifindex", "3\n");
        tell("address", "02:00:00:00:00:0b\n");
        assert!(found().is_empty(), "another device");
        // The driver tells of itself, whatever sysfs says.
        let driver = |_: &str| Some(DRIVER.to_owned());
        assert_eq!(
            thunderbolt_interfaces(&all, &sysfs.0, driver),
            ["thunderbolt0"]
        );
    }

    #[test]
    fn the_error_names_what_was_sought_and_what_there_is() {
        let kernel = Kernel::new();
        let text = not_found(&kernel, "thunderbolt7", &Resolved::Nothing).to_string();
        assert!(
            text.contains("thunderbolt7") && text.contains("lo"),
            "{text}"
        );
    }
}
