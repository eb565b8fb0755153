//! The peer strings that a thread used recently, so that not every message parses its string.

use std::cell::RefCell;
use std::net::SocketAddrV6;

use crate::clock_cache::ClockCache;
use crate::control::Usage;
use crate::sys::reserve_alloc;

/// The strings that a thread keeps; more than a mesh has peers. Strangers choose the strings of a program that answers
/// any sender.
const LIMIT: usize = 4096;

/// What a peer string meant, and how much was sent to that peer.
#[derive(Debug)]
pub(crate) struct CachedPeer {
    /// The state of the link in which it was parsed; see [`Link::epoch`](crate::link::Link::epoch).
    epoch: u64,
    default_port: u16,
    pub address: SocketAddrV6,
    pub usage: Usage,
}

struct PeerCache {
    strings: ClockCache<String, CachedPeer>,
    /// The place of the entry that was looked up last: the next lookup is likely for the same peer.
    last: usize,
}

impl Default for PeerCache {
    fn default() -> Self {
        Self {
            strings: ClockCache::new(LIMIT),
            last: 0,
        }
    }
}

thread_local! {
    /// Allocated when the thread first sends something.
    static CACHE: RefCell<PeerCache> = RefCell::default();
}

impl PeerCache {
    fn find(&mut self, text: &str) -> Option<&mut CachedPeer> {
        let is_last = |(last, _): (&String, _)| last == text;
        if self.strings.at(self.last).is_some_and(is_last) {
            self.strings.touch(self.last);
        } else {
            self.last = self.strings.find(text)?;
        }
        self.strings.at(self.last).map(|(_, peer)| peer)
    }

    fn insert(&mut self, text: &str, peer: CachedPeer) {
        // Without memory the string is parsed again next time.
        if let Some(place) = self.strings.insert(text.to_owned(), peer) {
            self.last = place;
        }
    }
}

/// Reads this thread's entry for `text`, if it was parsed in this epoch and with this default port.
pub(crate) fn lookup<T>(
    text: &str,
    epoch: u64,
    default_port: u16,
    read: impl FnOnce(&mut CachedPeer) -> T,
) -> Option<T> {
    if !reserve_alloc::tls_available() {
        return None;
    }
    // It fails while the thread exits.
    CACHE
        .try_with(|cache| {
            let mut cache = cache.try_borrow_mut().ok()?;
            let peer = cache.find(text)?;
            let same = peer.epoch == epoch && peer.default_port == default_port;
            same.then(|| read(peer))
        })
        .ok()?
}

/// Keeps the address that `text` means, in this epoch and with this default port.
pub(crate) fn insert(text: &str, epoch: u64, default_port: u16, address: SocketAddrV6) {
    if reserve_alloc::is_short() || !reserve_alloc::tls_available() {
        return;
    }
    let _ = CACHE.try_with(|cache| {
        let Ok(mut cache) = cache.try_borrow_mut() else {
            return;
        };
        let peer = CachedPeer {
            epoch,
            default_port,
            address,
            usage: Usage::default(),
        };
        cache.insert(text, peer);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn address(port: u16) -> SocketAddrV6 {
        SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 1)
    }

    fn get(text: &str, epoch: u64, default_port: u16) -> Option<SocketAddrV6> {
        lookup(text, epoch, default_port, |known| known.address)
    }

    #[test]
    fn a_string_is_known_in_its_epoch_with_its_port_and_by_its_content() {
        let mut text = String::from("::1%lo");
        assert_eq!(get(&text, 1, 5000), None);
        insert(&text, 1, 5000, address(5000));
        assert_eq!(get(&text, 1, 5000), Some(address(5000)));
        assert_eq!(get(&text.clone(), 1, 5000), Some(address(5000)));
        assert_eq!(get(&text, 2, 5000), None);
        assert_eq!(get(&text, 1, 5001), None);
        // The same place, another content.
        text.replace_range(2..3, "2");
        assert_eq!(get(&text, 1, 5000), None);
    }

    #[test]
    fn memory_is_bounded() {
        for n in 0..2 * LIMIT {
            insert(&n.to_string(), 1, 5000, address(5000));
        }
        CACHE.with_borrow(|cache| assert!(cache.strings.len() <= LIMIT));
        let newest = (2 * LIMIT - 1).to_string();
        assert_eq!(get(&newest, 1, 5000), Some(address(5000)));
    }

    #[test]
    fn peers_that_are_used_again_outlast_any_number_that_are_used_once() {
        let friend = "fe80::1%lo";
        insert(friend, 1, 5000, address(5000));
        assert!(get(friend, 1, 5000).is_some());
        for n in 0..3 * LIMIT {
            insert(&format!("stranger {n}"), 1, 5000, address(5000));
        }
        assert_eq!(get(friend, 1, 5000), Some(address(5000)));
    }
}
