//! A cable, an interface and an address that come and go.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use common::FarHost;
use testkit::{while_suspended, CProgram, Cable, Dialect};

/// Runs a program on host a, with an echo on host b. The program may ask for the cable to be pulled and
/// plugged in.
fn with_a_cable_to_handle(program: &str) {
    let cable = Cable::new();
    let far = FarHost::start(cable.b());
    let program = CProgram::new(program, Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a());
    program.serve(|request| {
        match request {
            "unplug" => cable.unplug(),
            "plug" => cable.plug(),
            "carrier off" => cable.carrier(false),
            "carrier on" => cable.carrier(true),
            unknown => panic!("asked for {unknown}"),
        }
        "done".to_owned()
    });
    far.stop();
}

#[test]
fn a_cable_that_comes_and_goes() {
    with_a_cable_to_handle("links");
}

#[test]
fn an_address_without_a_route_is_not_link_down() {
    with_a_cable_to_handle("unroutable");
}

#[test]
fn a_cable_that_comes_and_goes_under_traffic() {
    with_a_cable_to_handle("cable_storm");
}

/// The other host is up long before the cable. Duplicate address detection is on, as on real hosts.
#[test]
fn the_hosts_may_start_in_any_order() {
    let cable = Cable::unplugged();
    cable.duplicate_address_detection(true);
    let far = FarHost::start(cable.b());
    cable.plug_without_waiting();
    let program = CProgram::new("late", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a());
    program.run();
    far.stop();
}

#[test]
fn the_interface_is_replaced_while_the_process_is_suspended() {
    let cable = Cable::new();
    let far = FarHost::start(cable.b());
    let program = CProgram::new("incarnations", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a())
        .start();
    let process = program.id();
    let ip = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        cable.a().ip(&arguments);
    };
    let own_address = cable.a().address().replace("%thunderbolt0", "/64");
    let address = |what: &str| ip(&format!("addr {what} {own_address} dev thunderbolt0 nodad"));
    program.serve(|request| {
        match request {
            "suspended: replug" => while_suspended(process, || {
                cable.unplug();
                cable.plug();
            }),
            "suspended: replug with the same index" => {
                while_suspended(process, || cable.replug_under_the_same_index());
            }
            "suspended: index to another" => while_suspended(process, || {
                let index = cable.index();
                cable.unplug();
                ip(&format!(
                    "link add other0 index {index} type veth peer name other1"
                ));
                ip("link set other0 up");
                ip("link set other1 up");
            }),
            "plug" => cable.plug(),
            "bridge" => {
                ip("link add bridge0 type bridge");
                ip("link set thunderbolt0 master bridge0");
                ip("link set thunderbolt0 nomaster");
            }
            "address off" => address("del"),
            "address on" => address("add"),
            "suspended: off and on" => while_suspended(process, || {
                ip("link set thunderbolt0 down");
                ip("link set thunderbolt0 up");
            }),
            "off" => ip("link set thunderbolt0 down"),
            "on" => ip("link set thunderbolt0 up"),
            unknown => panic!("asked for {unknown}"),
        }
        "done".to_owned()
    });
    far.stop();
}

/// An imitation of /sys/class/net.
struct Sysfs(PathBuf);

impl Sysfs {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("dcf-tb-auto-{}", std::process::id()));
        fs::create_dir_all(root.join("lo")).expect("a temporary directory");
        Self(root)
    }

    fn add_thunderbolt(&self, name: &str) {
        let device = self.0.join(name).join("device");
        fs::create_dir_all(&device).expect("a temporary directory");
        let driver = "../../../../bus/thunderbolt/drivers/thunderbolt-net";
        symlink(driver, device.join("driver")).expect("a temporary directory");
    }

    fn remove(&self, name: &str) {
        fs::remove_dir_all(self.0.join(name)).expect("it is there");
    }
}

impl Drop for Sysfs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The library reads the driver from sysfs. The test mounts its own sysfs, which only the program sees.
#[test]
fn the_interface_of_the_thunderbolt_driver_is_found_and_no_other() {
    let cable = Cable::new();
    let far = FarHost::start(cable.b());
    let sysfs = Sysfs::new();
    cable.a().ip(&[
        "link", "add", "cable0", "type", "veth", "peer", "name", "far0",
    ]);
    let script = r#"mount --bind "$0" /sys/class/net && exec "$@""#;
    CProgram::new("auto", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a())
        .behind(["unshare", "--mount", "sh", "-c", script])
        .behind([sysfs.0.to_str().expect("paths here are UTF-8")])
        .serve(|request| {
            match request {
                "two" => ["thunderbolt0", "cable0"].map(|name| sysfs.add_thunderbolt(name)),
                "one" => {
                    sysfs.remove("cable0");
                    cable.a().ip(&["link", "delete", "cable0"]);
                    [(); 2]
                }
                unknown => panic!("asked for {unknown}"),
            };
            "done".to_owned()
        });
    far.stop();
}
