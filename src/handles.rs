//! Handles: the numbers that C programs hold instead of pointers.
//!
//! ```text
//!  63      56 55                        24 23                  0
//! +----------+----------------------------+---------------------+
//! |   kind   |         generation         |        slot         |
//! +----------+----------------------------+---------------------+
//! ```
//!
//! The slot is a place in the table. The generation tells whether the slot still has the same
//! object. The kind tells which table the handle belongs to. Kinds are small and not 0, so no
//! handle is 0, and every handle is a fixnum in Lisps with 62-bit fixnums.
//!
//! A lookup takes no lock. In one atomic step it checks that the slot is open under that generation
//! and pins it, and it unpins the slot after it has cloned the `Arc`. The memory of slots is never
//! freed, so the lookup of an invalid handle reads a valid slot or none.
//!
//! Generations start at random numbers, so that handles of another process are invalid here.

use std::hash::{BuildHasher, RandomState};

use thunderbolt_transport::support::wait_until;

use crate::sync::{lock, Arc, AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering, UnsafeCell};

const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;

/// Chunk `n` has `FIRST_CHUNK << n` slots, so a few pointers reach all of them.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 18;
const CAPACITY: u32 = ((FIRST_CHUNK << CHUNKS) - FIRST_CHUNK) as u32;
const _: () = assert!(CAPACITY < 1 << SLOT_BITS);

/// The state of a slot: the generation in the upper half, this bit while it is open, and in the
/// lower bits the number of lookups that are cloning its value.
const OPEN: u64 = 1 << 31;
const PINS: u64 = OPEN - 1;

struct Slot<T> {
    state: AtomicU64,
    /// The first generation. The slot is retired before this generation would repeat.
    first: u32,
    value: UnsafeCell<Option<Arc<T>>>,
}

impl<T> Slot<T> {
    /// Changes the state in one step if the slot is open under that generation. Acquire: the value
    /// that was written before the slot was opened is then visible.
    #[inline]
    fn if_open(&self, generation: u32, change: impl Fn(u64) -> u64) -> Option<()> {
        let open = state_of(generation) | OPEN;
        let mut state = self.state.load(Ordering::Relaxed);
        while state & !PINS == open {
            match self.state.compare_exchange_weak(
                state,
                change(state),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(()),
                Err(now) => state = now,
            }
        }
        None
    }
}

/// The part of the table that only insertions and removals use.
struct Free {
    /// Free slots that were used before, the most recent one last.
    list: Vec<u32>,
    /// How many slots were ever used; the number of the next new one.
    used: u32,
}

impl Free {
    const NONE: Self = Self {
        list: Vec::new(),
        used: 0,
    };
}

/// All handles of one kind.
pub(crate) struct Table<T> {
    kind: u8,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    free: Mutex<Free>,
}

impl<T> Table<T> {
    /// An empty table for handles of `kind`, which must not be 0.
    #[cfg(not(loom))]
    pub(crate) const fn new(kind: u8) -> Self {
        let chunks = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
        Self::with_chunks(kind, chunks, Mutex::new(Free::NONE))
    }

    /// The model checker's primitives have no `const` constructors.
    #[cfg(loom)]
    pub(crate) fn new(kind: u8) -> Self {
        let chunks = std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut()));
        Self::with_chunks(kind, chunks, Mutex::new(Free::NONE))
    }

    const fn with_chunks(
        kind: u8,
        chunks: [AtomicPtr<Slot<T>>; CHUNKS],
        free: Mutex<Free>,
    ) -> Self {
        assert!(kind != 0);
        Self { kind, chunks, free }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        lock(&self.free)
    }

    /// The slot with that number, if its chunk exists.
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (chunk, offset) = place(index);
        let slots = self.chunks.get(chunk)?.load(Ordering::Acquire);
        if slots.is_null() {
            return None;
        }
        // SAFETY: a chunk pointer that is not null points to `chunk_len(chunk)` slots, which were
        // initialized before it was published and live as long as the table; `offset` is below that
        // length.
        Some(unsafe { &*slots.add(offset) })
    }

    /// Splits a handle into its slot, slot number and generation. `None` if it is of another kind.
    fn find(&self, handle: u64) -> Option<(&Slot<T>, u32, u32)> {
        if handle >> (SLOT_BITS + GENERATION_BITS) != u64::from(self.kind) {
            return None;
        }
        let index = (handle & ((1 << SLOT_BITS) - 1)) as u32;
        Some((self.slot(index)?, index, (handle >> SLOT_BITS) as u32))
    }
}

