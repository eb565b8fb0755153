//! The changes for the link handler. The handler may block, and the event loop has to see the next change of the link
//! meanwhile. So a thread of its own calls it (`announce`).

use std::collections::VecDeque;

use crate::sync::{lock, Mutex};

/// The changes that are kept for a handler that does not return.
const KEPT: usize = 64;

/// The changes that were not reported yet.
pub(crate) struct LinkEvents(Mutex<Waiting>);

struct Waiting {
    /// Alternating: up, down, up.
    changes: VecDeque<(bool, String)>,
    /// A thread is reporting them.
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
    /// Beyond the limit a change and its reversal cancel each other, so the last change is always the present state.
    fn push(&mut self, up: bool, interface: String) {
        if self.changes.len() >= KEPT {
            self.changes.pop_back();
        } else {
            self.changes.push_back((up, interface));
        }
    }
}

impl LinkEvents {
    /// Keeps a change. True if no thread reports them yet: the caller then has a thread call `next` until it returns
    /// `None`.
    pub fn push(&self, up: bool, interface: String) -> bool {
        let mut waiting = lock(&self.0);
        waiting.push(up, interface);
        !std::mem::replace(&mut waiting.telling, true)
    }

    /// The next change to report.
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
