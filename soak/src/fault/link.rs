//! Faults of the cable and of the interfaces at its ends.

use testkit::Host;

use super::Undo;
use crate::testbed::Testbed;

/// The interface, on both hosts.
const INTERFACE: &str = "thunderbolt0";
/// Its name while it is renamed.
const OTHER_NAME: &str = "renamed0";
/// The MTU of a fresh cable.
const MTU: &str = "65520";
/// Other MTUs: the minimum of IPv6, Ethernet's, and jumbo frames.
const OTHER_MTUS: [&str; 3] = ["1280", "1500", "9000"];

type Begun = Result<Undo, String>;

fn undo(end: impl FnOnce(&mut Testbed) + 'static) -> Undo {
    Box::new(|testbed| {
        end(testbed);
        Ok(())
    })
}

fn set(host: &Host, what: &[&str]) {
    host.ip(&[&["link", "set", INTERFACE], what].concat());
}

pub fn unplug(testbed: &Testbed) -> Begun {
    testbed.cable.unplug();
    Ok(undo(|testbed| testbed.cable.plug()))
}

pub fn lose_carrier(testbed: &Testbed) -> Begun {
    testbed.cable.carrier(false);
    Ok(undo(|testbed| testbed.cable.carrier(true)))
}

pub fn switch_off(testbed: &Testbed, victim: usize) -> Begun {
    set(testbed.host(victim), &["down"]);
    Ok(undo(move |testbed| set(testbed.host(victim), &["up"])))
}

pub fn rename(testbed: &Testbed, victim: usize) -> Begun {
    let name = |host: &Host, from: &str, to: &str| {
        host.ip(&["link", "set", from, "down"]);
        host.ip(&["link", "set", from, "name", to]);
        host.ip(&["link", "set", to, "up"]);
    };
    name(testbed.host(victim), INTERFACE, OTHER_NAME);
    Ok(undo(move |testbed| {
        name(testbed.host(victim), OTHER_NAME, INTERFACE);
    }))
}

pub fn remove_address(testbed: &Testbed, victim: usize) -> Begun {
    let change = |host: &Host, how: &str| {
        let bare = host.address().split('%').next().unwrap_or_default();
        let address = format!("{bare}/64");
        host.ip(&["address", how, &address, "dev", INTERFACE]);
    };
    change(testbed.host(victim), "del");
    Ok(undo(move |testbed| change(testbed.host(victim), "add")))
}

pub fn change_mtu(testbed: &Testbed, detail: u64) -> Begun {
    let both = |testbed: &Testbed, mtu: &str| {
        for host in 0..2 {
            set(testbed.host(host), &["mtu", mtu]);
        }
    };
    both(testbed, OTHER_MTUS[(detail % 3) as usize]);
    Ok(undo(move |testbed| both(testbed, MTU)))
}
