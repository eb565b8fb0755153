//! The states of an interface, and their texts.

use std::net::Ipv6Addr;

use crate::sys::netlink::{Interface, Ipv6, Operational, Port, Unusable};

/// The state of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    Absent(Absence),
    /// `ip link set … down`.
    Down,
    /// There is no signal from the other end.
    NoCarrier(CarrierLoss),
    /// No IPv6 address that could be a source.
    Addressless(Missing),
    /// It could carry traffic, but the sockets could not be bound.
    Unbound(String),
    /// A call found it down for a moment.
    Interrupted,
    Up,
}

/// Why there is no interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// There was none since the transport started.
    NotThere,
    /// It was deleted: the cable was pulled.
    Gone,
    /// It is in another network namespace now.
    Moved,
}

/// Why an interface that is switched on carries no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CarrierLoss {
    /// The other end is asleep, rebooting or not configured.
    NoSignal,
    NotPresent,
    LowerLayerDown,
    Testing,
    Dormant,
    HeldDown,
}

/// Why no address can be a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There are addresses, but this one is not usable.
    Unusable(Ipv6Addr, Unusable),
    SmallMtu(u32),
    /// The kernel has no IPv6 for this interface.
    NoIpv6,
    Disabled,
    /// It is a port of another interface, which has the addresses.
    PortOf(Port),
    /// The kernel is configured to generate none.
    NotGenerated,
    Nothing,
}

/// IPv6 works on no interface whose MTU is smaller (RFC 8200, 5).
const SMALLEST_MTU: u32 = 1280;

impl LinkState {
    /// The state of an interface according to the kernel.
    pub fn of(interface: &Interface) -> Self {
        if !interface.up {
            Self::Down
        } else if !interface.running {
            Self::NoCarrier(CarrierLoss::of(interface))
        } else if interface.addresses.is_empty() {
            Self::Addressless(Missing::of(interface))
        } else {
            Self::Up
        }
    }

    /// Why the interface cannot send, and what to do.
    pub fn reason(&self, interface: &str) -> String {
        let dev = word(interface);
        match self {
            Self::Absent(absence) => absence.reason().to_owned(),
            Self::Down => {
                format!("the interface is switched off; switch it on: ip link set dev {dev} up")
            }
            Self::NoCarrier(loss) => loss.reason(dev),
            Self::Addressless(missing) => missing.reason(dev),
            Self::Unbound(why) => why.clone(),
            Self::Interrupted => "it was down for a moment".to_owned(),
            Self::Up => "it is up".to_owned(),
        }
    }
}

impl Absence {
    fn reason(self) -> &'static str {
        match self {
            Self::NotThere => {
                "there is no such interface yet; connect the cable, and load the driver on both \
                 hosts: modprobe thunderbolt-net"
            }
            Self::Gone => {
                "the interface is gone: the cable was pulled, or the driver removed; it works \
                 again when it is back"
            }
            Self::Moved => {
                "the interface was moved to another network namespace; it works again when it is \
                 back in this one"
            }
        }
    }
}

impl CarrierLoss {
    fn of(interface: &Interface) -> Self {
        match interface.operational {
            Operational::NotPresent => Self::NotPresent,
            _ if interface.held_down => Self::HeldDown,
            Operational::Testing => Self::Testing,
            Operational::Dormant => Self::Dormant,
            // With a signal of its own, the interface below it is not the reason.
            Operational::LowerLayerDown if !interface.signal => Self::LowerLayerDown,
            _ => Self::NoSignal,
        }
    }

    fn reason(self, dev: &str) -> String {
        match self {
            Self::NoSignal => "no carrier: the other host sleeps, restarts, or has its interface \
                               switched off"
                .to_owned(),
            Self::NotPresent => {
                "its hardware is not present: it is suspended, or was taken out".to_owned()
            }
            Self::LowerLayerDown => "no carrier: the interface below it is down, or the other \
                                     end of it"
                .to_owned(),
            Self::Testing => format!(
                "it is in a test mode (operstate testing); when the test is over: ip link set dev \
                 {dev} state up"
            ),
            Self::Dormant => format!(
                "it is dormant (operstate dormant): it waits for a login such as 802.1X; if there \
                 is none: ip link set dev {dev} mode default state up"
            ),
            Self::HeldDown => format!(
                "a daemon holds it down (protodown); when that is no longer wanted: ip link set \
                 dev {dev} protodown off"
            ),
        }
    }
}

