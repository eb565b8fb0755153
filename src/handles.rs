//! Handles: the numbers that C holds instead of pointers.
//!
//! ```text
//!  63      56 55                        24 23                  0
//! +----------+----------------------------+---------------------+
//! |   kind   |         generation         |        slot         |
//! +----------+----------------------------+---------------------+
//! ```
//!
//! The slot says where to look, the generation whether it is still the same thing that lives there,
//! the kind which table the number belongs to. Kinds are small and not 0, so that no handle is 0 and
//! every handle is a fixnum for the Lisps that have 62 bits.
//!
//! Looking a handle up takes no lock: it pins the slot for the few instructions that it takes to
//! clone the `Arc` in it, and only if the slot's state says, in the same atomic step, that it is
//! open under that generation. Memory of slots is never given back, so a handle out of thin air
//! leads to an honest comparison and never to a wild pointer.
//!
//! Generations begin at random: the handles of another process mean nothing here.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::sync::{
    sleep, yield_now, Arc, AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError,
    UnsafeCell,
};

const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;

/// Chunk `n` has `FIRST_CHUNK << n` slots, so a few pointers reach all of them.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 18;
const CAPACITY: u32 = ((FIRST_CHUNK << CHUNKS) - FIRST_CHUNK) as u32;
const _: () = assert!(CAPACITY < 1 << SLOT_BITS);

/// A slot's state: its generation above, this bit while it is open, and below it the number of
/// lookups that are cloning its value right now.
const OPEN: u64 = 1 << 31;
const PINS: u64 = OPEN - 1;

struct Slot<T> {
    state: AtomicU64,
    /// The generation it began with. When it comes round again the slot is retired.
    first: u32,
    value: UnsafeCell<Option<Arc<T>>>,
}

impl<T> Slot<T> {
    /// Changes the state in one step, if the slot is open under that generation. What was written
    /// before it was opened is then visible (Acquire).
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

/// What only insertion and removal touch.
struct Free {
    /// Slots that were used and are free, the latest last.
    list: Vec<u32>,
    /// How many slots were ever used: the next fresh one.
    used: u32,
}

/// All live handles of one kind.
pub(crate) struct Table<T> {
    kind: u8,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    free: Mutex<Free>,
}

impl<T> Table<T> {
    /// An empty table of handles of `kind`, which must not be 0.
    pub(crate) const fn new(kind: u8) -> Self {
        assert!(kind != 0);
        Self {
            kind,
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            free: Mutex::new(Free {
                list: Vec::new(),
                used: 0,
            }),
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of that number, if memory was ever made for it.
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (chunk, offset) = place(index);
        let slots = self.chunks.get(chunk)?.load(Ordering::Acquire);
        if slots.is_null() {
            return None;
        }
        // SAFETY: a chunk pointer that is not null points to `chunk_len(chunk)` slots, initialized
        // before it was published and alive as long as the table; `offset` is below that length.
        Some(unsafe { &*slots.add(offset) })
    }

    /// Takes a handle apart. What is not of this kind has no slot here.
    fn find(&self, handle: u64) -> Option<(&Slot<T>, u32, u32)> {
        if handle >> (SLOT_BITS + GENERATION_BITS) != u64::from(self.kind) {
            return None;
        }
        let index = (handle & ((1 << SLOT_BITS) - 1)) as u32;
        Some((self.slot(index)?, index, (handle >> SLOT_BITS) as u32))
    }
}

// Values are shared between threads and dropped on any of them, hence the bounds.
impl<T: Send + Sync> Table<T> {
    /// What the handle stands for, if it is a live one of this table.
    #[inline]
    pub(crate) fn get(&self, handle: u64) -> Option<Arc<T>> {
        let (slot, _, generation) = self.find(handle)?;
        slot.if_open(generation, |state| state + 1)?;
        // SAFETY: the slot was open when we pinned it, so its value had been written before
        // (Acquire meets the Release of `insert`), and `remove` does not touch it until we unpin.
        let value = slot.value.with(|value| unsafe { (*value).clone() });
        slot.state.fetch_sub(1, Ordering::Release);
        value
    }

    /// Gives the value a handle. `None` when there are no more (16 million) or no memory.
    pub(crate) fn insert(&self, value: Arc<T>) -> Option<u64> {
        let mut free = self.free();
        let index = match free.list.pop() {
            Some(index) => index,
            None => self.fresh(&mut free)?,
        };
        let slot = self.slot(index)?;
        let state = slot.state.load(Ordering::Relaxed);
        // SAFETY: the slot is not open, so nobody can pin it, and the lock keeps other insertions
        // away; `remove` put it on the list only after it had done with it.
        slot.value.with_mut(|place| unsafe { *place = Some(value) });
        slot.state.store(state | OPEN, Ordering::Release);
        Some(
            u64::from(self.kind) << (SLOT_BITS + GENERATION_BITS)
                | (state >> GENERATION_BITS) << SLOT_BITS
                | u64::from(index),
        )
    }

    /// Ends the handle and returns what it stood for. Exactly one caller gets it.
    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        let (slot, index, generation) = self.find(handle)?;
        slot.if_open(generation, |state| state & !OPEN)?;
        wait_for_pins(slot);
        // SAFETY: we closed the slot, so no pin can come, and the last one has gone (its Release
        // met our Acquire). Nobody else removes or inserts here before we say so below.
        let value = slot.value.with_mut(|place| unsafe { (*place).take() });
        let next = generation.wrapping_add(1);
        slot.state.store(state_of(next), Ordering::Release);
        if next != slot.first {
            self.free().list.push(index);
        }
        value
    }

    /// The next slot that was never used, with a new chunk for it if need be.
    fn fresh(&self, free: &mut Free) -> Option<u32> {
        let index = free.used;
        if index >= CAPACITY {
            return None;
        }
        // So that `remove`, which cannot fail, finds room on the list.
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
                // SAFETY: made by `Box::into_raw` of a slice of this length; the table is ours alone.
                drop(unsafe { Box::from_raw(slots) });
            }
        }
    }
}

/// Lookups hold a pin for nanoseconds, unless their thread is preempted in between. Yielding lets
/// it finish; sleeping also helps one of lower real-time priority.
fn wait_for_pins<T>(slot: &Slot<T>) {
    let mut rounds = 0;
    while slot.state.load(Ordering::Acquire) & PINS != 0 {
        rounds += 1;
        if rounds < 100 {
            yield_now();
        } else {
            sleep(Duration::from_micros(100));
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

    /// Threads look up and remove the same handles all the time: each value is removed once, a
    /// lookup gives the value that the handle was made for or nothing, and none is left behind.
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
                        // Everybody tries to remove it, and one of them does.
                        remove(place.load(Ordering::Acquire));
                        let number = round * THREADS + thread;
                        let handle = table.insert(Arc::new(Value(number))).unwrap();
                        remove(place.swap(handle, Ordering::AcqRel));
                        // Our own may be gone already, but it is never another's.
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
