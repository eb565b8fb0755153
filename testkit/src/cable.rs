//! Two hosts and the cable between them.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::host::Host;
use crate::wait::{wait_until, GENEROUS};

/// The interface's name on both hosts.
pub(crate) const INTERFACE: &str = "thunderbolt0";
/// The usual MTU once an administrator has raised it.
pub(crate) const MTU: &str = "65520";
/// Fixed, so that a host keeps its address over a replug, as with real hardware.
pub(crate) const HARDWARE: [&str; 2] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"];
/// The link-local addresses that the kernel derives from `HARDWARE`.
const ADDRESS: [&str; 2] = [
    "fe80::ff:fe00:a%thunderbolt0",
    "fe80::ff:fe00:b%thunderbolt0",
];
/// Another hardware address for host b.
const OTHER_HARDWARE: &str = "02:00:00:00:00:0c";
const OTHER_ADDRESS: &str = "fe80::ff:fe00:c%thunderbolt0";
/// `IFA_F_TENTATIVE` and `IFA_F_DADFAILED`: the address cannot be used, or not yet.
const NOT_USABLE: u32 = 0x40 | 0x08;

/// Two hosts joined by a virtual Thunderbolt cable. The library cannot tell it from a real one.
///
/// Both ends are called `thunderbolt0`, with link-local addresses only. Dropping the value removes
/// hosts and cable.
#[derive(Debug)]
pub struct Cable {
    hosts: [Host; 2],
    next_index: AtomicU32,
}

impl Cable {
    /// Two hosts, plugged together, with usable addresses.
    pub fn new() -> Self {
        let cable = Self::unplugged();
        cable.plug();
        cable
    }

    /// Two hosts without a cable between them yet.
    pub fn unplugged() -> Self {
        let cable = Self {
            hosts: [
                Host::new("host a", ADDRESS[0]),
                Host::new("host b", ADDRESS[1]),
            ],
            next_index: AtomicU32::new(10),
        };
        cable.duplicate_address_detection(false);
        cable
    }

    /// Turns duplicate address detection on or off for cables plugged in from now on. It is off by
    /// default. Real hosts have it on, so their addresses cannot be used for a second or two.
    pub fn duplicate_address_detection(&self, on: bool) {
        let value = if on { "1" } else { "0" };
        for host in &self.hosts {
            host.run(|| {
                for scope in ["all", "default"] {
                    let setting = format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad");
                    fs::write(&setting, value)
                        .unwrap_or_else(|error| panic!("cannot write {setting}: {error}"));
                }
            });
        }
    }

    /// The first host.
    pub fn a(&self) -> &Host {
        &self.hosts[0]
    }

    /// The second host.
    pub fn b(&self) -> &Host {
        &self.hosts[1]
    }

    /// Plugs the cable in: both hosts get a new interface, with a new index and the old address.
    /// Returns when the addresses can be used.
    pub fn plug(&self) {
        self.plug_without_waiting();
        self.wait_for_addresses();
    }

    /// Plugs the cable in, and does not wait until the addresses are usable.
    pub fn plug_without_waiting(&self) {
        // The two ends have different indices. Otherwise the kernel reports a change of the carrier
        // once a second instead of at once.
        self.plug_as(self.next_index.fetch_add(2, Ordering::Relaxed));
    }

    /// The index of host a's interface, or of its last one while the cable is unplugged.
    pub fn index(&self) -> u32 {
        self.next_index.load(Ordering::Relaxed) - 2
    }

    /// Pulls the cable out and plugs it in again, with the same interface indices as before.
    pub fn replug_under_the_same_index(&self) {
        self.unplug();
        self.plug_as(self.index());
        self.wait_for_addresses();
    }

