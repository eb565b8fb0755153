//! What happens to the cable and to the interfaces at its ends.

use testkit::Host;

use super::Undo;
use crate::stage::Stage;

/// The interface, on both hosts.
const INTERFACE: &str = "thunderbolt0";
/// What it is called for a time.
const OTHER_NAME: &str = "renamed0";
/// The MTU of a fresh cable.
const MTU: &str = "65520";
/// Others: the least that IPv6 allows, Ethernet's, and that of jumbo frames.
const OTHER_MTUS: [&str; 3] = ["1280", "1500", "9000"];

type Begun = Result<Undo, String>;

fn undo(end: impl FnOnce(&mut Stage) + 'static) -> Undo {
    Box::new(|stage| {
        end(stage);
        Ok(())
    })
}

fn set(host: &Host, what: &[&str]) {
    host.ip(&[&["link", "set", INTERFACE], what].concat());
}

pub fn unplug(stage: &Stage) -> Begun {
    stage.cable.unplug();
    Ok(undo(|stage| stage.cable.plug()))
}

pub fn lose_carrier(stage: &Stage) -> Begun {
    stage.cable.carrier(false);
    Ok(undo(|stage| stage.cable.carrier(true)))
}

pub fn switch_off(stage: &Stage, victim: usize) -> Begun {
    set(stage.host(victim), &["down"]);
    Ok(undo(move |stage| set(stage.host(victim), &["up"])))
}

pub fn rename(stage: &Stage, victim: usize) -> Begun {
    let name = |host: &Host, from: &str, to: &str| {
        host.ip(&["link", "set", from, "down"]);
        host.ip(&["link", "set", from, "name", to]);
        host.ip(&["link", "set", to, "up"]);
    };
    name(stage.host(victim), INTERFACE, OTHER_NAME);
    Ok(undo(move |stage| {
        name(stage.host(victim), OTHER_NAME, INTERFACE);
    }))
}

pub fn remove_address(stage: &Stage, victim: usize) -> Begun {
    let change = |host: &Host, how: &str| {
        let bare = host.address().split('%').next().unwrap_or_default();
        let address = format!("{bare}/64");
        host.ip(&["address", how, &address, "dev", INTERFACE]);
    };
    change(stage.host(victim), "del");
    Ok(undo(move |stage| change(stage.host(victim), "add")))
}

pub fn change_mtu(stage: &Stage, detail: u64) -> Begun {
    let both = |stage: &Stage, mtu: &str| {
        for side in 0..2 {
            set(stage.host(side), &["mtu", mtu]);
        }
    };
    both(stage, OTHER_MTUS[(detail % 3) as usize]);
    Ok(undo(move |stage| both(stage, MTU)))
}
