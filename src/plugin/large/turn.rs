//! One after another, in the order in which they came: what a mutex does not promise. Who has just
//! sent and sends again would always be faster than those who have to wake up first.

use std::collections::VecDeque;

use crate::plugin::limit::Limit;
use crate::plugin::lock;
use crate::sync::{Condvar, Mutex, PoisonError};

#[derive(Default)]
pub(super) struct Turn {
    row: Mutex<Row>,
    changed: Condvar,
}

#[derive(Default)]
struct Row {
    taken: bool,
    next: u64,
    waiting: VecDeque<u64>,
}

/// The turn, until it is dropped.
pub(super) struct Held<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn; `None` when it did not come in time.
    pub(super) fn take(&self, limit: Limit) -> Option<Held<'_>> {
        let mut row = lock(&self.row);
        let own = row.next;
        row.next += 1;
        row.waiting.push_back(own);
        while row.taken || row.waiting.front() != Some(&own) {
            let left = limit.left();
            if left.is_some_and(|left| left.is_zero()) {
                row.waiting.retain(|&waiting| waiting != own);
                self.changed.notify_all();
                return None;
            }
            row = match left {
                None => self
                    .changed
                    .wait(row)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.changed.wait_timeout(row, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        row.waiting.pop_front();
        row.taken = true;
        Some(Held(self))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock(&self.0.row).taken = false;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn waiting(turn: &Turn) -> usize {
        lock(&turn.row).waiting.len()
    }

    #[test]
    fn everybody_gets_it_in_the_order_of_asking() {
        let turn = Turn::default();
        let order = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = turn.take(Limit::after(None));
            for n in 0..4 {
                let (turn, order) = (&turn, &order);
                scope.spawn(move || {
                    let _held = turn.take(Limit::after(None));
                    order.lock().unwrap().push(n);
                });
                while waiting(turn) <= n {
                    std::thread::yield_now();
                }
            }
            drop(first);
            // Who comes now comes last, although it is awake already.
            let _held = turn.take(Limit::after(None));
            order.lock().unwrap().push(4);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn who_gives_up_holds_up_nobody() {
        let turn = Turn::default();
        let held = turn.take(Limit::after(None)).expect("it is free");
        assert!(turn.take(Limit::after(Some(Duration::ZERO))).is_none());
        std::thread::scope(|scope| {
            let gives_up = scope.spawn(|| {
                let soon = Limit::after(Some(Duration::from_millis(20)));
                turn.take(soon).is_none()
            });
            while waiting(&turn) < 1 {
                std::thread::yield_now();
            }
            let waits = scope.spawn(|| turn.take(Limit::after(None)).is_some());
            assert!(gives_up.join().unwrap());
            drop(held);
            assert!(waits.join().unwrap());
        });
        assert!(turn.take(Limit::after(Some(Duration::ZERO))).is_some());
        assert_eq!(waiting(&turn), 0);
    }
}
