use super::*;
use crate::models::check;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::spawn;
use std::sync::Arc;

/// A lock, and whether a thread holds it.
#[derive(Default)]
struct Watched {
    lock: FifoLock,
    held: AtomicBool,
}

impl Watched {
    /// Whether the thread got the lock.
    fn got_it(&self, limit: TimeLimit) -> bool {
        let Some(_held) = self.lock.lock(limit) else {
            return false;
        };
        assert!(!self.held.swap(true, Ordering::SeqCst), "one at a time");
        self.held.store(false, Ordering::SeqCst);
        true
    }
}

fn forever() -> TimeLimit {
    TimeLimit::start(None)
}

fn now() -> TimeLimit {
    TimeLimit::start(Some(Duration::ZERO))
}

#[test]
fn each_thread_gets_it_alone() {
    check(Some(3), || {
        let watched = Arc::new(Watched::default());
        let others = [(); 2].map(|()| {
            let watched = Arc::clone(&watched);
            spawn(move || watched.got_it(forever()))
        });
        assert!(watched.got_it(forever()));
        assert!(others.into_iter().all(|other| other.join().unwrap()));
    });
}

/// A waiter in the middle of the queue leaves: the next one must notice.
#[test]
fn a_waiter_that_times_out_blocks_no_other() {
    check(Some(3), || {
        let watched = Arc::new(Watched::default());
        let [gives_up, waits] = [now(), forever()].map(|limit| {
            let watched = Arc::clone(&watched);
            spawn(move || watched.got_it(limit))
        });
        assert!(watched.got_it(forever()));
        gives_up.join().unwrap();
        assert!(waits.join().unwrap());
        assert!(watched.got_it(now()), "no thread holds it any more");
    });
}
