//! A lock that threads get in the order in which they asked, with a timeout. A mutex does not
//! promise that order: a thread that has just released it and asks again is faster than the threads
//! that have to wake up first.

use std::collections::VecDeque;
use std::time::Duration;

use thunderbolt_transport::support::TimeLimit;

use crate::sync::{lock, wait, Condvar, Mutex};

#[derive(Default)]
pub(super) struct FifoLock {
    waiters: Mutex<Waiters>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiters {
    locked: bool,
    next: u64,
    queue: VecDeque<u64>,
}

/// Holds the lock until it is dropped.
pub(super) struct FifoGuard<'a>(&'a FifoLock);

impl FifoLock {
    /// Waits for the lock; `None` if the time is up first.
    pub(super) fn lock(&self, limit: TimeLimit) -> Option<FifoGuard<'_>> {
        let mut waiters = lock(&self.waiters);
        let own = waiters.next;
        waiters.next += 1;
        waiters.queue.push_back(own);
        while waiters.locked || waiters.queue.front() != Some(&own) {
            if limit.has_passed() {
                waiters.queue.retain(|&waiter| waiter != own);
                self.changed.notify_all();
                return None;
            }
            waiters = wait(&self.changed, waiters, limit.remaining());
        }
        waiters.queue.pop_front();
        waiters.locked = true;
        Some(FifoGuard(self))
    }

    /// Takes the lock if it is free.
    pub(super) fn try_lock(&self) -> Option<FifoGuard<'_>> {
        self.lock(TimeLimit::start(Some(Duration::ZERO)))
    }
}

impl Drop for FifoGuard<'_> {
    fn drop(&mut self) {
        lock(&self.0.waiters).locked = false;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;

    fn forever() -> TimeLimit {
        TimeLimit::start(None)
    }

    fn waiting(lock: &FifoLock) -> usize {
        crate::sync::lock(&lock.waiters).queue.len()
    }

    #[test]
    fn threads_get_it_in_the_order_of_asking() {
        let lock = FifoLock::default();
        let order = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = lock.lock(forever());
            for n in 0..4 {
                let (lock, order) = (&lock, &order);
                scope.spawn(move || {
                    let _held = lock.lock(forever());
                    order.lock().unwrap().push(n);
                });
                while waiting(lock) <= n {
                    std::thread::yield_now();
                }
            }
            drop(first);
            // This thread is awake already, and still comes last.
            let _held = lock.lock(forever());
            order.lock().unwrap().push(4);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_waiter_that_times_out_blocks_no_other() {
        let lock = FifoLock::default();
        let held = lock.lock(forever()).expect("it is free");
        assert!(lock.try_lock().is_none());
        std::thread::scope(|scope| {
            let gives_up = scope.spawn(|| {
                let soon = TimeLimit::start(Some(Duration::from_millis(20)));
                lock.lock(soon).is_none()
            });
            while waiting(&lock) < 1 {
                std::thread::yield_now();
            }
            let waits = scope.spawn(|| lock.lock(forever()).is_some());
            assert!(gives_up.join().unwrap());
            drop(held);
            assert!(waits.join().unwrap());
        });
        assert!(lock.try_lock().is_some());
        assert_eq!(waiting(&lock), 0);
    }
}
