//! Reads the cables and the hosts at their ends from sysfs.
//!
//! The device of an interface is a service of an XDomain, the connection between two hosts. The XDomain has the
//! unique identifier and the name of the other host, and the trained rate. Its parent is the router of this host
//! (Documentation/ABI/testing/sysfs-bus-thunderbolt in the kernel).

use serde::Serialize;

use crate::doctor::{
    connection, gigabits, shows_others, state, SysRoot, DRIVER, OTHERS, OTHERS_ADVICE,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interface::is_auto;

/// This host, and those at the other ends of its cables.
#[derive(Debug, Serialize)]
pub struct Map {
    pub host: String,
    /// Of each Thunderbolt controller with a cable, because each has its own.
    pub uuids: Vec<String>,
    pub peers: Vec<Host>,
}

#[derive(Debug, Serialize)]
pub struct Host {
    /// The names that the other host gave: its own and its vendor's, which is "Linux" on Linux.
    pub name: Option<String>,
    pub vendor: Option<String>,
    /// `None`: sysfs does not have it, so this host may be another one of the list.
    pub uuid: Option<String>,
    pub links: Vec<Link>,
}

#[derive(Debug, Serialize)]
pub struct Link {
    pub interface: String,
    pub up: bool,
    /// Why it is not up.
    pub reason: Option<String>,
    /// The slower direction, in Gb/s.
    pub rate_gbps: Option<f64>,
    /// The maximum of this host's port, in Gb/s.
    pub max_rate_gbps: Option<f64>,
    pub mtu: Option<u64>,
    pub answers: Vec<Answer>,
}

/// A peer on a link that answered a ping.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub address: String,
    pub rtt_us: f64,
}

/// Reads the map. `asked` is an interface, or `auto` for all of the driver.
pub fn read(sys: &SysRoot, asked: &str) -> Result<Map, Failure> {
    let mut map = Map {
        host: own_name(sys),
        uuids: Vec::new(),
        peers: Vec::new(),
    };
    for interface in interfaces(sys, asked)? {
        let domain = connection(&interface);
        let own = sys.read(&format!("{domain}/../unique_id")).and_then(uuid);
        map.uuids.extend(own.filter(|own| !map.uuids.contains(own)));
        let remote = sys.read(&format!("{domain}/unique_id")).and_then(uuid);
        let link = link(sys, interface);
        let known = map.peers.iter_mut().find(|host| host.uuid == remote);
        match known.filter(|_| remote.is_some()) {
            Some(host) => host.links.push(link),
            None => map.peers.push(Host {
                name: name(sys, &format!("{domain}/device_name")),
                vendor: name(sys, &format!("{domain}/vendor_name")),
                uuid: remote,
                links: vec![link],
            }),
        }
    }
    Ok(map)
}

fn interfaces(sys: &SysRoot, asked: &str) -> Result<Vec<String>, Failure> {
    if shows_others(sys) {
        return Err(Failure::new(Exit::Link, OTHERS).advise(OTHERS_ADVICE));
    }
    let all = sys.list("sys/class/net");
    if is_auto(asked) {
        let driver = |name: &String| sys.link(&format!("sys/class/net/{name}/device/driver"));
        let ours = all
            .into_iter()
            .filter(|name| driver(name).as_deref() == Some(DRIVER))
            .collect::<Vec<_>>();
        if ours.is_empty() {
            let text = format!("no interface uses the driver {DRIVER}");
            return Err(Failure::new(Exit::Link, text)
                .advise("plug in a cable, or run `dcf-tb doctor` to see what is missing"));
        }
        return Ok(ours);
    }
    match all.iter().any(|name| name == asked) {
        true => Ok(vec![asked.to_owned()]),
        false => Err(Failure::new(
            Exit::Link,
            format!("no interface {asked}; this host has {}", all.join(", ")),
        )),
    }
}

fn link(sys: &SysRoot, interface: String) -> Link {
    let reason = state(sys, &interface).err();
    let rate = gigabits(sys, &interface);
    Link {
        up: reason.is_none(),
        reason,
        rate_gbps: rate,
        max_rate_gbps: maximum(sys, &interface, rate),
        mtu: sys.number(&format!("sys/class/net/{interface}/mtu")),
        answers: Vec::new(),
        interface,
    }
}

/// The maximum of this host's port in one direction. Thunderbolt 1 has one lane of 10 Gb/s for a connection between
/// hosts, Thunderbolt 2 joins two of them, Thunderbolt 3 and USB4 have two lanes of 20 Gb/s. USB4 version 2 has the
/// same generation in sysfs and trains faster.
fn maximum(sys: &SysRoot, interface: &str, trained: Option<f64>) -> Option<f64> {
    let generation = sys.number(&format!("{}/../generation", connection(interface)))?;
    let rate = match generation {
        1 => 10.0,
        2 => 20.0,
        3 | 4 => 40.0,
        _ => return None,
    };
    Some(trained.map_or(rate, |trained| trained.max(rate)))
}

/// A name that the other host chose; empty names and very long ones are none.
fn name(sys: &SysRoot, path: &str) -> Option<String> {
    let name = sys.read(path)?;
    (!name.is_empty() && name.len() <= 255).then_some(name)
}

fn own_name(sys: &SysRoot) -> String {
    let name = sys.read("proc/sys/kernel/hostname");
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this host".to_owned())
}

/// The text, if it has the form of a UUID.
fn uuid(text: String) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let is_uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_uuid.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_five_groups_of_hexadecimal_digits() {
        let good = "D5B3C0DE-0a1b-2c3d-4e5f-001122334455";
        assert_eq!(uuid(good.to_owned()), Some(good.to_ascii_lowercase()));
        for wrong in [
            "",
            "d5b3c0de",
            "d5b3c0de-0a1b-2c3d-4e5f-00112233445",
            "d5b3c0de-0a1b-2c3d-4e5f-00112233445g",
            "d5b3c0de-0a1b-2c3d-4e5f-001122334455-",
        ] {
            assert_eq!(uuid(wrong.to_owned()), None, "{wrong}");
        }
    }
}
