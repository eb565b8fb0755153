//! Streams before their request is accepted, or while a refusal is being sent. Any host can open a stream and
//! leave it in that state, so these streams have places of their own, and a new stream always gets one.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard};

use thunderbolt_transport::DataStream;

/// The pending streams, oldest first.
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

/// Occupies a place until it is dropped.
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

    /// Gives a stream a place. If all are taken, closes the oldest stream of the source that has the most.
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

/// The index of the first stream of the most frequent source.
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