    /// Plugs the cable in with another hardware address for host b, and returns the link-local
    /// address that host b has now.
    pub fn plug_with_another_address(&self) -> &'static str {
        let index = self.next_index.fetch_add(2, Ordering::Relaxed);
        self.plug_between(index, [HARDWARE[0], OTHER_HARDWARE]);
        self.wait_for_addresses();
        OTHER_ADDRESS
    }

    fn plug_as(&self, index: u32) {
        self.plug_between(index, HARDWARE);
    }

    fn plug_between(&self, index: u32, hardware: [&str; 2]) {
        let there = self.b().path();
        let [here, peer] = [index, index + 1].map(|index| index.to_string());
        self.a().ip(&[
            "link",
            "add",
            INTERFACE,
            "index",
            &here,
            "mtu",
            MTU,
            "address",
            hardware[0],
            "type",
            "veth",
            "peer",
            "name",
            INTERFACE,
            "index",
            &peer,
            "mtu",
            MTU,
            "address",
            hardware[1],
            "netns",
            &there,
        ]);
        for host in &self.hosts {
            host.ip(&["link", "set", INTERFACE, "up"]);
        }
    }

    /// Pulls the cable out: the interface disappears from both hosts.
    pub fn unplug(&self) {
        self.a().ip(&["link", "delete", INTERFACE]);
        wait_until("the other end disappears", GENEROUS, || {
            self.b().run(|| !interfaces().contains(INTERFACE))
        });
    }

    /// Takes the carrier from host a or gives it back, as when host b sleeps and wakes up: a's
    /// interface stays, and b's is switched off meanwhile.
    pub fn carrier(&self, up: bool) {
        self.b()
            .ip(&["link", "set", INTERFACE, if up { "up" } else { "down" }]);
        if up {
            self.wait_for_addresses();
        }
    }

    /// Waits until both hosts can use their addresses.
    pub fn wait_for_addresses(&self) {
        for host in &self.hosts {
            host.wait_for_address();
        }
    }
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

fn interfaces() -> String {
    fs::read_to_string("/proc/thread-self/net/dev").expect("procfs")
}

pub(crate) fn address_is_usable() -> bool {
    // One line per address: address, index, prefix length, scope, flags, name.
    let addresses = fs::read_to_string("/proc/thread-self/net/if_inet6").expect("procfs");
    addresses.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, _, _, _, flags, INTERFACE]
            if u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & NOT_USABLE == 0))
    })
}

#[cfg(test)]
mod tests {
    use super::{Cable, INTERFACE};
    use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
    use std::str::FromStr;

    fn index(host: &crate::Host) -> u32 {
        let shown = host.ip(&["-o", "link", "show", INTERFACE]);
        shown
            .split(':')
            .next()
            .and_then(|index| index.trim().parse().ok())
            .expect("an index")
    }

    /// Whether a datagram from a reaches b, at the address that the cable reports.
    fn carries(cable: &Cable) -> bool {
        let receiver = cable
            .b()
            .run(|| UdpSocket::bind("[::]:7000").expect("free"));
        receiver
            .set_read_timeout(Some(crate::GENEROUS))
            .expect("a socket");
        let scope = index(cable.a());
        let address = cable.b().address();
        let bare = address.split('%').next().expect("an address");
        let target = SocketAddrV6::new(Ipv6Addr::from_str(bare).expect("IPv6"), 7000, 0, scope);
        cable.a().run(|| {
            let sender = UdpSocket::bind("[::]:0").expect("a socket");
            sender.send_to(b"hello", target).expect("the link is up");
        });
        receiver.recv(&mut [0; 16]).is_ok_and(|length| length == 5)
    }

    #[test]
    fn carries_datagrams_between_the_hosts() {
        assert!(carries(&Cable::new()));
    }

    #[test]
    fn a_replug_makes_a_new_interface_with_the_old_address() {
        let cable = Cable::new();
        let before = index(cable.a());
        cable.unplug();
        cable.plug();
        assert_ne!(before, index(cable.a()));
        assert!(carries(&cable));
    }

    #[test]
    fn the_carrier_comes_and_goes() {
        let cable = Cable::new();
        cable.carrier(false);
        let shown = cable.a().ip(&["link", "show", INTERFACE]);
        assert!(shown.contains("NO-CARRIER"), "{shown}");
        cable.carrier(true);
        assert!(carries(&cable));
    }
}
