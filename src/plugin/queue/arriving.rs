//! A large message while it arrives: its memory, and its place in the queue when it is whole.

use std::io;
use std::sync::Arc;

use super::{Message, NoMore, Place, Queue};
use crate::plugin::large::{Source, Store, LENGTHS};
use crate::plugin::lock;
use crate::plugin::memory::Buffer;
use crate::plugin::peer::PeerText;

/// A large message on its way into the queue. Dropped before it is whole, it leaves nothing behind.
pub(in crate::plugin) struct Arriving {
    pub(super) queue: Arc<Queue>,
    pub(super) place: Arc<Place>,
    pub(super) number: u64,
    pub(super) reserved: usize,
    pub(super) data: Option<Buffer>,
}

/// Memory that a message gets at first: as much as each needs.
pub(super) const FIRST: usize = *LENGTHS.start();

/// When that much has come. Most messages are whole in it, and growing step by step copies what is not
/// large enough for the page table. Then it is the next powers of two, so what has come is never much
/// less than half of it, and the largest message comes out even.
const SECOND: usize = 1 << 20;

/// What is read at once at most. Pieces of this size go through the cache, and cost no more calls than
/// larger ones.
const PIECE: usize = 256 << 10;

impl Arriving {
    /// Puts the whole message at the end of the queue.
    pub(in crate::plugin) fn deliver(mut self, sender: PeerText) -> Result<(), NoMore> {
        let data = self.data.take().ok_or(NoMore::Memory)?;
        let queue = Arc::clone(&self.queue);
        let mut state = lock(&queue.state);
        if state.closed {
            return Err(NoMore::Closed);
        }
        if state.messages.try_reserve(1).is_err() {
            return Err(NoMore::Memory);
        }
        // From now on it is counted as one that waits, with what it really has.
        queue.give_back(&mut state, self.number, std::mem::take(&mut self.reserved));
        state.large.bytes += data.len();
        state.large.messages += 1;
        queue.add(&mut state, Message { data, sender });
        Ok(())
    }
}

impl Store for Arriving {
    type Refusal = NoMore;

    fn fill(
        &mut self,
        missing: usize,
        source: &mut impl Source,
    ) -> Result<io::Result<usize>, NoMore> {
        let (len, capacity) = match &self.data {
            Some(data) => (data.len(), data.capacity()),
            None => (0, 0),
        };
        if len == capacity {
            let grown = match capacity {
                0 => FIRST,
                _ => (2 * capacity).next_power_of_two().max(SECOND),
            };
            let grown = grown.min(len + missing);
            self.queue
                .reserve(&self.place, self.number, capacity, grown - capacity)?;
            self.reserved = grown;
            let there = match &mut self.data {
                Some(data) => data.grow(grown),
                None => {
                    self.data = Buffer::with_capacity(grown);
                    self.data.is_some()
                }
            };
            if !there {
                return Err(NoMore::Memory);
            }
        }
        let data = self.data.as_mut().ok_or(NoMore::Memory)?;
        Ok(data.fill(PIECE, |room| source.read(room)))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        self.queue.give_back(&mut state, self.number, self.reserved);
        state.arrived(self.place.source);
    }
}
