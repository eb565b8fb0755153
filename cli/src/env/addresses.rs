//! The addresses of both ends, for programs that do not support link-local addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

use crate::exit::Exit;
use crate::failure::Failure;

/// Proposed where there is no address: a private network for two hosts that is rarely used.
const PROPOSED: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 83, 84, 1), Ipv4Addr::new(10, 83, 84, 2)];

pub struct Addresses {
    pub interface: String,
    /// The link-local address, if known.
    pub peer_link: Option<Ipv6Addr>,
    own: Ipv4Addr,
    /// Whether this is the first of the two ends. Both agree by comparing link-local addresses.
    first: Option<bool>,
    peer: Option<Ipv4Addr>,
    is_proposed: bool,
}

impl Addresses {
    pub fn of(interface: &str, peer: Option<&str>) -> Result<Self, Failure> {
        let failed = |error| Failure::new(Exit::Failed, format!("cannot list addresses: {error}"));
        let (mut link, mut given) = (None, None);
        for found in getifaddrs()
            .map_err(failed)?
            .filter(|found| found.interface_name == interface)
        {
            let Some(address) = found.address else {
                continue;
            };
            if let Some(address) = address.as_sockaddr_in6() {
                link = link.or(Some(address.ip()).filter(Ipv6Addr::is_unicast_link_local));
            } else if let Some(address) = address.as_sockaddr_in() {
                let mask = found
                    .netmask
                    .and_then(|mask| Some(mask.as_sockaddr_in()?.ip()));
                given = given.or(mask.map(|mask| (address.ip(), mask)));
            }
        }
        let peer_link = peer.and_then(link_local);
        Ok(Self::new(interface, link.zip(peer_link), peer_link, given))
    }

    fn new(
        interface: &str,
        links: Option<(Ipv6Addr, Ipv6Addr)>,
        peer_link: Option<Ipv6Addr>,
        given: Option<(Ipv4Addr, Ipv4Addr)>,
    ) -> Self {
        let first = links.map(|(own, peer)| own < peer);
        let (own, peer) = match (given, first) {
            (Some((own, mask)), _) => (own, other_of_two(own, mask)),
            (None, Some(false)) => (PROPOSED[1], Some(PROPOSED[0])),
            (None, _) => (PROPOSED[0], Some(PROPOSED[1])),
        };
        let first = match (given, peer) {
            // Configured addresses determine the order.
            (Some(_), Some(peer)) => Some(own < peer),
            _ => first,
        };
        Self {
            interface: interface.to_owned(),
            peer_link,
            own,
            first,
            peer,
            is_proposed: given.is_none(),
        }
    }

    pub fn own(&self) -> IpAddr {
        self.own.into()
    }

    /// The peer's address, or a placeholder.
    pub fn peer(&self) -> String {
        self.peer
            .map_or_else(|| "PEER".to_owned(), |peer| peer.to_string())
    }

    /// The address that others connect to: that of the first end.
    pub fn main(&self) -> String {
        match self.first {
            Some(false) => self.peer(),
            _ => self.own.to_string(),
        }
    }

    /// The rank, 0 or 1, or a placeholder.
    pub fn rank(&self) -> &'static str {
        match self.first {
            Some(true) => "0",
            Some(false) => "1",
            None => "RANK",
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let interface = &self.interface;
        let mut lines = vec![format!(
            "# {interface}: {} here, {} there",
            self.own,
            self.peer()
        )];
        if self.is_proposed {
            lines.push(format!("# {interface} has link-local addresses only. Add these first (they disappear with the cable):"));
            lines.push(format!(
                "#   here:  sudo ip address add {}/30 dev {interface}",
                self.own
            ));
            lines.push(format!(
                "#   there: sudo ip address add {}/30 dev {interface}",
                self.peer()
            ));
        }
        lines
    }
}

/// Parses `fe80::1%tb0`, with or without a port.
fn link_local(peer: &str) -> Option<Ipv6Addr> {
    let address = peer.trim_start_matches('[');
    address.split(['%', ']']).next()?.parse().ok()
}

/// The other address of a network for two hosts.
fn other_of_two(own: Ipv4Addr, mask: Ipv4Addr) -> Option<Ipv4Addr> {
    let bits = u32::from(own);
    match u32::from(mask).count_ones() {
        31 => Some(Ipv4Addr::from(bits ^ 1)),
        30 => Some(Ipv4Addr::from(bits ^ 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn both_ends_agree_on_who_is_who() {
        let ends = [v6("fe80::a"), v6("fe80::b")];
        let of = |own, peer| Addresses::new("tb0", Some((own, peer)), Some(peer), None);
        let (one, other) = (of(ends[0], ends[1]), of(ends[1], ends[0]));
        assert_eq!(
            (one.own().to_string(), one.peer()),
            (other.peer(), other.own().to_string())
        );
        assert_eq!(one.main(), other.main());
        assert_eq!((one.rank(), other.rank()), ("0", "1"));
    }

    #[test]
    fn addresses_that_are_there_are_kept() {
        let given = |own: [u8; 4], mask: [u8; 4]| {
            Addresses::new("tb0", None, None, Some((own.into(), mask.into())))
        };
        let small = given([192, 168, 7, 2], [255, 255, 255, 252]);
        assert_eq!(
            (small.peer(), small.main(), small.rank()),
            ("192.168.7.1".into(), "192.168.7.1".into(), "1")
        );
        assert!(!small.is_proposed);
        let large = given([192, 168, 7, 2], [255, 255, 255, 0]);
        assert_eq!((large.peer().as_str(), large.rank()), ("PEER", "RANK"));
    }

    #[test]
    fn peers_are_read_as_they_are_written() {
        for text in ["fe80::1%tb0", "fe80::1", "[fe80::1%tb0]:5000"] {
            assert_eq!(link_local(text), Some(v6("fe80::1")), "{text}");
        }
    }
}
