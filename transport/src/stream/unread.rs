//! Bytes that were read from the socket for a file that did not take them.

use crate::error::Result;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::reserve_alloc;

/// Bytes that were read from the socket, and that a file did not take. The next read returns them.
#[derive(Default)]
pub(super) struct Unread {
    any: AtomicBool,
    bytes: Mutex<Vec<u8>>,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Makes room for the bytes of the next `put`.
    pub(super) fn reserve(&self, count: usize) -> Result<()> {
        let room = lock(&self.bytes).try_reserve(count);
        room.map_err(|_| reserve_alloc::exhausted("cannot keep what a file may not take"))
    }

    /// Appends bytes.
    pub(super) fn put(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).extend_from_slice(bytes);
            self.any.store(true, Ordering::Release);
        }
    }

    /// Puts bytes back in front.
    pub(super) fn put_back(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).splice(..0, bytes.iter().copied());
            self.any.store(true, Ordering::Release);
        }
    }

    /// Moves as many bytes into `buf` as fit. Returns their number.
    pub(super) fn take(&self, buf: &mut ReadBuffer<'_>) -> usize {
        let mut bytes = lock(&self.bytes);
        let count = buf.put(&bytes);
        bytes.drain(..count);
        self.any.store(!bytes.is_empty(), Ordering::Release);
        count
    }
}
