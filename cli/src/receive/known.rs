//! Files that pushes brought, remembered while the receiver runs, for file systems that cannot mark them.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Mutex;

/// The most files that are remembered. Further ones count as another program's.
const MOST: usize = 1_000_000;

/// Size and time of a file.
pub type State = (u64, (i64, u32));

/// Paths as two hashes with random keys: a tenth of the memory, and a peer cannot construct a collision.
#[derive(Default)]
pub struct Known {
    keys: [RandomState; 2],
    files: Mutex<HashMap<[u64; 2], State>>,
}

impl Known {
    fn key(&self, path: &Path) -> [u64; 2] {
        [0, 1].map(|number: usize| self.keys[number].hash_one(path))
    }

    pub fn remember(&self, path: &Path, state: State) {
        let mut files = self.files.lock().unwrap_or_else(|error| error.into_inner());
        let is_full = files.len() >= MOST;
        match files.entry(self.key(path)) {
            Entry::Occupied(mut known) => drop(known.insert(state)),
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(room) => drop(room.insert(state)),
        }
    }

    /// Whether a push brought the file and it is unchanged since.
    pub fn is_known(&self, path: &Path, state: State) -> bool {
        let files = self.files.lock().unwrap_or_else(|error| error.into_inner());
        files.get(&self.key(path)) == Some(&state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_as_it_was_left() {
        let known = Known::default();
        let path = Path::new("a/b");
        let state = (5, (7, 0));
        assert!(!known.is_known(path, state));
        known.remember(path, state);
        assert!(known.is_known(path, state));
        assert!(!known.is_known(path, (6, (7, 0))) && !known.is_known(path, (5, (8, 0))));
        assert!(!known.is_known(Path::new("b"), state));
    }
}
