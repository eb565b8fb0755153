//! A map of limited size that keeps entries that are used again.
//!
//! Strangers choose some of the keys: any host on a link can send from any number of forged addresses. When the map is
//! full, a new entry replaces one that was never used again, so a flood of keys that come once replaces only itself.
//! Entries that were used again, the *regulars*, have three quarters of the places. When there are more, about the
//! least recently used one (a clock with a second chance) becomes replaceable.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

#[derive(Debug)]
pub(crate) struct ClockCache<K, V> {
    limit: usize,
    entries: Vec<Entry<K, V>>,
    places: HashMap<K, usize, RandomState>,
    regulars: usize,
    /// Where the search for an entry to replace continues.
    next_to_go: usize,
    /// Where the search for a regular to demote continues.
    next_to_demote: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not used since it was inserted.
    New,
    /// Used again; `lately`: since the clock last passed it.
    Regular { lately: bool },
}

impl<K: Clone + Eq + Hash, V> ClockCache<K, V> {
    /// For up to `limit` entries, at least 4. It allocates with the first entry.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(4),
            entries: Vec::new(),
            places: HashMap::default(),
            regulars: 0,
            next_to_go: 0,
            next_to_demote: 0,
        }
    }

    fn most_regulars(&self) -> usize {
        self.limit / 4 * 3
    }

    /// Uses the entry of this key. Its place stays the same until something is inserted or removed.
    #[inline]
    pub fn find<Q>(&mut self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let place = *self.places.get(key)?;
        self.touch(place);
        Some(place)
    }

    /// The entry of this key, used.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let place = self.find(key)?;
        Some(&mut self.entries[place].value)
    }

    /// The entry at a place, without a lookup. The caller compares the key, and calls `touch` when it uses the entry.
    #[inline]
    pub fn at(&mut self, place: usize) -> Option<(&K, &mut V)> {
        let entry = self.entries.get_mut(place)?;
        Some((&entry.key, &mut entry.value))
    }

    /// The entry at this place is used.
    #[inline]
    pub fn touch(&mut self, place: usize) {
        if let Some(entry) = self.entries.get_mut(place) {
            if entry.standing == (Standing::Regular { lately: true }) {
                return;
            }
            let promoted = entry.standing == Standing::New;
            entry.standing = Standing::Regular { lately: true };
            if promoted {
                self.regulars += 1;
                if self.regulars > self.most_regulars() {
                    self.demote();
                }
            }
        }
    }

    /// Makes the next regular that was not used lately replaceable. There is one after one turn of the clock at the
    /// latest.
    fn demote(&mut self) {
        loop {
            let place = self.next_to_demote % self.entries.len();
            self.next_to_demote = place + 1;
            let standing = &mut self.entries[place].standing;
            match standing {
                Standing::New => {}
                Standing::Regular { lately: true } => {
                    *standing = Standing::Regular { lately: false }
                }
                Standing::Regular { lately: false } => {
                    *standing = Standing::New;
                    self.regulars -= 1;
                    return;
                }
            }
        }
    }

    /// Sets the value of a key, and returns its place. Without memory it is not kept.
    pub fn insert(&mut self, key: K, value: V) -> Option<usize> {
        if let Some(place) = self.find(&key) {
            self.entries[place].value = value;
            return Some(place);
        }
        let entry = Entry {
            key: key.clone(),
            value,
            standing: Standing::New,
        };
        if self.entries.len() < self.limit {
            self.entries.try_reserve(1).ok()?;
            self.places.try_reserve(1).ok()?;
            self.places.insert(key, self.entries.len());
            self.entries.push(entry);
            return Some(self.entries.len() - 1);
        }
        self.places.try_reserve(1).ok()?;
        let place = self.replaceable();
        let gone = std::mem::replace(&mut self.entries[place], entry);
        self.places.remove(&gone.key);
        self.places.insert(key, place);
        Some(place)
    }

    /// The next entry that is not a regular. At least a quarter are not.
    fn replaceable(&mut self) -> usize {
        loop {
            let place = self.next_to_go % self.entries.len();
            self.next_to_go = place + 1;
            if self.entries[place].standing == Standing::New {
                return place;
            }
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.places.remove(key)?;
        let gone = self.entries.swap_remove(place);
        if gone.standing != Standing::New {
            self.regulars -= 1;
        }
        if let Some(moved) = self.entries.get(place) {
            if let Some(its_place) = self.places.get_mut(&moved.key) {
                *its_place = place;
            }
        }
        Some(gone.value)
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.places.clear();
        self.regulars = 0;
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.places.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIMIT: usize = 64;

    /// A map of which half are regulars.
    fn half_regular() -> ClockCache<usize, usize> {
        let mut kept = ClockCache::new(LIMIT);
        for regular in 0..LIMIT / 2 {
            kept.insert(regular, regular);
            assert!(kept.find(&regular).is_some());
        }
        kept
    }

    fn regulars_left(kept: &ClockCache<usize, usize>) -> usize {
        let keys = (0..LIMIT / 2).filter(|key| kept.places.contains_key(key));
        keys.count()
    }

    #[test]
    fn keys_that_come_once_replace_nothing_but_themselves() {
        let mut kept = half_regular();
        for made_up in 0..100 * LIMIT {
            kept.insert(1000 + made_up, 0);
        }
        assert_eq!(kept.len(), LIMIT);
        assert_eq!(regulars_left(&kept), LIMIT / 2);
        for regular in 0..LIMIT / 2 {
            assert_eq!(kept.get(&regular), Some(&mut { regular }));
        }
    }

    #[test]
    fn keys_that_come_twice_replace_no_regular_that_is_used_meanwhile() {
        let mut kept = half_regular();
        for made_up in 0..100 * LIMIT {
            kept.insert(1000 + made_up, 0);
            kept.find(&(1000 + made_up));
            if made_up % (LIMIT / 8) == 0 {
                for regular in 0..LIMIT / 2 {
                    kept.find(&regular);
                }
            }
        }
        assert_eq!(kept.len(), LIMIT);
        assert_eq!(regulars_left(&kept), LIMIT / 2);
    }

    #[test]
    fn the_newest_finds_a_place_whatever_is_there() {
        let mut kept = half_regular();
        for key in 0..10 * LIMIT {
            for _ in 0..3 {
                let place = kept.insert(1000 + key, key).expect("memory");
                assert_eq!(kept.at(place), Some((&(1000 + key), &mut { key })));
            }
        }
        assert_eq!(kept.len(), LIMIT);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Insert(u8),
        Find(u8),
        Remove(u8),
        Clear,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            8 => any::<u8>().prop_map(Act::Insert),
            8 => any::<u8>().prop_map(Act::Find),
            2 => any::<u8>().prop_map(Act::Remove),
            1 => Just(Act::Clear),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map_that_may_have_forgotten(acts in vec(act(), 0..400)) {
            let (mut kept, mut all) = (ClockCache::new(16), HashMap::new());
            for (number, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Insert(key) => {
                        prop_assert!(kept.insert(key, number).is_some());
                        all.insert(key, number);
                        prop_assert_eq!(kept.get(&key).copied(), Some(number));
                    }
                    Act::Find(key) => {
                        let found = kept.get(&key).copied();
                        prop_assert!(found.is_none() || found == all.get(&key).copied());
                    }
                    Act::Remove(key) => {
                        let (had, removed) = (all.remove(&key), kept.remove(&key));
                        prop_assert!(removed.is_none() || removed == had);
                        prop_assert!(kept.get(&key).is_none());
                    }
                    Act::Clear => {
                        kept.clear();
                        all.clear();
                    }
                }
                prop_assert!(kept.len() <= 16 && kept.len() <= all.len());
                let regulars = kept.entries.iter().filter(|entry| entry.standing != Standing::New);
                prop_assert_eq!(regulars.count(), kept.regulars);
                prop_assert!(kept.regulars <= kept.most_regulars());
            }
        }
    }
}
