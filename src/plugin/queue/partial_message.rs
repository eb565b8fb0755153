//! A large message that is still arriving: its memory, and its delivery to the queue.

use std::io;
use std::sync::Arc;

use super::{IncomingConnection, Message, Queue, ReserveError};
use crate::plugin::large::{Source, Store, LENGTHS};
use crate::plugin::memory::Buffer;
use crate::plugin::peer_text::PeerText;
use crate::sync::lock;

/// A large message on its way into the queue. Dropping it releases its memory.
pub(in crate::plugin) struct PartialMessage {
    pub(super) queue: Arc<Queue>,
    pub(super) connection: Arc<IncomingConnection>,
    pub(super) number: u64,
    pub(super) reserved: usize,
    pub(super) data: Option<Buffer>,
}

/// The initial capacity: the size of the smallest large message.
pub(super) const INITIAL_CAPACITY: usize = *LENGTHS.start();

/// The second capacity. Most messages fit. Growing in smaller steps would copy, because `realloc`
/// moves pages only for large blocks. From there the capacity doubles, so a message never has much
/// more than twice the memory that it needs, and the largest message fits exactly.
const SECOND_CAPACITY: usize = 1 << 20;

/// The most bytes of one read. They fit into the processor's cache, and larger reads save no calls.
const READ_SIZE: usize = 256 << 10;

impl PartialMessage {
    /// Appends the complete message to the queue.
    pub(in crate::plugin) fn deliver(mut self, sender: PeerText) -> Result<(), ReserveError> {
        let data = self.data.take().ok_or(ReserveError::OutOfMemory)?;
        let queue = Arc::clone(&self.queue);
        let mut state = lock(&queue.state);
        if state.closed {
            return Err(ReserveError::Closed);
        }
        if state.messages.try_reserve(1).is_err() {
            return Err(ReserveError::OutOfMemory);
        }
        // From now on it counts as a queued message, with its real size.
        queue.release(&mut state, self.number, std::mem::take(&mut self.reserved));
        state.large.bytes += data.len();
        state.large.messages += 1;
        queue.append(&mut state, Message { data, sender });
        Ok(())
    }
}

impl Store for PartialMessage {
    type Refusal = ReserveError;

    fn fill(
        &mut self,
        missing: usize,
        source: &mut impl Source,
    ) -> Result<io::Result<usize>, ReserveError> {
        let (len, capacity) = match &self.data {
            Some(data) => (data.len(), data.capacity()),
            None => (0, 0),
        };
        if len == capacity {
            let grown = match capacity {
                0 => INITIAL_CAPACITY,
                _ => (2 * capacity).next_power_of_two().max(SECOND_CAPACITY),
            };
            let grown = grown.min(len + missing);
            self.queue
                .reserve(&self.connection, self.number, capacity, grown - capacity)?;
            self.reserved = grown;
            let allocated = match &mut self.data {
                Some(data) => data.grow(grown),
                None => {
                    self.data = Buffer::with_capacity(grown);
                    self.data.is_some()
                }
            };
            if !allocated {
                return Err(ReserveError::OutOfMemory);
            }
        }
        let data = self.data.as_mut().ok_or(ReserveError::OutOfMemory)?;
        Ok(data.fill(READ_SIZE, |room| source.read(room)))
    }
}

impl Drop for PartialMessage {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        self.queue.release(&mut state, self.number, self.reserved);
        state.end_arrival(self.connection.source);
    }
}