impl Missing {
    fn of(interface: &Interface) -> Self {
        // States that last a second only come before lasting ones.
        for kind in [
            Unusable::Tentative,
            Unusable::Optimistic,
            Unusable::Duplicate,
        ] {
            let found = interface.unusable.iter().find(|(_, why)| *why == kind);
            if let Some((address, why)) = found {
                return Self::Unusable(*address, *why);
            }
        }
        match interface.ipv6 {
            Ipv6::Missing if interface.mtu < SMALLEST_MTU => Self::SmallMtu(interface.mtu),
            Ipv6::Missing => Self::NoIpv6,
            Ipv6::Disabled => Self::Disabled,
            Ipv6::Enabled { generates } => match &interface.port_of {
                Some(port) => Self::PortOf(port.clone()),
                None if generates => Self::Nothing,
                None => Self::NotGenerated,
            },
        }
    }

    fn reason(&self, dev: &str) -> String {
        match self {
            Self::Unusable(address, Unusable::Tentative) => format!(
                "its address {address} is still being checked for duplicates; that takes a second \
                 or two"
            ),
            Self::Unusable(address, Unusable::Optimistic) => format!(
                "its address {address} is optimistic: nothing reaches a new peer before the check \
                 for duplicates is over, in a second or two"
            ),
            Self::Unusable(address, Unusable::Duplicate) => format!(
                "its address {address} is a duplicate: another host on the link has it; give this \
                 one another: ip addr add fe80::NUMBER/64 dev {dev}"
            ),
            Self::SmallMtu(mtu) => format!(
                "it has no IPv6 address, because its MTU of {mtu} is below the {SMALLEST_MTU} that \
                 IPv6 needs; raise it: ip link set dev {dev} mtu 65520"
            ),
            Self::NoIpv6 => "it has no IPv6 address, because the kernel has no IPv6 for it; \
                             remove ipv6.disable=1 from the kernel's command line"
                .to_owned(),
            Self::Disabled => format!(
                "it has no IPv6 address, because IPv6 is disabled on it; enable it: sysctl -w \
                 net/ipv6/conf/{dev}/disable_ipv6=0"
            ),
            Self::PortOf(port) => format!(
                "it has no IPv6 address, because it is part of {} {}; take it out: ip link set dev \
                 {dev} nomaster",
                if port.kind.is_empty() { "interface" } else { &port.kind },
                word(&port.name)
            ),
            Self::NotGenerated => format!(
                "it has no IPv6 address, and the kernel makes none (addrgenmode none); let it: ip \
                 link set dev {dev} addrgenmode eui64, then switch the interface off and on"
            ),
            Self::Nothing => format!(
                "it has no IPv6 address; give it one: ip addr add fe80::NUMBER/64 dev {dev}, or \
                 switch the interface off and on"
            ),
        }
    }
}

