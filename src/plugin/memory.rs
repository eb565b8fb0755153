//! Memory from `malloc`, for data that a host frees with `free`.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The size from which huge pages save time.
const HUGE_PAGE_SIZE: usize = 4 << 20;

/// A growable buffer from `malloc`.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    /// The number of initialized bytes.
    len: usize,
    capacity: usize,
}

// SAFETY: memory from malloc belongs to no thread, and only this buffer refers to it.
unsafe impl Send for Buffer {}
// SAFETY: it is changed through a unique reference only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes; `None` if there is no memory.
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        // SAFETY: any size is allowed. At least one byte, so that NULL always means failure.
        let start = unsafe { libc::malloc(capacity.max(1)) };
        Some(Self {
            start: NonNull::new(start.cast())?,
            len: 0,
            capacity,
        })
    }

    pub(super) fn copy_of(data: &[u8]) -> Option<Self> {
        let mut copy = Self::with_capacity(data.len())?;
        copy.extend(data);
        Some(copy)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Grows the capacity; false if there is no memory for it. glibc moves large blocks in the page
    /// table without copying (mremap(2)).
    pub(super) fn grow(&mut self, capacity: usize) -> bool {
        debug_assert!(capacity >= self.capacity);
        // SAFETY: `start` is from malloc and not freed. If realloc fails, the block is unchanged.
        let start = unsafe { libc::realloc(self.start.as_ptr().cast(), capacity.max(1)) };
        let Some(start) = NonNull::new(start.cast()) else {
            return false;
        };
        self.start = start;
        self.capacity = capacity;
        if capacity >= HUGE_PAGE_SIZE {
            self.prefer_huge_pages();
        }
        true
    }

    /// The page faults of a message of 64 MiB (16,384 pages) take 30 ms, as long as its transfer. With
    /// huge pages they take 10 ms.
    fn prefer_huge_pages(&self) {
        // SAFETY: no pointers are involved.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let start = self.start.as_ptr();
        // The whole mapping of glibc, with the header in front: mremap(2) does not move a mapping with
        // two kinds of pages.
        let before = start.addr() % page;
        let length = (before + self.capacity).next_multiple_of(page);
        // SAFETY: each of these pages has bytes of this buffer, so they are mapped, and the advice
        // changes no contents. On a system without huge pages the call has no effect.
        unsafe {
            libc::madvise(
                start.wrapping_sub(before).cast(),
                length,
                libc::MADV_HUGEPAGE,
            );
        }
    }

    /// Appends `data`. There must be room for it.
    pub(super) fn extend(&mut self, data: &[u8]) {
        assert!(data.len() <= self.capacity - self.len);
        // SAFETY: the assertion checked the room, and `data` is not part of this buffer.
        unsafe {
            let end = self.start.as_ptr().add(self.len);
            std::ptr::copy_nonoverlapping(data.as_ptr(), end, data.len());
        }
        self.len += data.len();
    }

    /// Appends up to `most` bytes, as far as the capacity allows. `read` writes to the start of its
    /// argument and returns the written part. Returns its length.
    pub(super) fn fill<E>(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<&mut [u8], E>,
    ) -> Result<usize, E> {
        let most = most.min(self.capacity - self.len);
        // SAFETY: `len` + `most` is within the capacity, and only this buffer refers to the memory.
        let room: &mut [MaybeUninit<u8>] = unsafe {
            let start = self.start.as_ptr().add(self.len);
            std::slice::from_raw_parts_mut(start.cast(), most)
        };
        let start = room.as_ptr().addr();
        let written = read(room)?;
        // If the returned slice lies in `room`, `read` has initialized it.
        assert!(written.is_empty() || written.as_ptr().addr() == start && written.len() <= most);
        self.len += written.len();
        Ok(written.len())
    }

    /// Gives the memory to the caller, which must free it. The pointer is never NULL.
    pub(super) fn into_raw(self) -> (*mut u8, usize) {
        let memory = std::mem::ManuallyDrop::new(self);
        (memory.start.as_ptr(), memory.len)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: from malloc, and no other reference is left.
        unsafe { libc::free(self.start.as_ptr().cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::large::Source;

    /// Takes the bytes as a host does, and frees the memory.
    fn taken(buffer: Buffer) -> Vec<u8> {
        let (start, len) = buffer.into_raw();
        assert!(!start.is_null());
        // SAFETY: `into_raw` gives `len` initialized bytes.
        let copy = unsafe { std::slice::from_raw_parts(start, len) }.to_vec();
        // SAFETY: it is from malloc, and now belongs to this function.
        unsafe { libc::free(start.cast()) };
        copy
    }

    fn fill(buffer: &mut Buffer, most: usize, mut data: &[u8]) -> usize {
        let read = buffer.fill(most, |room| data.read(room));
        read.expect("memory does not fail")
    }

    #[test]
    fn copies_are_equal_and_an_empty_one_is_not_null() {
        assert_eq!(taken(Buffer::copy_of(b"abc").unwrap()), b"abc");
        assert_eq!(taken(Buffer::copy_of(b"").unwrap()), b"");
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let mut buffer = Buffer::with_capacity(4).unwrap();
        assert_eq!(fill(&mut buffer, 2, b"ab"), 2);
        assert_eq!(fill(&mut buffer, 100, b"cdef"), 2, "as much as there is");
        assert!(buffer.grow(1 << 20));
        assert_eq!(fill(&mut buffer, 1 << 19, b"ef"), 2);
        assert_eq!(fill(&mut buffer, 1 << 19, b""), 0);
        assert_eq!((buffer.len(), buffer.capacity()), (6, 1 << 20));
        assert_eq!(taken(buffer), b"abcdef");
    }

    #[test]
    #[should_panic(expected = "written")]
    fn memory_that_was_not_written_is_refused() {
        let mut buffer = Buffer::with_capacity(4).unwrap();
        let elsewhere: &mut [u8] = Vec::leak(vec![1; 2]);
        let _ = buffer.fill(4, |_| Ok::<_, ()>(elsewhere));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Buffer::with_capacity(isize::MAX as usize).is_none());
        let mut buffer = Buffer::copy_of(b"kept").unwrap();
        assert!(!buffer.grow(isize::MAX as usize));
        assert_eq!(taken(buffer), b"kept");
    }
}
