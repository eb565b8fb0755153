//! The names of hooks, header fields and values in rules.

use std::net::Ipv6Addr;

use super::packet::{Field, Way, ICMPV6, IPV6, TCP, UDP};
use super::rules::Value;

/// The direction of packets at a hook. Forwarded packets are not this host's.
pub fn way(hook: &str) -> Option<Way> {
    match hook {
        "ingress" | "prerouting" | "input" => Some(Way::In),
        "egress" | "output" | "postrouting" => Some(Way::Out),
        _ => None,
    }
}

/// A field of a header, by its names in nft.
pub fn header(protocol: &str, field: &str) -> Field {
    let of = match protocol {
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        _ => None,
    };
    match (protocol, field) {
        ("tcp" | "udp" | "th", "sport") => Field::SourcePort(of),
        ("tcp" | "udp" | "th", "dport") => Field::DestinationPort(of),
        ("icmpv6", "type") => Field::IcmpType,
        ("ip6", "saddr") => Field::Source,
        ("ip6", "daddr") => Field::Destination,
        ("ip6", "nexthdr") => Field::Protocol,
        ("ether", "type") => Field::Family,
        ("ip" | "icmp" | "igmp" | "arp", _) => Field::Ipv4,
        _ => Field::Unknown,
    }
}

/// The range of addresses with a prefix.
pub fn prefix(address: &str, bits: u32) -> Option<Value> {
    let address = u128::from(address.parse::<Ipv6Addr>().ok()?);
    let rest = match bits {
        128 => 0,
        0..128 => u128::MAX >> bits,
        _ => return None,
    };
    Some(Value::Range(address & !rest, address | rest))
}

/// A value by its name.
pub fn named(field: &Field, text: &str) -> Option<Value> {
    let number = |number: u128| Some(Value::Range(number, number));
    match field {
        Field::Protocol => match text {
            "tcp" => number(TCP.into()),
            "udp" => number(UDP.into()),
            "ipv6-icmp" | "icmpv6" | "icmp6" => number(ICMPV6.into()),
            // Other protocols differ from these three.
            "icmp" => number(1),
            "udplite" => number(136),
            "esp" => number(50),
            "ah" => number(51),
            "sctp" => number(132),
            "dccp" => number(33),
            _ => number(text.parse::<u8>().ok()?.into()),
        },
        Field::IcmpType => number(icmp_type(text)?.into()),
        Field::Family => Some(Value::Text(match text {
            "ip6" | "ipv6" => IPV6.to_owned(),
            other => other.to_owned(),
        })),
        Field::Source | Field::Destination => prefix(text, 128),
        Field::SourcePort(_) | Field::DestinationPort(_) => {
            number(text.parse::<u16>().ok()?.into())
        }
        Field::InInterface | Field::OutInterface | Field::State => {
            Some(Value::Text(text.to_owned()))
        }
        Field::RouteBack | Field::Ipv4 | Field::Unknown => None,
    }
}

fn icmp_type(text: &str) -> Option<u8> {
    Some(match text {
        "destination-unreachable" => 1,
        "packet-too-big" => 2,
        "time-exceeded" | "ttl-exceeded" => 3,
        "parameter-problem" => 4,
        "echo-request" => 128,
        "echo-reply" => 129,
        "mld-listener-query" => 130,
        "mld-listener-report" => 131,
        "mld-listener-done" | "mld-listener-reduction" => 132,
        "nd-router-solicit" | "router-solicitation" => 133,
        "nd-router-advert" | "router-advertisement" => 134,
        "nd-neighbor-solicit" | "neighbour-solicitation" | "neighbor-solicitation" => 135,
        "nd-neighbor-advert" | "neighbour-advertisement" | "neighbor-advertisement" => 136,
        "nd-redirect" | "redirect" => 137,
        "router-renumbering" => 138,
        "ind-neighbor-solicit" => 141,
        "ind-neighbor-advert" => 142,
        "mld2-listener-report" => 143,
        other => other.parse().ok()?,
    })
}
