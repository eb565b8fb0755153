//! Streams that have not said yet what they are for, or are being told that it is not granted. Anybody can
//! open one and leave it like that, so they have places of their own, and whoever comes gets one.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard};

use thunderbolt_transport::DataStream;

/// The streams at the streams, the oldest first.
pub struct PendingStreams {
    places: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    number: u64,
    source: Ipv6Addr,
    stream: DataStream,
}

/// A place at the streams, until it is dropped.
pub struct PendingStream<'a> {
    streams: &'a PendingStreams,
    number: u64,
}

impl PendingStreams {
    pub fn new(places: usize) -> Self {
        Self {
            places,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// Gives a stream a place. When all are taken, the oldest stream of the source that has most of them
    /// is closed.
    pub fn enter(&self, stream: &DataStream) -> PendingStream<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waiting.push(Waiting {
            number,
            source: *stream.peer_address().ip(),
            stream: stream.clone(),
        });
        let evicted = (state.waiting.len() > self.places).then(|| {
            let first = evicted(state.waiting.iter().map(|waiting| waiting.source));
            state.waiting.remove(first)
        });
        drop(state);
        if let Some(waiting) = evicted {
            waiting.stream.close();
        }
        PendingStream {
            streams: self,
            number,
        }
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

impl Drop for PendingStream<'_> {
    fn drop(&mut self) {
        let mut state = self.streams.state();
        state
            .waiting
            .retain(|waiting| waiting.number != self.number);
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
