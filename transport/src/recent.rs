//! Peer strings that a thread has used lately, so that they are read once and not for each message.

use std::cell::RefCell;
use std::net::SocketAddrV6;

use crate::control::lanes::Usage;
use crate::kept::Kept;
use crate::sys::reserve_alloc;

/// Strings that a thread remembers; more than a mesh has peers. A program that answers whoever writes
/// to it has strangers choose them.
const LIMIT: usize = 4096;

/// What a peer string meant, and how much was sent there.
#[derive(Debug)]
pub(crate) struct Known {
    /// The state of the link that it was read in; see [`Link::epoch`](crate::link::Link::epoch).
    epoch: u64,
    default_port: u16,
    pub address: SocketAddrV6,
    pub usage: Usage,
}

struct Recent {
    strings: Kept<String, Known>,
    /// Place of the entry that was asked for last: the next is likely the same.
    last: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            strings: Kept::new(LIMIT),
            last: 0,
        }
    }
}

thread_local! {
    /// Made when the thread first sends something.
    static RECENT: RefCell<Recent> = RefCell::default();
}

impl Recent {
    fn find(&mut self, text: &str) -> Option<&mut Known> {
        let is_last = |(last, _): (&String, _)| last == text;
        if self.strings.at(self.last).is_some_and(is_last) {
            self.strings.touch(self.last);
        } else {
            self.last = self.strings.find(text)?;
        }
        self.strings.at(self.last).map(|(_, known)| known)
    }

    fn insert(&mut self, text: &str, known: Known) {
        // Without memory it is read again the next time.
        if let Some(place) = self.strings.insert(text.to_owned(), known) {
            self.last = place;
        }
    }
}

/// Looks at what this thread knows of `text`, if it has read it in this epoch.
pub(crate) fn with<T>(
    text: &str,
    epoch: u64,
    default_port: u16,
    look: impl FnOnce(&mut Known) -> T,
) -> Option<T> {
    if !reserve_alloc::tls_available() {
        return None;
    }
    // While the thread ends there is nothing to remember.
    RECENT
        .try_with(|recent| {
            let mut recent = recent.try_borrow_mut().ok()?;
            let known = recent.find(text)?;
            let same = known.epoch == epoch && known.default_port == default_port;
            same.then(|| look(known))
        })
        .ok()?
}

pub(crate) fn put(text: &str, epoch: u64, default_port: u16, address: SocketAddrV6) {
    if reserve_alloc::is_short() || !reserve_alloc::tls_available() {
        return;
    }
    let _ = RECENT.try_with(|recent| {
        let Ok(mut recent) = recent.try_borrow_mut() else {
            return;
        };
        let known = Known {
            epoch,
            default_port,
            address,
            usage: Usage::default(),
        };
        recent.insert(text, known);
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
        with(text, epoch, default_port, |known| known.address)
    }

    #[test]
    fn a_string_is_known_in_its_epoch_with_its_port_and_by_its_content() {
        let mut text = String::from("::1%lo");
        assert_eq!(get(&text, 1, 5000), None);
        put(&text, 1, 5000, address(5000));
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
            put(&n.to_string(), 1, 5000, address(5000));
        }
        RECENT.with_borrow(|recent| assert!(recent.strings.len() <= LIMIT));
        let newest = (2 * LIMIT - 1).to_string();
        assert_eq!(get(&newest, 1, 5000), Some(address(5000)));
    }

    #[test]
    fn peers_that_are_used_again_outlast_any_number_that_are_used_once() {
        let friend = "fe80::1%lo";
        put(friend, 1, 5000, address(5000));
        assert!(get(friend, 1, 5000).is_some());
        for n in 0..3 * LIMIT {
            put(&format!("stranger {n}"), 1, 5000, address(5000));
        }
        assert_eq!(get(friend, 1, 5000), Some(address(5000)));
    }
}
