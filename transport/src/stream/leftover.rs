//! What a file could not take.

use crate::error::Result;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::reserve_alloc;

/// Bytes that were taken from the socket and not delivered: a file could not take them. The next
/// read gives them.
#[derive(Default)]
pub(super) struct Leftover {
    any: AtomicBool,
    bytes: Mutex<Vec<u8>>,
}

impl Leftover {
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Makes room for as many bytes as are `put` next.
    pub(super) fn reserve(&self, count: usize) -> Result<()> {
        let room = lock(&self.bytes).try_reserve(count);
        room.map_err(|_| reserve_alloc::exhausted("cannot keep what a file may not take"))
    }

    pub(super) fn put(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).extend_from_slice(bytes);
            self.any.store(true, Ordering::Release);
        }
    }

    pub(super) fn put_back(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).splice(..0, bytes.iter().copied());
            self.any.store(true, Ordering::Release);
        }
    }

    /// Moves as many bytes into `buf` as fit. Gives their number.
    pub(super) fn take(&self, buf: &mut ReadBuffer<'_>) -> usize {
        let mut bytes = lock(&self.bytes);
        let count = buf.put(&bytes);
        bytes.drain(..count);
        self.any.store(!bytes.is_empty(), Ordering::Release);
        count
    }
}