/// An interface's name as a word of a command. Linux allows almost any name. One that could mean something to a shell,
/// or to a terminal, is not written into a command.
pub(super) fn word(name: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    match !name.starts_with('-') && !name.is_empty() && name.bytes().all(is_plain) {
        true => name,
        false => "NAME",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn interface() -> Interface {
        Interface {
            index: 7,
            name: "tb7".to_owned(),
            up: true,
            running: true,
            signal: true,
            operational: Operational::Up,
            held_down: false,
            multicast: true,
            mtu: 65520,
            hardware: Vec::new(),
            port_of: None,
            ipv6: Ipv6::Enabled { generates: true },
            addresses: vec![address()],
            unusable: Vec::new(),
        }
    }

    fn address() -> Ipv6Addr {
        "fe80::77".parse().unwrap()
    }

    fn of(change: impl FnOnce(&mut Interface)) -> LinkState {
        let mut interface = interface();
        change(&mut interface);
        LinkState::of(&interface)
    }

    fn silent(change: impl FnOnce(&mut Interface)) -> LinkState {
        of(|interface| {
            interface.running = false;
            interface.signal = false;
            interface.operational = Operational::Down;
            change(interface);
        })
    }

    fn addressless(change: impl FnOnce(&mut Interface)) -> LinkState {
        of(|interface| {
            interface.addresses.clear();
            change(interface);
        })
    }

    fn unusable(why: Unusable) -> LinkState {
        addressless(|interface| interface.unusable.push((address(), why)))
    }

    fn port(kind: &str) -> LinkState {
        addressless(|interface| {
            interface.port_of = Some(Port {
                index: 3,
                name: "joined0".to_owned(),
                kind: kind.to_owned(),
            });
        })
    }

    /// Each state that the kernel can report, and the words that its reason needs.
    fn states() -> Vec<(LinkState, &'static [&'static str])> {
        let operational = |state, signal| {
            silent(|interface| {
                interface.operational = state;
                interface.signal = signal;
            })
        };
        vec![
            (
                LinkState::Absent(Absence::NotThere),
                &["no such interface", "cable", "modprobe thunderbolt-net"],
            ),
            (LinkState::Absent(Absence::Gone), &["gone", "cable"]),
            (
                LinkState::Absent(Absence::Moved),
                &["another network namespace"],
            ),
            (
                of(|interface| interface.up = false),
                &["switched off", "ip link set dev tb7 up"],
            ),
            (silent(|_| ()), &["no carrier", "other host"]),
            (
                operational(Operational::NotPresent, false),
                &["not present", "suspended"],
            ),
            (
                operational(Operational::LowerLayerDown, false),
                &["no carrier", "below it"],
            ),
            (
                operational(Operational::Testing, true),
                &["testing", "ip link set dev tb7 state up"],
            ),
            (
                operational(Operational::Dormant, true),
                &["dormant", "ip link set dev tb7 mode default state up"],
            ),
            (
                silent(|interface| interface.held_down = true),
                &["protodown off"],
            ),
            (
                unusable(Unusable::Tentative),
                &["fe80::77", "still being checked"],
            ),
            (unusable(Unusable::Optimistic), &["fe80::77", "optimistic"]),
            (
                unusable(Unusable::Duplicate),
                &["fe80::77", "duplicate", "another host", "ip addr add"],
            ),
            (
                addressless(|interface| {
                    interface.ipv6 = Ipv6::Missing;
                    interface.mtu = 1200;
                }),
                &["no IPv6 address", "MTU of 1200", "1280"],
            ),
            (
                addressless(|interface| interface.ipv6 = Ipv6::Missing),
                &["no IPv6 address", "ipv6.disable=1"],
            ),
            (
                addressless(|interface| interface.ipv6 = Ipv6::Disabled),
                &["IPv6 is disabled", "net/ipv6/conf/tb7/disable_ipv6=0"],
            ),
            (port("bridge"), &["part of bridge joined0", "nomaster"]),
            (port("bond"), &["part of bond joined0", "nomaster"]),
            (port("vrf"), &["part of vrf joined0", "nomaster"]),
            (port(""), &["part of interface joined0", "nomaster"]),
            (
                addressless(|interface| interface.ipv6 = Ipv6::Enabled { generates: false }),
                &["no IPv6 address", "addrgenmode none"],
            ),
            (addressless(|_| ()), &["no IPv6 address", "ip addr add"]),
        ]
    }

    #[test]
    fn each_state_has_its_own_words() {
        let mut seen = HashSet::new();
        for (state, said) in states() {
            assert_ne!(state, LinkState::Up);
            let reason = state.reason("tb7");
            for words in said {
                assert!(reason.contains(words), "{state:?}: {reason}");
            }
            assert!(seen.insert(reason.clone()), "{state:?}: {reason}");
        }
    }

    #[test]
    fn an_interface_that_runs_and_has_an_address_is_up() {
        assert_eq!(of(|_| ()), LinkState::Up);
        // Drivers without a notion of it say so, as lo does.
        let unknown = of(|interface| interface.operational = Operational::Unknown);
        assert_eq!(unknown, LinkState::Up);
        // One good address is enough.
        for why in [
            Unusable::Tentative,
            Unusable::Optimistic,
            Unusable::Duplicate,
        ] {
            let beside = of(|interface| interface.unusable.push((address(), why)));
            assert_eq!(beside, LinkState::Up);
        }
    }

    #[test]
    fn what_passes_by_itself_is_told_before_what_does_not() {
        let both = addressless(|interface| {
            interface.unusable = vec![
                (address(), Unusable::Duplicate),
                (address(), Unusable::Tentative),
            ];
        });
        assert!(both.reason("tb7").contains("still being checked"));
    }

    #[test]
    fn a_name_that_means_something_to_a_shell_is_in_no_command() {
        for name in ["$(reboot)", "a;b", "a'b", "\x1b[31m", "-help", "a b", ""] {
            for (state, _) in states() {
                let reason = state.reason(name);
                assert!(name.is_empty() || !reason.contains(name), "{reason}");
            }
        }
    }
}
