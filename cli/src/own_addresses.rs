//! Recognises peers that are programs on this machine. Any local user can reach the ports of a server, which
//! cannot tell the users apart; a program that runs as one user must not serve the others.

use std::collections::HashSet;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

/// How long the list of addresses is cached for messages, of which there may be many.
const FRESH: Duration = Duration::from_secs(1);

/// An address, and the interface index of a link-local one.
type Own = (Ipv6Addr, u32);

/// Tells peers from programs on this machine.
pub struct OwnAddresses {
    allowed: bool,
    said: AtomicBool,
    last: Mutex<Option<(Instant, Arc<HashSet<Own>>)>>,
}

impl OwnAddresses {
    /// With `allowed`, programs on this machine count as peers.
    pub fn new(allowed: bool) -> Self {
        Self {
            allowed,
            said: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    /// Whether to refuse a stream from this address.
    pub fn refuses(&self, from: SocketAddrV6) -> bool {
        // Without the list, any source could be a local program.
        !self.allowed && (is_loopback(from.ip()) || all().is_none_or(|own| has(&own, &from)))
    }

    /// Whether to refuse a message from this sender. An address that was added within the last second may be
    /// missing from the cache.
    pub fn refuses_message(&self, from: &str) -> bool {
        if self.allowed {
            return false;
        }
        let Some(from) = parse(from) else {
            return false;
        };
        let mut last = self.last.lock().unwrap_or_else(|error| error.into_inner());
        let own = match &*last {
            Some((when, own)) if when.elapsed() < FRESH => Arc::clone(own),
            _ => {
                let own = Arc::new(all().unwrap_or_default());
                *last = Some((Instant::now(), Arc::clone(&own)));
                own
            }
        };
        is_loopback(from.ip()) || has(&own, &from)
    }

    /// Returns true once, so that the user gets the explanation only the first time.
    pub fn is_first(&self) -> bool {
        !self.said.swap(true, Ordering::Relaxed)
    }
}

fn is_loopback(ip: &Ipv6Addr) -> bool {
    ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
}

fn has(own: &HashSet<Own>, from: &SocketAddrV6) -> bool {
    let zone = match from.ip().is_unicast_link_local() {
        true => from.scope_id(),
        false => 0,
    };
    own.contains(&(*from.ip(), zone))
}

/// All addresses of this host's interfaces.
fn all() -> Option<HashSet<Own>> {
    let addresses = getifaddrs().ok()?;
    let own = addresses.filter_map(|interface| {
        let address = interface.address?;
        if let Some(address) = address.as_sockaddr_in() {
            return Some((address.ip().to_ipv6_mapped(), 0));
        }
        let address = address.as_sockaddr_in6()?;
        let zone = match address.ip().is_unicast_link_local() {
            true => address.scope_id(),
            false => 0,
        };
        Some((address.ip(), zone))
    });
    Some(own.collect())
}

/// Parses a sender as the transport names it: `[fe80::1%tb0]:5000`.
fn parse(peer: &str) -> Option<SocketAddrV6> {
    let inside = peer.strip_prefix('[')?.split(']').next()?;
    let (ip, zone) = inside.split_once('%').unwrap_or((inside, "0"));
    let index = zone.parse().or_else(|_| if_nametoindex(zone)).unwrap_or(0);
    Some(SocketAddrV6::new(ip.parse().ok()?, 0, 0, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str, scope: u32) -> SocketAddrV6 {
        SocketAddrV6::new(ip.parse().unwrap(), 1, 0, scope)
    }

    #[test]
    fn loopback_is_refused_unless_it_is_allowed() {
        let own = OwnAddresses::new(false);
        for ip in ["::1", "::ffff:127.0.0.1", "::ffff:127.9.9.9"] {
            assert!(own.refuses(from(ip, 0)), "{ip}");
            assert!(own.refuses_message(&format!("[{ip}%lo]:5")), "{ip}");
            assert!(!OwnAddresses::new(true).refuses(from(ip, 0)), "{ip}");
        }
        for ip in ["fe80::77:77", "2001:db8::77"] {
            assert!(!own.refuses(from(ip, 1)), "{ip}");
            assert!(!own.refuses_message(&format!("[{ip}%lo]:5")), "{ip}");
        }
        assert!(own.is_first() && !own.is_first());
    }

    #[test]
    fn an_address_of_another_link_is_a_peers() {
        let ip: Ipv6Addr = "fe80::1".parse().unwrap();
        let own = HashSet::from([(ip, 3), ("2001:db8::1".parse().unwrap(), 0)]);
        assert!(has(&own, &from("fe80::1", 3)) && !has(&own, &from("fe80::1", 4)));
        assert!(has(&own, &from("2001:db8::1", 4)) && !has(&own, &from("2001:db8::2", 0)));
    }

    #[test]
    fn senders_are_read_as_they_are_named() {
        let index = if_nametoindex("lo").unwrap();
        let read = parse("[fe80::1%lo]:5000").unwrap();
        assert_eq!(
            (read.ip().to_string(), read.scope_id()),
            ("fe80::1".into(), index)
        );
        assert_eq!(parse("[::1]:5").unwrap().scope_id(), 0);
        assert_eq!(parse("[fe80::1%7]:5").unwrap().scope_id(), 7);
        assert!(parse("fe80::1").is_none());
    }
}
