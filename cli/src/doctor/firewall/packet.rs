//! The packets that this transport lives on, and what rules may ask of them.

/// Which way the packets go that a chain sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    InInterface,
    OutInterface,
    /// That of the transport layer.
    Protocol,
    /// IPv4 or IPv6.
    Family,
    /// Of one protocol, or of any.
    SourcePort(Option<u8>),
    DestinationPort(Option<u8>),
    IcmpType,
    /// What connection tracking makes of it.
    State,
    Source,
    Destination,
    /// Whether there is a way back to its source.
    RouteBack,
    /// Something of IPv4.
    Ipv4,
    Unknown,
}

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// The family, as the readers of rules call it.
pub const IPV6: &str = "ip6";
/// fe80::/64, where every source is, and every destination that is no group.
const LINK_LOCAL: u128 = 0xfe80 << 112;
/// ff02::/16: neighbour discovery and a search go to groups of the link.
const GROUPS: u128 = 0xff02 << 112;

/// One value that a field may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Between(u128, u128),
    Text(String),
}

/// A packet on the interface that is judged.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// What it is, for a person.
    pub what: String,
    pub way: Way,
    pub interface: Option<&'a str>,
    pub protocol: u8,
    /// From one to another, both of its source and of its destination.
    pub ports: (Range, Range),
    pub icmp: Option<u8>,
    pub state: &'static str,
    /// Whether only searches need it.
    pub is_answer_to_a_search: bool,
    pub is_tracked: bool,
}

pub type Range = (u16, u16);

/// What an unbound socket gets, if `ip_local_port_range` does not say.
pub const CHOSEN: Range = (32_768, 60_999);

/// The ports of a transport, and those that the kernel chooses for others.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub control: u16,
    pub data: u16,
    pub chosen: Range,
}

/// Types of ICMPv6 (RFC 4861): without these two no host is found by its address.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// All kinds that come, and that go.
pub fn all(interface: Option<&str>, ports: Ports) -> Vec<Packet<'_>> {
    let Ports {
        control,
        data,
        chosen,
    } = ports;
    let (control_port, data_port) = ((control, control), (data, data));
    let mut packets = Vec::new();
    for way in [Way::In, Way::Out] {
        let packet = |what: &str, protocol, ports, state| Packet {
            what: what.to_owned(),
            way,
            interface,
            protocol,
            ports,
            icmp: None,
            state,
            is_answer_to_a_search: false,
            is_tracked: true,
        };
        for kind in [SOLICITATION, ADVERTISEMENT] {
            packets.push(Packet {
                icmp: Some(kind),
                // The kernel leaves neighbour discovery alone.
                ..packet(
                    "ICMPv6 neighbour discovery",
                    ICMPV6,
                    (chosen, chosen),
                    "untracked",
                )
            });
        }
        let udp = format!("UDP port {control}");
        let tcp = format!("TCP port {data}");
        packets.push(packet(&udp, UDP, (chosen, control_port), "new"));
        packets.push(packet(&tcp, TCP, (chosen, data_port), "new"));
        packets.push(packet(&tcp, TCP, (chosen, data_port), "established"));
        let answers = "answers from the ports of the other side";
        packets.push(packet(answers, UDP, (control_port, chosen), "established"));
        packets.push(packet(answers, TCP, (data_port, chosen), "established"));
        packets.push(Packet {
            is_answer_to_a_search: true,
            // What was asked was a group: connection tracking knows of no such answer.
            ..packet("answers to a search", UDP, (control_port, chosen), "new")
        });
    }
    packets
}

impl Packet<'_> {
    /// Whether it has the field at all: a rule for something else does not match.
    pub fn has(&self, field: &Field) -> bool {
        match field {
            Field::SourcePort(of) | Field::DestinationPort(of) => {
                self.protocol != ICMPV6 && of.is_none_or(|of| of == self.protocol)
            }
            Field::IcmpType => self.protocol == ICMPV6,
            Field::Ipv4 => false,
            _ => true,
        }
    }

    /// Whether it goes to one host only, and to no group.
    fn is_to_one(&self) -> bool {
        self.protocol == TCP || self.is_answer_to_a_search || self.state == "established"
    }

    /// What the field may be; nothing, if that is not known.
    pub fn facts(&self, field: &Field) -> Vec<Fact> {
        let number = |number: u128| Fact::Between(number, number);
        let text = |text: &str| Fact::Text(text.to_owned());
        let net = |begin: u128, bits: u32| Fact::Between(begin, begin | (u128::MAX >> bits));
        let name = |way| match (self.way == way, self.interface) {
            (true, Some(name)) => vec![text(name)],
            // A packet that comes has no interface that it leaves by.
            (false, _) => vec![text("")],
            (true, None) => Vec::new(),
        };
        let port = |(from, to): Range| vec![Fact::Between(from.into(), to.into())];
        match field {
            Field::InInterface => name(Way::In),
            Field::OutInterface => name(Way::Out),
            Field::Protocol => vec![number(self.protocol.into())],
            Field::Family => vec![text(IPV6)],
            Field::SourcePort(_) => port(self.ports.0),
            Field::DestinationPort(_) => port(self.ports.1),
            Field::IcmpType => self
                .icmp
                .map(|kind| number(kind.into()))
                .into_iter()
                .collect(),
            Field::State if self.is_tracked => vec![text(self.state)],
            Field::Source => vec![net(LINK_LOCAL, 64)],
            Field::Destination if self.is_to_one() => vec![net(LINK_LOCAL, 64)],
            Field::Destination => vec![net(LINK_LOCAL, 64), net(GROUPS, 16)],
            // The route to fe80::/64 is that of the interface itself.
            Field::RouteBack => vec![number(1)],
            Field::State | Field::Ipv4 | Field::Unknown => Vec::new(),
        }
    }
}
