//! Memory of the C library, for what a host frees with `free`.

use std::ptr::NonNull;

/// From this size on huge pages are worth it.
const LARGE: usize = 4 << 20;

/// Bytes from `malloc`, as many as have come and room for more.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    len: usize,
    /// So many bytes from the start have been written once, which is what slices ask for.
    written: usize,
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
            written: 0,
            capacity,
        })
    }

    pub(super) fn copy_of(data: &[u8]) -> Option<Self> {
        let mut copy = Self::with_capacity(data.len())?;
        // SAFETY: there is room for as many, and new memory overlaps with nothing.
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), copy.start.as_ptr(), data.len());
        }
        copy.len = data.len();
        copy.written = data.len();
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

    /// The room after what has come, `most` bytes of it if there are as many.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let end = (self.len + most).min(self.capacity);
        if end > self.written {
            // New pages have to be taken anyway, and what is zeroed here is in the cache when the
            // kernel copies to it: there was nothing to be measured.
            // SAFETY: `written` and `end` are within the capacity.
            unsafe {
                let from = self.start.as_ptr().add(self.written);
                from.write_bytes(0, end - self.written);
            }
            self.written = end;
        }
        // SAFETY: these bytes are ours alone, and have been written.
        unsafe {
            let from = self.start.as_ptr().add(self.len);
            std::slice::from_raw_parts_mut(from, end - self.len)
        }
    }

    /// `count` bytes of the room have been filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.len = (self.len + count).min(self.written);
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

    #[test]
    fn a_copy_is_a_copy_and_nothing_is_not_null() {
        assert_eq!(taken(Buffer::copy_of(b"abc").unwrap()), b"abc");
        assert_eq!(taken(Buffer::copy_of(b"").unwrap()), b"");
    }

    #[test]
    fn what_has_come_stays_when_it_grows() {
        let mut buffer = Buffer::with_capacity(4).unwrap();
        buffer.room(3).copy_from_slice(b"abc");
        buffer.filled(2);
        assert_eq!(buffer.room(100), b"c\0", "as much as there is");
        buffer.filled(1);
        assert!(buffer.grow(1 << 20));
        let room = buffer.room(1 << 19);
        assert_eq!((room.len(), room[0], room[room.len() - 1]), (1 << 19, 0, 0));
        room[0] = b'd';
        buffer.filled(1);
        assert_eq!((buffer.len(), buffer.capacity()), (4, 1 << 20));
        assert_eq!(taken(buffer), b"abcd");
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Buffer::with_capacity(isize::MAX as usize).is_none());
        let mut buffer = Buffer::copy_of(b"kept").unwrap();
        assert!(!buffer.grow(isize::MAX as usize));
        assert_eq!(taken(buffer), b"kept");
    }
}