// Threads share the values, and any thread may drop them, hence the bounds.
impl<T: Send + Sync> Table<T> {
    /// The object of a valid handle of this table.
    #[inline]
    pub(crate) fn get(&self, handle: u64) -> Option<Arc<T>> {
        let (slot, _, generation) = self.find(handle)?;
        slot.if_open(generation, |state| state + 1)?;
        // SAFETY: the slot was open when we pinned it, so its value had been written before
        // (Acquire pairs with the Release of `insert`), and `remove` does not touch it until we
        // unpin.
        let value = slot.value.with(|value| unsafe { (*value).clone() });
        slot.state.fetch_sub(1, Ordering::Release);
        value
    }

    /// Adds an object and returns its handle. `None` if there are no more slots (16 million) or no
    /// memory.
    pub(crate) fn insert(&self, value: Arc<T>) -> Option<u64> {
        let mut free = self.free();
        let index = match free.list.pop() {
            Some(index) => index,
            None => self.fresh(&mut free)?,
        };
        let slot = self.slot(index)?;
        let state = slot.state.load(Ordering::Relaxed);
        // SAFETY: the slot is not open, so no lookup can pin it, and the lock excludes other
        // insertions. `remove` puts a slot on the list after its last access.
        slot.value.with_mut(|place| unsafe { *place = Some(value) });
        slot.state.store(state | OPEN, Ordering::Release);
        Some(
            u64::from(self.kind) << (SLOT_BITS + GENERATION_BITS)
                | (state >> GENERATION_BITS) << SLOT_BITS
                | u64::from(index),
        )
    }

    /// Ends a handle and returns its object. Exactly one caller gets it.
    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        let (slot, index, generation) = self.find(handle)?;
        slot.if_open(generation, |state| state & !OPEN)?;
        // A lookup holds its pin for nanoseconds, unless its thread is preempted.
        wait_until(|| slot.state.load(Ordering::Acquire) & PINS == 0);
        // SAFETY: the slot is closed, so no new pin is possible, and the last one has ended (its
        // Release pairs with our Acquire). No other thread accesses the value until the store
        // below.
        let value = slot.value.with_mut(|place| unsafe { (*place).take() });
        let next = generation.wrapping_add(1);
        slot.state.store(state_of(next), Ordering::Release);
        if next != slot.first {
            self.free().list.push(index);
        }
        value
    }

    /// The next slot that was never used. Allocates a chunk if necessary.
    fn fresh(&self, free: &mut Free) -> Option<u32> {
        let index = free.used;
        if index >= CAPACITY {
            return None;
        }
        // Reserves room on the list for `remove`, which must not fail.
        free.list.try_reserve(1 + index as usize).ok()?;
        let (chunk, _) = place(index);
        if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
            let random = RandomState::new();
            let mut slots: Vec<Slot<T>> = Vec::new();
            slots.try_reserve_exact(chunk_len(chunk)).ok()?;
            slots.extend((0..chunk_len(chunk)).map(|n| {
                let first = random.hash_one(n) as u32;
                Slot {
                    state: AtomicU64::new(state_of(first)),
                    first,
                    value: UnsafeCell::new(None),
                }
            }));
            let slots = Box::into_raw(slots.into_boxed_slice()).cast::<Slot<T>>();
            self.chunks[chunk].store(slots, Ordering::Release);
        }
        free.used += 1;
        Some(index)
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        for (n, chunk) in self.chunks.iter().enumerate() {
            let slots = chunk.load(Ordering::Relaxed);
            if !slots.is_null() {
                let slots = std::ptr::slice_from_raw_parts_mut(slots, chunk_len(n));
                // SAFETY: made by `Box::into_raw` from a slice of this length; `&mut self` is
                // exclusive.
                drop(unsafe { Box::from_raw(slots) });
            }
        }
    }
}

const fn state_of(generation: u32) -> u64 {
    (generation as u64) << GENERATION_BITS
}

const fn chunk_len(chunk: usize) -> usize {
    FIRST_CHUNK << chunk
}

