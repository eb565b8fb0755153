//! Operation without memory: an allocator with a reserve, and a flag that memory is short.
//!
//! Rust aborts the process when an ordinary allocation fails. A library must not do that to its host.
//! [`ReserveAllocator`] serves small allocations from a reserve instead, so that running operations can
//! complete, and sets the flag. Until the system has memory again, operations that need memory do not
//! start: calls fail with [`OutOfMemory`](crate::TransportError::OutOfMemory) ([`check`]), and received
//! traffic is dropped and counted ([`is_short`]).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Result, TransportError};

/// The size of a block of the reserve. One word has the state of 64 blocks.
const BLOCK: usize = 2 << 10;
const WORDS: usize = 8;
/// The largest allocation that the reserve serves: the blocks of one word. Code that makes larger
/// allocations handles their failure.
const LARGEST: usize = 64 * BLOCK;
const SIZE: usize = WORDS * LARGEST;

#[repr(C, align(4096))]
struct Blocks(UnsafeCell<[u8; SIZE]>);

// SAFETY: by its bit in `TAKEN`, each block has at most one owner.
unsafe impl Sync for Blocks {}

/// It uses address space only, until the first block is used.
static BLOCKS: Blocks = Blocks(UnsafeCell::new([0; SIZE]));
static TAKEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// An allocation failed, and no check since then found memory again.
static SHORT: AtomicBool = AtomicBool::new(false);

/// Whether memory ran out and is still short.
#[inline]
pub(crate) fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed) && is_short_still()
}

#[cold]
fn is_short_still() -> bool {
    let short = !is_available(LARGEST);
    SHORT.store(short, Ordering::Relaxed);
    short
}

/// Fails while memory is short. The error says that `action` was attempted.
#[inline]
pub(crate) fn check(action: &str) -> Result<()> {
    match is_short() {
        false => Ok(()),
        true => Err(exhausted(action)),
    }
}

/// Whether the system can allocate `size` bytes at present.
pub(crate) fn is_available(size: usize) -> bool {
    let layout = Layout::from_size_align(size, 1).expect("sizes here are small constants");
    // SAFETY: the size is not 0, and the memory that is freed was just allocated.
    unsafe {
        // Without `black_box` the compiler may remove the pair, and assume that it succeeds.
        let memory = black_box(System.alloc(layout));
        if !memory.is_null() {
            System.dealloc(memory, layout);
        }
        !memory.is_null()
    }
}

/// The error of an `action` for which there is no memory.
#[cold]
pub(crate) fn exhausted(action: &str) -> TransportError {
    TransportError::OutOfMemory {
        action: action.to_owned(),
    }
}

/// Whether this thread may use thread-locals that have destructors. The C library aborts the process
/// if it has no memory to register the thread's first destructor.
#[inline]
pub(crate) fn tls_available() -> bool {
    thread_local! {
        static AVAILABLE: Cell<bool> = const { Cell::new(false) };
    }
    AVAILABLE.get() || {
        AVAILABLE.set(is_available(LARGEST));
        AVAILABLE.get()
    }
}

/// The system's allocator, with a reserve of 1 MiB that it uses when the system has no memory.
///
/// Without it, a failed allocation aborts the process, as in all Rust programs. With it, calls of this
/// crate fail with [`OutOfMemory`](TransportError::OutOfMemory), messages of peers are dropped and
/// counted, and their streams are reset. When there is memory again, all works as before:
///
/// ```
/// #[global_allocator]
/// static MEMORY: thunderbolt_transport::ReserveAllocator = thunderbolt_transport::ReserveAllocator;
/// # fn main() {}
/// ```
///
/// A successful allocation costs one additional comparison. Allocations of more than 128 KiB are not
/// served from the reserve. All threads may use it at the same time; it takes no lock.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReserveAllocator;

