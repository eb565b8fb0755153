use super::*;
use crate::models::check;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::spawn;
use std::sync::Arc;
use std::time::Duration;

/// A turn, and whether somebody has it.
#[derive(Default)]
struct Watched {
    turn: Turn,
    held: AtomicBool,
}

impl Watched {
    /// Whether the turn came.
    fn have(&self, limit: Limit) -> bool {
        let Some(_held) = self.turn.take(limit) else {
            return false;
        };
        assert!(!self.held.swap(true, Ordering::SeqCst), "one at a time");
        self.held.store(false, Ordering::SeqCst);
        true
    }
}

fn forever() -> Limit {
    Limit::after(None)
}

fn not_at_all() -> Limit {
    Limit::after(Some(Duration::ZERO))
}

#[test]
fn everybody_gets_it_alone() {
    check(Some(3), || {
        let watched = Arc::new(Watched::default());
        let others = [(); 2].map(|()| {
            let watched = Arc::clone(&watched);
            spawn(move || watched.have(forever()))
        });
        assert!(watched.have(forever()));
        assert!(others.into_iter().all(|other| other.join().unwrap()));
    });
}

/// Somebody between those who wait goes away: the next one has to learn of it.
#[test]
fn who_gives_up_holds_up_nobody() {
    check(Some(3), || {
        let watched = Arc::new(Watched::default());
        let [gives_up, waits] = [not_at_all(), forever()].map(|limit| {
            let watched = Arc::clone(&watched);
            spawn(move || watched.have(limit))
        });
        assert!(watched.have(forever()));
        gives_up.join().unwrap();
        assert!(waits.join().unwrap());
        assert!(watched.have(not_at_all()), "nobody has it any more");
    });
}
