//! Each link state of the kernel has its own reason, and the advice of the reason helps.

use std::fs;

use testkit::{Cable, Host};
use thunderbolt_transport::{ThunderboltTransportBuilder, TransportError};

use crate::{advised, follow, ip, reaches, Watched};

/// A state of host a's interface.
struct State {
    /// Arguments of `ip` on host a that cause it.
    make: &'static [&'static str],
    /// Words of the reason.
    words: &'static [&'static str],
    /// The beginning of the advised command; empty if there is none.
    advice: &'static str,
    /// Further commands that are needed.
    then: &'static [&'static str],
}

const OFF_AND_ON: [&str; 2] = ["link set thunderbolt0 down", "link set thunderbolt0 up"];

const STATES: [State; 8] = [
    State {
        make: &["link set thunderbolt0 down"],
        words: &["switched off"],
        advice: "ip link set",
        then: &[],
    },
    State {
        make: &[
            "link set thunderbolt0 mode dormant",
            "link set thunderbolt0 state dormant",
        ],
        words: &["dormant"],
        advice: "ip link set",
        then: &[],
    },
    State {
        make: &["link set thunderbolt0 state testing"],
        words: &["test mode"],
        advice: "ip link set",
        then: &[],
    },
    State {
        make: &["link set thunderbolt0 mtu 1200"],
        words: &["no IPv6 address", "MTU of 1200", "1280"],
        advice: "ip link set",
        then: &[],
    },
    State {
        make: &["addr flush dev thunderbolt0"],
        words: &["no IPv6 address; give it one"],
        advice: "ip addr add",
        then: &[],
    },
    State {
        make: &["addr flush dev thunderbolt0"],
        words: &["no IPv6 address; give it one"],
        advice: "",
        then: &OFF_AND_ON,
    },
    State {
        make: &[
            "link set thunderbolt0 addrgenmode none",
            "link set thunderbolt0 down",
            "link set thunderbolt0 up",
        ],
        words: &["no IPv6 address", "addrgenmode none"],
        advice: "ip link set",
        then: &OFF_AND_ON,
    },
    State {
        make: &[
            "link add joined0 type bridge",
            "link set thunderbolt0 master joined0",
            "addr flush dev thunderbolt0",
        ],
        words: &["no IPv6 address", "part of bridge joined0"],
        advice: "ip link set",
        then: &OFF_AND_ON,
    },
];

#[test]
fn each_state_has_its_reason_and_the_advice_ends_it() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    for state in &STATES {
        reaches(&cable, &a.transport);
        for command in state.make {
            ip(cable.a(), command);
        }
        let reason = a.is_down_because(state.words);
        assert!(
            reason.starts_with("link \"thunderbolt0\" is down: "),
            "{reason}"
        );
        if !state.advice.is_empty() {
            follow(cable.a(), &advised(&reason, state.advice));
        }
        for command in state.then {
            ip(cable.a(), command);
        }
        a.is_up_again();
    }
    reaches(&cable, &a.transport);
}

#[test]
fn disabled_ipv6_is_reported_and_can_be_enabled() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    for scope in ["thunderbolt0", "all"] {
        set(cable.a(), scope, "disable_ipv6", "1");
        let reason = a.is_down_because(&["IPv6 is disabled on it"]);
        let command = advised(&reason, "sysctl -w");
        assert_eq!(
            command,
            ["sysctl", "-w", "net/ipv6/conf/thunderbolt0/disable_ipv6=0"]
        );
        // Write to the file directly, because not every system has sysctl(8).
        set(cable.a(), "thunderbolt0", "disable_ipv6", "0");
        a.is_up_again();
    }
}

#[test]
fn a_lost_carrier_is_reported() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    cable.carrier(false);
    a.is_down_because(&["no carrier"]);
    cable.carrier(true);
    a.is_up_again();
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    for scope in ["all", "thunderbolt0"] {
        set(cable.a(), scope, "accept_dad", "1");
    }
    ip(cable.b(), "addr add fe80::55/64 dev thunderbolt0 nodad");
    ip(cable.a(), "addr flush dev thunderbolt0");
    a.is_down_because(&["no IPv6 address"]);
    ip(cable.a(), "addr add fe80::55/64 dev thunderbolt0");
    a.is_down_because(&["fe80::55", "still being checked"]);
    let reason = a.is_down_because(&["fe80::55 is a duplicate", "another host"]);
    follow(cable.a(), &advised(&reason, "ip addr add"));
    a.is_down_because(&["fe80::77", "still being checked"]);
    a.is_up_again();
    reaches(&cable, &a.transport);

    // With such an address the kernel cannot resolve an unknown neighbour.
    ip(cable.a(), "addr flush dev thunderbolt0");
    for (setting, value) in [("dad_transmits", "3"), ("optimistic_dad", "1")] {
        set(cable.a(), "thunderbolt0", setting, value);
    }
    ip(
        cable.a(),
        "addr add fe80::56/64 dev thunderbolt0 optimistic",
    );
    a.is_down_because(&["fe80::56", "optimistic"]);
    a.is_up_again();
    reaches(&cable, &a.transport);

    ip(cable.a(), "addr flush dev thunderbolt0");
    a.reason_for_being_down();
    ip(
        cable.a(),
        "addr add fe80::57/64 dev thunderbolt0 nodad preferred_lft 0",
    );
    a.is_up_again();
    reaches(&cable, &a.transport);
}

#[test]
fn missing_removed_and_moved_interfaces_have_different_reasons() {
    let cable = Cable::unplugged();
    let elsewhere = Host::alone();
    let waiting = ThunderboltTransportBuilder::new().wait_for_interface(true);
    let a = Watched::start(cable.a(), waiting);
    a.is_down_because(&["no such interface yet", "modprobe thunderbolt-net"]);
    cable.plug();
    a.is_up_again();
    cable.unplug();
    a.is_down_because(&["the interface is gone", "cable"]);
    cable.plug();
    a.is_up_again();
    let there = elsewhere.run(|| fs::File::open("/proc/thread-self/ns/net").expect("a namespace"));
    let path = {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), there.as_raw_fd())
    };
    ip(cable.a(), &format!("link set thunderbolt0 netns {path}"));
    a.is_down_because(&["moved to another network namespace"]);
    // Changes of other interfaces do not affect the reason.
    ip(cable.a(), "link add other0 type veth peer name other1");
    a.is_down_because(&["moved to another network namespace"]);
}

/// The stream has ended, so its calls fail for ever, but the link is up again.
#[test]
fn a_stream_of_an_earlier_interface_does_not_say_that_the_link_is_down_now() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    let stream = cable
        .a()
        .run(|| a.transport.open_data_stream(cable.b().address()))
        .unwrap();
    cable.unplug();
    a.is_down_because(&["gone"]);
    let read = || stream.read_timeout(&mut [0; 8], None).unwrap_err();
    let error = read();
    assert!(
        matches!(error, TransportError::LinkDown { back: false, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("is down"), "{error}");
    cable.plug();
    a.is_up_again();
    let error = read();
    assert!(
        matches!(error, TransportError::LinkDown { back: true, .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("is up again") && !text.contains("is down"),
        "{text}"
    );
}

fn set(host: &Host, scope: &str, setting: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{scope}/{setting}");
    host.run(|| fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
}
