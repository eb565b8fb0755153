//! Peer strings that a thread has used lately, so that they are read once and not for each message.

use std::cell::RefCell;
use std::net::SocketAddrV6;

/// Strings that a thread remembers; more than a mesh has peers.
const SLOTS: usize = 256;

/// A peer string and what it meant.
#[derive(Clone)]
struct Entry {
    text: String,
    /// The state of the link that it was read in; see [`Link::epoch`](crate::link::Link::epoch).
    epoch: u64,
    default_port: u16,
    address: SocketAddrV6,
}

thread_local! {
    /// Made when the thread first sends something.
    static RECENT: RefCell<Vec<Option<Entry>>> = const { RefCell::new(Vec::new()) };
}

/// What `text` meant when this thread last read it in this epoch.
pub(crate) fn get(text: &str, epoch: u64, default_port: u16) -> Option<SocketAddrV6> {
    RECENT
        .try_with(|recent| {
            let recent = recent.try_borrow().ok()?;
            let entry = recent.get(slot(text))?.as_ref()?;
            let same =
                entry.epoch == epoch && entry.default_port == default_port && entry.text == text;
            same.then_some(entry.address)
        })
        .ok()?
}

pub(crate) fn put(text: &str, epoch: u64, default_port: u16, address: SocketAddrV6) {
    // While the thread ends there is nothing to remember for.
    let _ = RECENT.try_with(|recent| {
        let Ok(mut recent) = recent.try_borrow_mut() else {
            return;
        };
        if recent.is_empty() {
            recent.resize(SLOTS, None);
        }
        recent[slot(text)] = Some(Entry {
            text: text.to_owned(),
            epoch,
            default_port,
            address,
        });
    });
}

/// Callers hand in the same string again and again, so where it lies says enough to find it; what it
/// says is compared.
fn slot(text: &str) -> usize {
    let address = text.as_ptr().addr();
    (address ^ address >> 8 ^ text.len()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn address(port: u16) -> SocketAddrV6 {
        SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 1)
    }

    #[test]
    fn a_string_is_known_in_its_epoch_with_its_port_and_by_its_content() {
        let mut text = String::from("::1%lo");
        assert_eq!(get(&text, 1, 5000), None);
        put(&text, 1, 5000, address(5000));
        assert_eq!(get(&text, 1, 5000), Some(address(5000)));
        assert_eq!(get(&text, 2, 5000), None);
        assert_eq!(get(&text, 1, 5001), None);
        // The same place, another content.
        text.replace_range(2..3, "2");
        assert_eq!(get(&text, 1, 5000), None);
    }
}
