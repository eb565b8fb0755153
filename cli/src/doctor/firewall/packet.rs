//! The packets that this transport needs, and their fields.

/// The direction of the packets of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// A field that a rule tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    InInterface,
    OutInterface,
    /// The transport protocol.
    Protocol,
    /// IPv4 or IPv6.
    Family,
    /// Of one protocol, or of any.
    SourcePort(Option<u8>),
    DestinationPort(Option<u8>),
    IcmpType,
    /// The state of connection tracking.
    State,
    Source,
    Destination,
    /// Whether there is a route back to the source.
    RouteBack,
    /// A field of IPv4.
    Ipv4,
    Unknown,
}

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// The family, as the parsers of rules name it.
pub const IPV6: &str = "ip6";
/// fe80::/64: every source, and every unicast destination.
const LINK_LOCAL: u128 = 0xfe80 << 112;
/// ff02::/16: the multicast groups of neighbour discovery and peer discovery.
const GROUPS: u128 = 0xff02 << 112;

/// A value or range that a field may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Between(u128, u128),
    Text(String),
}

/// A packet on the checked interface.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// Its description.
    pub what: String,
    pub way: Way,
    pub interface: Option<&'a str>,
    pub protocol: u8,
    /// The ranges of its source port and its destination port.
    pub ports: (Range, Range),
    pub icmp: Option<u8>,
    pub state: &'static str,
    /// Whether only discovery needs it.
    pub is_answer_to_a_search: bool,
    pub is_tracked: bool,
}

pub type Range = (u16, u16);

/// The ports of unbound sockets, if `ip_local_port_range` is unknown.
pub const CHOSEN: Range = (32_768, 60_999);

/// The ports of a transport, and the range of ports that the kernel chooses.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub control: u16,
    pub data: u16,
    pub chosen: Range,
}

/// ICMPv6 types of neighbour discovery (RFC 4861), which resolves addresses.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// All kinds of packets, in both directions.
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
                // The kernel does not track neighbour discovery.
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
        let answers = "answers from the peer's ports";
        packets.push(packet(answers, UDP, (control_port, chosen), "established"));
        packets.push(packet(answers, TCP, (data_port, chosen), "established"));
        packets.push(Packet {
            is_answer_to_a_search: true,
            // The request went to a multicast group, so connection tracking has no entry for the answer.
            ..packet("answers to discovery", UDP, (control_port, chosen), "new")
        });
    }
    packets
}

impl Packet<'_> {
    /// Whether the packet has the field. A rule for a missing field does not match.
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

    /// Whether the destination is unicast only.
    fn is_to_one(&self) -> bool {
        self.protocol == TCP || self.is_answer_to_a_search || self.state == "established"
    }

    /// The possible values of a field; none if unknown.
    pub fn facts(&self, field: &Field) -> Vec<Fact> {
        let number = |number: u128| Fact::Between(number, number);
        let text = |text: &str| Fact::Text(text.to_owned());
        let net = |begin: u128, bits: u32| Fact::Between(begin, begin | (u128::MAX >> bits));
        let name = |way| match (self.way == way, self.interface) {
            (true, Some(name)) => vec![text(name)],
            // An incoming packet has no output interface, and vice versa.
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
            // The route to fe80::/64 is through the interface itself.
            Field::RouteBack => vec![number(1)],
            Field::State | Field::Ipv4 | Field::Unknown => Vec::new(),
        }
    }
}