/// Chunk and offset of a slot.
const fn place(index: u32) -> (usize, usize) {
    let n = index as usize + FIRST_CHUNK;
    let chunk = (n.ilog2() - FIRST_CHUNK.ilog2()) as usize;
    (chunk, n - chunk_len(chunk))
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_handle_finds_its_value_until_it_is_removed() {
        let table = Table::new(1);
        let a = table.insert(Arc::new("a")).unwrap();
        let b = table.insert(Arc::new("b")).unwrap();
        assert_eq!((*table.get(a).unwrap(), *table.get(b).unwrap()), ("a", "b"));
        assert_eq!(*table.remove(a).unwrap(), "a");
        assert!(table.get(a).is_none());
        assert!(table.remove(a).is_none());
        assert_eq!(*table.get(b).unwrap(), "b");
    }

    #[test]
    fn a_reused_slot_has_another_handle() {
        let table = Table::new(1);
        let mut seen = Vec::new();
        for n in 0..1000 {
            let handle = table.insert(Arc::new(n)).unwrap();
            assert!(!seen.contains(&handle));
            assert!(seen.iter().all(|&stale| table.get(stale).is_none()));
            table.remove(handle).unwrap();
            seen.push(handle);
        }
        assert_eq!(table.free().used, 1, "one slot serves them all");
    }

    #[test]
    fn made_up_handles_find_nothing() {
        let table = Table::new(1);
        let live = table.insert(Arc::new(())).unwrap();
        for bit in 0..64 {
            assert!(table.get(live ^ 1 << bit).is_none(), "bit {bit}");
        }
        for made_up in (0..=0xFFFF).chain([u64::MAX, u64::MAX >> 1, 1 << 56, 2 << 56]) {
            assert!(table.get(made_up).is_none(), "{made_up:#x}");
            assert!(table.remove(made_up).is_none(), "{made_up:#x}");
        }
        let other = Table::<()>::new(2);
        assert!(other.get(live).is_none(), "of another kind");
    }

    #[test]
    fn a_slot_is_retired_when_its_generations_are_used_up() {
        let table = Table::new(1);
        let handle = table.insert(Arc::new(1)).unwrap();
        table.remove(handle);
        let slot = table.slot(0).unwrap();
        let last = slot.first.wrapping_sub(1);
        slot.state.store(state_of(last), Ordering::Relaxed);
        let handle = table.insert(Arc::new(2)).unwrap();
        assert_eq!(handle as u32 & 0xFF_FFFF, 0);
        table.remove(handle);
        let handle = table.insert(Arc::new(3)).unwrap();
        assert_eq!(handle as u32 & 0xFF_FFFF, 1);
    }

    #[test]
    fn places_are_dense_and_end_where_the_table_ends() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == chunk_len(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(CAPACITY - 1), (CHUNKS - 1, chunk_len(CHUNKS - 1) - 1));
        assert_eq!(place(CAPACITY).0, CHUNKS);
    }

    #[test]
    fn many_values_live_at_once_and_are_dropped() {
        let table = Table::new(1);
        let value = Arc::new(());
        let handles: Vec<u64> = (0..5000)
            .map(|_| table.insert(Arc::clone(&value)).unwrap())
            .collect();
        assert!(handles.iter().all(|&handle| table.get(handle).is_some()));
        assert_eq!(Arc::strong_count(&value), 5001);
        for &handle in &handles[..2500] {
            table.remove(handle).unwrap();
        }
        assert_eq!(Arc::strong_count(&value), 2501);
        drop(table);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    /// Threads look up and remove the same handles all the time. Each value is removed once, a
    /// lookup returns the value of its handle or none, and no value is leaked.
    #[test]
    fn lookups_and_removals_race_safely() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = if cfg!(miri) { 50 } else { 20_000 };
        static DROPPED: AtomicU64 = AtomicU64::new(0);
        struct Value(u64);
        impl Drop for Value {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }

        let table = Table::new(1);
        let removed = AtomicU64::new(0);
        let remove = |handle| {
            if table.remove(handle).is_some() {
                removed.fetch_add(1, Ordering::Relaxed);
            }
        };
        let shared: [AtomicU64; 4] = std::array::from_fn(|_| AtomicU64::new(0));
        let working = AtomicU64::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (table, shared, working, remove) = (&table, &shared, &working, &remove);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let place = &shared[(thread + round) as usize % shared.len()];
                        // All threads try to remove it, and exactly one succeeds.
                        remove(place.load(Ordering::Acquire));
                        let number = round * THREADS + thread;
                        let handle = table.insert(Arc::new(Value(number))).unwrap();
                        remove(place.swap(handle, Ordering::AcqRel));
                        // Another thread may have removed our handle already, but it never finds
                        // another value.
                        if let Some(value) = table.get(handle) {
                            assert_eq!(value.0, number);
                        }
                    }
                    working.fetch_sub(1, Ordering::Release);
                });
            }
            while working.load(Ordering::Acquire) > 0 {
                for handle in &shared {
                    if let Some(value) = table.get(handle.load(Ordering::Acquire)) {
                        assert!(value.0 < ROUNDS * THREADS);
                    }
                }
            }
        });
        shared
            .iter()
            .for_each(|handle| remove(handle.load(Ordering::Relaxed)));
        assert_eq!(removed.into_inner(), ROUNDS * THREADS);
        assert_eq!(DROPPED.load(Ordering::Relaxed), ROUNDS * THREADS);
    }
}