// SAFETY: the memory is the system's, or blocks of the reserve that have no other owner (`take`). Both
// have the size and alignment of the layout. The address shows which of the two it is.
unsafe impl GlobalAlloc for ReserveAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout`.
        let memory = unsafe { System.alloc(layout) };
        match memory.is_null() {
            false => memory,
            true => take(layout),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        match memory.is_null() {
            false => memory,
            true => take_zeroed(layout),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match offset(memory) {
            // SAFETY: it is outside of the reserve, so the system allocated it.
            None => unsafe { System.dealloc(memory, layout) },
            Some(offset) => give_back(offset, layout.size()),
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if offset(memory).is_none() {
            // SAFETY: it is outside of the reserve, so the system allocated it.
            let larger = unsafe { System.realloc(memory, layout, size) };
            if !larger.is_null() {
                return larger;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.moved(memory, layout, size) }
    }
}

impl ReserveAllocator {
    /// Moves an allocation into or out of the reserve.
    ///
    /// # Safety
    ///
    /// As for `realloc`.
    #[cold]
    unsafe fn moved(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(size, layout.align()) else {
            return null_mut();
        };
        // SAFETY: by the caller's promise the size is not 0. The two allocations do not overlap, and both
        // have as many bytes as are copied. The old one is freed once, and only after the copy.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(memory, new, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            new
        }
    }
}

/// The offset in the reserve, or `None` for memory of the system.
#[inline]
fn offset(memory: *mut u8) -> Option<usize> {
    let offset = memory.addr().wrapping_sub(BLOCKS.0.get().addr());
    (offset < SIZE).then_some(offset)
}

/// The bits of as many blocks as `size` bytes need.
fn bits(size: usize) -> u64 {
    u64::MAX >> (64 - size.div_ceil(BLOCK).max(1))
}

/// Takes adjacent blocks. It is lock-free, because a lock could stay locked in a forked child.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    SHORT.store(true, Ordering::Relaxed);
    if layout.size() > LARGEST || layout.align() > BLOCK {
        return null_mut();
    }
    let bits = bits(layout.size());
    for (number, word) in TAKEN.iter().enumerate() {
        let mut taken = word.load(Ordering::Relaxed);
        while let Some(place) = (0..=bits.leading_zeros()).find(|n| taken & bits << n == 0) {
            let now = taken | bits << place;
            match word.compare_exchange_weak(taken, now, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    let offset = number * LARGEST + place as usize * BLOCK;
                    // SAFETY: within the reserve: `number` is below WORDS and the blocks within 64.
                    return unsafe { BLOCKS.0.get().cast::<u8>().add(offset) };
                }
                Err(other) => taken = other,
            }
        }
    }
    null_mut()
}

#[cold]
fn take_zeroed(layout: Layout) -> *mut u8 {
    let memory = take(layout);
    if !memory.is_null() {
        // SAFETY: the blocks were just taken, and have at least as many bytes.
        unsafe { memory.write_bytes(0, layout.size()) };
    }
    memory
}

#[cold]
fn give_back(offset: usize, size: usize) {
    let place = offset % LARGEST / BLOCK;
    TAKEN[offset / LARGEST].fetch_and(!(bits(size) << place), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test only, because the whole process shares the reserve.
    #[test]
    fn the_reserve_serves_what_is_small_and_takes_it_back() {
        let layout = |size| Layout::from_size_align(size, 16).unwrap();
        let sizes = [1, BLOCK, BLOCK + 1, 5 * BLOCK, LARGEST];
        let free = || TAKEN.iter().all(|word| word.load(Ordering::Relaxed) == 0);
        assert!(free());

        let pieces = sizes.map(|size| (take_zeroed(layout(size)), layout(size)));
        for (number, (memory, layout)) in pieces.iter().enumerate() {
            assert!(memory.addr().is_multiple_of(BLOCK));
            // SAFETY: this test owns it, and it has this size.
            let bytes = unsafe { std::slice::from_raw_parts_mut(*memory, layout.size()) };
            assert!(bytes.iter().all(|&byte| byte == 0), "zeroed");
            bytes.fill(1 + number as u8);
        }
        for (number, (memory, layout)) in pieces.into_iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
            assert!(bytes.iter().all(|&byte| byte == 1 + number as u8), "apart");
            // SAFETY: it was taken with this layout.
            unsafe { ReserveAllocator.dealloc(memory, layout) };
        }
        assert!(free());

        assert!(take(layout(LARGEST + 1)).is_null());
        assert!(take(Layout::from_size_align(1, 2 * BLOCK).unwrap()).is_null());
        let all: Vec<_> = std::iter::from_fn(|| Some(take(layout(BLOCK))))
            .take_while(|memory| !memory.is_null())
            .collect();
        assert_eq!(all.len(), SIZE / BLOCK, "to the last block");

        // `realloc` moves it to the system's memory when there is some.
        // SAFETY: it was taken with this layout.
        let moved = unsafe { ReserveAllocator.realloc(all[0], layout(BLOCK), 2 * BLOCK) };
        assert!(offset(moved).is_none());
        // SAFETY: as above.
        unsafe { ReserveAllocator.dealloc(moved, layout(2 * BLOCK)) };
        for memory in &all[1..] {
            // SAFETY: as above.
            unsafe { ReserveAllocator.dealloc(*memory, layout(BLOCK)) };
        }
        assert!(free());
        assert!(!is_short(), "there is memory all the time");
        assert!(check("begin something").is_ok());
    }
}
