//! A set of positions of a stream, as ranges that neither overlap nor touch.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// The end of each range, by its start.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of ranges.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn first(&self) -> Option<Range<u64>> {
        let (&start, &end) = self.ends.first_key_value()?;
        Some(start..end)
    }

    /// Adds a range, whatever of it is there already.
    pub fn insert(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        if let Some((&before, &its_end)) = self.ends.range(..=start).next_back() {
            if its_end >= end {
                return;
            }
            if its_end >= start {
                start = before;
            }
        }
        while let Some((&next, &its_end)) = self.ends.range(start..=end).next() {
            self.ends.remove(&next);
            end = end.max(its_end);
        }
        self.ends.insert(start, end);
    }

    /// Removes all positions below `position`.
    pub fn remove_below(&mut self, position: u64) {
        while let Some(first) = self.ends.first_entry() {
            if *first.key() >= position {
                return;
            }
            let end = first.remove();
            if end > position {
                self.ends.insert(position, end);
                return;
            }
        }
    }

    /// How far positions from `position` on have the same answer, and whether that is that they are in the set.
    pub fn run_from(&self, position: u64) -> (bool, u64) {
        if let Some((_, &end)) = self.ends.range(..=position).next_back() {
            if end > position {
                return (true, end);
            }
        }
        let next = self.ends.range(position..).next();
        (false, next.map_or(u64::MAX, |(&start, _)| start))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0..60_u64, 0..12_u64, 0..8_u8), 1..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length, step) in steps {
                if step == 0 {
                    ranges.remove_below(start);
                    set.retain(|position| *position >= start);
                } else {
                    ranges.insert(start..start + length);
                    set.extend(start..start + length);
                }
                let mut previous = None;
                for (&start, &end) in &ranges.ends {
                    prop_assert!(start < end && previous.is_none_or(|end| end < start));
                    previous = Some(end);
                }
                let all: BTreeSet<u64> = ranges.ends.iter().flat_map(|(&start, &end)| start..end).collect();
                prop_assert_eq!(&all, &set);
                let (inside, end) = ranges.run_from(start);
                prop_assert_eq!(inside, set.contains(&start));
                let same = (start..end.min(100)).all(|position| set.contains(&position) == inside);
                prop_assert!(same && (end > 100 || set.contains(&end) != inside));
            }
        }
    }
}
