//! The threads that are inside a handler, and waiting for them without a deadlock.

use std::cell::Cell;
use std::sync::Arc;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{global, lock, thread_local, wait, Condvar, Mutex};

/// The threads that are inside one handler.
#[derive(Default)]
pub(super) struct Calls {
    retired: AtomicBool,
    threads: Mutex<Vec<ThreadToken>>,
    left: Condvar,
}

impl Calls {
    /// Registers a call on this thread.
    pub fn enter(&self) {
        lock(&self.threads).push(ThreadToken::current());
        DEPTH.with(|depth| depth.set(depth.get() + 1));
    }

    /// Ends a call on this thread.
    pub fn leave(&self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        let me = ThreadToken::current();
        let mut threads = lock(&self.threads);
        if let Some(position) = threads.iter().rposition(|&thread| thread == me) {
            threads.swap_remove(position);
        }
        if self.are_retired() {
            self.left.notify_all();
        }
    }

    /// The handler was replaced: no more calls begin.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub fn are_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub fn are_under_way(&self) -> bool {
        !lock(&self.threads).is_empty()
    }

    pub fn include_this_thread(&self) -> bool {
        lock(&self.threads).contains(&ThreadToken::current())
    }

    /// Waits until the calls of a retired handler have returned, unless that could wait for this thread itself.
    pub fn wait_for_the_last(self: &Arc<Self>) {
        let Some(_waiting) = Waiting::register(self) else {
            return;
        };
        let mut threads = lock(&self.threads);
        while !threads.is_empty() {
            threads = wait(&self.left, threads, None);
        }
    }
}

global! {
    /// The threads that wait for a handler to end, each with the calls that it waits for: two handlers that
    /// remove each other must not wait for each other.
    static WAITING: Mutex<Vec<(ThreadToken, Arc<Calls>)>> = Mutex::new(Vec::new());
}

/// This thread is in `WAITING` until this is dropped.
struct Waiting(ThreadToken);

impl Waiting {
    /// `None` if this thread must not wait: the calls would wait for this thread, directly or through other
    /// waiting threads.
    fn register(target: &Arc<Calls>) -> Option<Self> {
        let me = ThreadToken::current();
        let mut waiting = lock(&WAITING);
        let mut reached = vec![Arc::clone(target)];
        let mut next = 0;
        while let Some(calls) = reached.get(next).cloned() {
            next += 1;
            for &thread in lock(&calls.threads).iter() {
                if thread == me {
                    return None;
                }
                for (_, further) in waiting.iter().filter(|(waiter, _)| *waiter == thread) {
                    if !reached.iter().any(|seen| Arc::ptr_eq(seen, further)) {
                        reached.push(Arc::clone(further));
                    }
                }
            }
        }
        waiting.push((me, Arc::clone(target)));
        Some(Self(me))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&WAITING);
        if let Some(position) = waiting.iter().rposition(|(waiter, _)| *waiter == self.0) {
            waiting.swap_remove(position);
        }
    }
}

/// Whether any thread waits for a handler.
#[cfg(all(loom, test))]
pub(super) fn is_anybody_waiting() -> bool {
    !lock(&WAITING).is_empty()
}

/// Identifies a thread without an allocation: the address of a thread-local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ThreadToken(usize);

impl ThreadToken {
    fn current() -> Self {
        DEPTH.with(|depth| Self(std::ptr::from_ref(depth).addr()))
    }
}

thread_local! {
    /// How many handlers this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside any handler of any transport.
pub(crate) fn inside_handler() -> bool {
    DEPTH.with(Cell::get) > 0
}
