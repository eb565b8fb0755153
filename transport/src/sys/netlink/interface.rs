//! An interface and its addresses, parsed from the kernel's answers.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{DecodeError, ErrorMessage, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    State,
};
use netlink_packet_route::RouteNetlinkMessage;

use super::messages::messages;

/// The state of an interface at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub index: u32,
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Up, and in an operational state that allows traffic: IFF_RUNNING of netdevice(7).
    pub running: bool,
    /// The driver has a signal from the other end, whatever the other states are: IFF_LOWER_UP.
    pub signal: bool,
    /// The reason if it is not running.
    pub operational: Operational,
    /// A daemon holds it down (`protodown` of ip-link(8)).
    pub held_down: bool,
    pub multicast: bool,
    pub mtu: u32,
    pub hardware: Vec<u8>,
    /// The bridge, bond or VRF of which it is a port.
    pub port_of: Option<Port>,
    pub ipv6: Ipv6,
    /// IPv6 addresses that can be used as a source.
    pub addresses: Vec<Ipv6Addr>,
    /// IPv6 addresses that cannot be used as a source, or not yet.
    pub unusable: Vec<(Ipv6Addr, Unusable)>,
}

/// RFC 2863's operational state, as IFLA_OPERSTATE has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operational {
    Unknown,
    /// The hardware is suspended or was removed.
    NotPresent,
    Down,
    /// An interface below this one is down.
    LowerLayerDown,
    Testing,
    /// The interface waits for an external event, such as an 802.1X login.
    Dormant,
    Up,
}

/// The interface of which another one is a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub index: u32,
    /// Its name. Empty until it has been queried.
    pub name: String,
    /// `bridge`, `bond`, `vrf` …. Empty if the kernel does not report it.
    pub kind: String,
}

/// The state of IPv6 on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ipv6 {
    /// There is no IPv6: the MTU is too small, or the kernel does not support it.
    Missing,
    /// The sysctl `disable_ipv6` disables it.
    Disabled,
    /// It is enabled. `generates`: the kernel generates link-local addresses (addrgenmode).
    Enabled { generates: bool },
}

/// Why an address cannot be used as a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Duplicate address detection (RFC 4862) is still running.
    Tentative,
    /// Duplicate address detection is still running, and the address may be used for known neighbours
    /// only (RFC 4429): sending to other ones fails.
    Optimistic,
    /// Another host on the link has it.
    Duplicate,
}

/// Parses the answer to a query for one interface. `None` if it does not exist.
pub(crate) fn link(answer: &[u8]) -> io::Result<Option<Interface>> {
    for message in decode(answer)? {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                return Ok(Some(Interface::without_addresses(link)))
            }
            NetlinkPayload::Error(error) => {
                let error = refusal(&error);
                return match error.raw_os_error() {
                    // ERANGE and EINVAL: the name is not valid for an interface.
                    Some(libc::ENODEV | libc::ERANGE | libc::EINVAL) => Ok(None),
                    _ => Err(error),
                };
            }
            _ => {}
        }
    }
    Ok(None)
}

impl Interface {
    fn without_addresses(link: LinkMessage) -> Self {
        let flags = link.header.flags;
        let mut interface = Self {
            index: link.header.index,
            name: String::new(),
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::Up | LinkFlags::Running),
            signal: flags.contains(LinkFlags::LowerUp),
            operational: Operational::Unknown,
            held_down: false,
            multicast: flags.contains(LinkFlags::Multicast),
            mtu: 0,
            hardware: Vec::new(),
            port_of: None,
            ipv6: Ipv6::Missing,
            addresses: Vec::new(),
            unusable: Vec::new(),
        };
        let (mut master, mut kind) = (0, String::new());
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(name) => interface.name = name,
                LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
                LinkAttribute::Address(address) => interface.hardware = address,
                LinkAttribute::OperState(state) => interface.operational = state.into(),
                LinkAttribute::ProtoDown(on) => interface.held_down = on != 0,
                LinkAttribute::Controller(index) => master = index,
                LinkAttribute::LinkInfo(all) => {
                    for info in all {
                        if let LinkInfo::PortKind(port) = info {
                            kind = port.to_string();
                        }
                    }
                }
                LinkAttribute::AfSpecUnspec(all) => {
                    for family in all {
                        if let AfSpecUnspec::Inet6(told) = family {
                            interface.ipv6 = ipv6(&told);
                        }
                    }
                }
                _ => {}
            }
        }
        if master != 0 {
            interface.port_of = Some(Port {
                index: master,
                name: String::new(),
                kind,
            });
        }
        interface
    }
}

