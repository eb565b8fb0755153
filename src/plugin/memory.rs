//! Memory of the C library, for what a host frees with `free`.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// From this size on huge pages are worth it.
const LARGE: usize = 4 << 20;

/// Bytes from `malloc`, as many as have come and room for more.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    /// So many bytes are initialised.
    len: usize,
    capacity: usize,
}

// SAFETY: memory of malloc belongs to no thread, and nobody else knows this piece of it.
unsafe impl Send for Buffer {}
// SAFETY: it is changed through a unique reference only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// An empty one with room for `capacity` bytes; `None` when there is no memory.
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        // SAFETY: any size may be asked for. At least one byte, so that NULL means that there is none.
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

    /// Makes the capacity larger; false when there is no memory for that. glibc moves large pieces
    /// in the page table and copies nothing (mremap(2)).
    pub(super) fn grow(&mut self, capacity: usize) -> bool {
        debug_assert!(capacity >= self.capacity);
        // SAFETY: `start` is from malloc and not freed. When it fails, it stays as it is.
        let start = unsafe { libc::realloc(self.start.as_ptr().cast(), capacity.max(1)) };
        let Some(start) = NonNull::new(start.cast()) else {
            return false;
        };
        self.start = start;
        self.capacity = capacity;
        if capacity >= LARGE {
            self.prefer_huge_pages();
        }
        true
    }

    /// Taking 16,384 new pages for a message of 64 MiB costs as much as moving it: 30 ms, of which huge
    /// pages leave 10.
    fn prefer_huge_pages(&self) {
        // SAFETY: no pointers are involved.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let start = self.start.as_ptr();
        // The whole of what glibc mapped for it, with its own header: mremap(2) does not move what has
        // two kinds of pages.
        let before = start.addr() % page;
        let length = (before + self.capacity).next_multiple_of(page);
        // SAFETY: these pages are there, since bytes of ours are on each of them, and the advice changes
        // no contents. Where the system has no huge pages, it stays as it is.
        unsafe {
            libc::madvise(
                start.wrapping_sub(before).cast(),
                length,
                libc::MADV_HUGEPAGE,
            );
        }
    }

    /// Puts `data`, for which there is room, after what has come.
    pub(super) fn extend(&mut self, data: &[u8]) {
        assert!(data.len() <= self.capacity - self.len);
        // SAFETY: there is room for as many, and what others have overlaps with nothing of ours.
        unsafe {
            let end = self.start.as_ptr().add(self.len);
            std::ptr::copy_nonoverlapping(data.as_ptr(), end, data.len());
        }
        self.len += data.len();
    }

    /// Fills room after what has come, `most` bytes of it if there are as many. `read` gives back the part
    /// that it wrote, from the start of what it got. How much that was.
    pub(super) fn fill<E>(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<&mut [u8], E>,
    ) -> Result<usize, E> {
        let most = most.min(self.capacity - self.len);
        // SAFETY: `len` is within the capacity, so there are as many bytes, and they are ours alone.
        let room: &mut [MaybeUninit<u8>] = unsafe {
            let start = self.start.as_ptr().add(self.len);
            std::slice::from_raw_parts_mut(start.cast(), most)
        };
        let start = room.as_ptr().addr();
        let written = read(room)?;
        // Memory of ours it can only give back after writing it.
        assert!(written.is_empty() || written.as_ptr().addr() == start && written.len() <= most);
        self.len += written.len();
        Ok(written.len())
    }

    /// Hands it over: who gets the pointer frees it. It is never NULL.
    pub(super) fn into_raw(self) -> (*mut u8, usize) {
        let handed_over = std::mem::ManuallyDrop::new(self);
        (handed_over.start.as_ptr(), handed_over.len)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: from malloc, and nobody else has it.
        unsafe { libc::free(self.start.as_ptr().cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::large::Source;

    /// What a host gets, and frees.
    fn taken(buffer: Buffer) -> Vec<u8> {
        let (start, len) = buffer.into_raw();
        assert!(!start.is_null());
        // SAFETY: `into_raw` gives `len` good bytes.
        let copy = unsafe { std::slice::from_raw_parts(start, len) }.to_vec();
        // SAFETY: it is ours now, and from malloc.
        unsafe { libc::free(start.cast()) };
        copy
    }

    fn fill(buffer: &mut Buffer, most: usize, mut data: &[u8]) -> usize {
        let read = buffer.fill(most, |room| data.read(room));
        read.expect("memory does not fail")
    }

    #[test]
    fn a_copy_is_a_copy_and_nothing_is_not_null() {
        assert_eq!(taken(Buffer::copy_of(b"abc").unwrap()), b"abc");
        assert_eq!(taken(Buffer::copy_of(b"").unwrap()), b"");
    }

    #[test]
    fn what_has_come_stays_when_it_grows() {
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
    fn what_was_not_written_is_not_taken() {
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
