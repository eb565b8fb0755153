//! What the link handler is to be told. The handler may take long, and the accepting thread has the next
//! change of the link to see meanwhile; so a thread of its own calls it (`watch`).

use std::collections::VecDeque;

use crate::sync::{lock, Mutex};

/// Changes that are kept for a handler that does not return.
const KEPT: usize = 64;

/// Changes that the handler has not been told of.
pub(crate) struct LinkEvents(Mutex<Waiting>);

struct Waiting {
    /// In turns: up, down, up.
    changes: VecDeque<(bool, String)>,
    /// A thread is telling them.
    telling: bool,
}

impl Default for LinkEvents {
    fn default() -> Self {
        let waiting = Waiting {
            changes: VecDeque::with_capacity(KEPT),
            telling: false,
        };
        Self(Mutex::new(waiting))
    }
}

impl Waiting {
    /// Beyond the limit a change and the one back again are left out together: the last one that is
    /// told is always the present state.
    fn push(&mut self, up: bool, interface: String) {
        if self.changes.len() >= KEPT {
            self.changes.pop_back();
        } else {
            self.changes.push_back((up, interface));
        }
    }
}

impl LinkEvents {
    /// Keeps a change. True if nobody tells them yet: the caller has somebody call `next` until
    /// nothing is left.
    pub fn push(&self, up: bool, interface: String) -> bool {
        let mut waiting = lock(&self.0);
        waiting.push(up, interface);
        !std::mem::replace(&mut waiting.telling, true)
    }

    /// The next change to tell.
    pub fn next(&self) -> Option<(bool, String)> {
        let mut waiting = lock(&self.0);
        let next = waiting.changes.pop_front();
        waiting.telling = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_does_not_return_is_told_the_last_state_and_never_the_same_twice() {
        let events = LinkEvents::default();
        let mut waiting = lock(&events.0);
        for change in 0..3 * KEPT + 1 {
            let up = change % 2 == 0;
            waiting.push(up, "lo".to_owned());
            assert!(waiting.changes.len() <= KEPT);
            let told: Vec<bool> = waiting.changes.iter().map(|change| change.0).collect();
            assert_eq!(told.last(), Some(&up));
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
        }
    }
}
