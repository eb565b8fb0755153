//! Streams that have not said yet what they are for, or are being told that it is not granted. Anybody can
//! open one and leave it like that, so they have places of their own, and whoever comes gets one.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard};

use thunderbolt_transport::DataStream;

/// The streams at the door, the oldest first.
pub struct Door {
    places: usize,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    next: u64,
    waiting: Vec<Guest>,
}

struct Guest {
    number: u64,
    source: Ipv6Addr,
    stream: DataStream,
}

/// A place at the door, until it is dropped.
pub struct AtTheDoor<'a> {
    door: &'a Door,
    number: u64,
}

impl Door {
    pub fn new(places: usize) -> Self {
        Self {
            places,
            guests: Mutex::default(),
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// Gives a stream a place. When all are taken, the oldest stream of the source that has most of them
    /// is closed.
    pub fn enter(&self, stream: &DataStream) -> AtTheDoor<'_> {
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.waiting.push(Guest {
            number,
            source: *stream.peer_address().ip(),
            stream: stream.clone(),
        });
        let evicted = (guests.waiting.len() > self.places).then(|| {
            let first = evicted(guests.waiting.iter().map(|guest| guest.source));
            guests.waiting.remove(first)
        });
        drop(guests);
        if let Some(guest) = evicted {
            guest.stream.close();
        }
        AtTheDoor { door: self, number }
    }
}

/// Which one goes: the first of the source that occurs most often.
fn evicted<T: std::hash::Hash + Eq + Copy>(sources: impl Iterator<Item = T> + Clone) -> usize {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for source in sources.clone() {
        *counts.entry(source).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    let mut sources = sources;
    let first = sources.position(|source| counts[&source] == most);
    first.unwrap_or_default()
}

impl Drop for AtTheDoor<'_> {
    fn drop(&mut self) {
        let mut guests = self.door.guests();
        guests.waiting.retain(|guest| guest.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_most_frequent_source_goes() {
        assert_eq!(evicted([1, 2, 2, 3, 2].into_iter()), 1);
        assert_eq!(evicted([1, 1, 2].into_iter()), 0);
        assert_eq!(evicted([7].into_iter()), 0);
    }
}