fn ipv6(told: &[AfSpecInet6]) -> Ipv6 {
    let (mut disabled, mut generates) = (false, true);
    for fact in told {
        match fact {
            AfSpecInet6::DevConf(settings) => disabled = settings.disable_ipv6 != 0,
            AfSpecInet6::AddrGenMode(mode) => generates = *mode != In6AddrGenMode::None,
            _ => {}
        }
    }
    match disabled {
        true => Ipv6::Disabled,
        false => Ipv6::Enabled { generates },
    }
}

impl From<State> for Operational {
    fn from(state: State) -> Self {
        match state {
            State::NotPresent => Self::NotPresent,
            State::Down => Self::Down,
            State::LowerLayerDown => Self::LowerLayerDown,
            State::Testing => Self::Testing,
            State::Dormant => Self::Dormant,
            State::Up => Self::Up,
            _ => Self::Unknown,
        }
    }
}

/// Adds the addresses of `interface` from one datagram of the answer to a query for addresses. Returns
/// true after the last one.
pub(crate) fn add_addresses(interface: &mut Interface, answer: &[u8]) -> io::Result<bool> {
    for message in decode(answer)? {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address))
                if address.header.index == interface.index =>
            {
                add_address(interface, &address);
            }
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(refusal(&error)),
            _ => {}
        }
    }
    Ok(false)
}

fn add_address(interface: &mut Interface, message: &AddressMessage) {
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(ip)) => address = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let Some(address) = address else {
        return;
    };
    let unusable = if flags.contains(AddressFlags::Dadfailed) {
        Unusable::Duplicate
    } else if flags.contains(AddressFlags::Optimistic) {
        Unusable::Optimistic
    } else if flags.contains(AddressFlags::Tentative) {
        Unusable::Tentative
    } else {
        return interface.addresses.push(address);
    };
    interface.unusable.push((address, unusable));
}

/// The error in an answer. The conversion of netlink-packet-core overflows for `i32::MIN`, which no kernel sends.
fn refusal(error: &ErrorMessage) -> io::Error {
    io::Error::from_raw_os_error(error.raw_code().checked_abs().unwrap_or(libc::EIO))
}

fn decode(answer: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let decoded =
        messages(answer).map(|message| NetlinkMessage::deserialize(message?.into_inner()));
    decoded
        .collect::<Result<_, DecodeError>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of type NLMSG_ERROR to a request without a payload (netlink(7)).
    fn refused(code: i32) -> Vec<u8> {
        let length = 36_u32;
        let mut answer = vec![0; length as usize];
        answer[..4].copy_from_slice(&length.to_ne_bytes());
        answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        answer[16..20].copy_from_slice(&code.to_ne_bytes());
        answer[20..24].copy_from_slice(&16_u32.to_ne_bytes());
        answer
    }

    #[test]
    fn an_error_in_an_answer_is_returned_whatever_its_number_is() {
        assert_eq!(link(&refused(-libc::ENODEV)).unwrap(), None);
        for (code, errno) in [(-libc::EPERM, libc::EPERM), (i32::MIN, libc::EIO)] {
            let error = link(&refused(code)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno));
        }
    }
}
