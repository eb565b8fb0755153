// All threads of a model are one thread of the system, and loom's cells are not made for more.
#![expect(clippy::arc_with_non_send_sync)]

use super::*;
use crate::models::{check, Presence};
use crate::sync::thread::JoinHandle;
use loom::cell::UnsafeCell;
use loom::thread::spawn;

type Handler = Box<dyn Fn()>;

/// The data of a handler, which its owner frees when the handler is removed. Loom reports a free that does not come
/// after every use.
#[derive(Clone)]
struct UserData(Arc<UnsafeCell<()>>);

impl UserData {
    fn new() -> Self {
        Self(Arc::new(UnsafeCell::new(())))
    }

    fn handler(&self) -> Handler {
        let data = self.clone();
        Box::new(move || data.0.with(|_| ()))
    }

    fn free(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A thread that calls the handler for one event after another, as the receiver does.
fn caller(cell: &Arc<HandlerCell<Handler>>, events: usize) -> JoinHandle<()> {
    let cell = Arc::clone(cell);
    spawn(move || {
        let Some(running) = cell.enter() else { return };
        for event in 0..events {
            // Not before the first call: the registration is what `set` waits for.
            if event > 0 && running.is_retired() {
                return;
            }
            assert_eq!(running.call(|handler| handler()), None);
        }
    })
}

#[test]
fn when_set_returns_the_old_handler_runs_nowhere_and_never_will_again() {
    check(Some(3), || {
        let (old, new) = (UserData::new(), UserData::new());
        let cell = Arc::new(HandlerCell::new(Some(old.handler())));
        let callers = [caller(&cell, 2), caller(&cell, 1)];
        cell.set(Some(new.handler())).unwrap();
        old.free();
        cell.close();
        new.free();
        assert!(cell.set(None).is_err() && cell.enter().is_none());
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

/// The second thread to replace also waits for the handler that was replaced first.
#[test]
fn of_two_that_replace_at_once_both_wait_for_the_handler_before_them() {
    check(Some(2), || {
        let inside = Arc::new(Presence::default());
        let noted = Arc::clone(&inside);
        let cell: Arc<HandlerCell<Handler>> =
            Arc::new(HandlerCell::new(Some(Box::new(move || {
                noted.during(|| ());
            }))));
        let caller = caller(&cell, 1);
        let other = Arc::clone(&cell);
        let other = spawn(move || other.set(Some(Box::new(|| ()))).unwrap());
        cell.set(None).unwrap();
        assert!(!inside.is_anybody());
        caller.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_handler_that_removes_itself_does_not_wait_for_itself_but_others_do() {
    check(Some(3), || {
        let data = UserData::new();
        let cell = Arc::new(HandlerCell::new(None));
        let (inside, used) = (Arc::downgrade(&cell), data.handler());
        let handler: Handler = Box::new(move || {
            // It fails when the cell was closed before.
            let _ = inside.upgrade().unwrap().set(None);
            used();
        });
        cell.set(Some(handler)).unwrap();
        let caller = caller(&cell, 2);
        cell.close();
        data.free();
        caller.join().unwrap();
    });
}

/// Handlers that remove one another in a circle, all of them at once.
fn a_circle_ends<const N: usize>(preemptions: usize) {
    check(Some(preemptions), || {
        let cells: Arc<[Arc<HandlerCell<Handler>>; N]> =
            Arc::new(std::array::from_fn(|_| Arc::new(HandlerCell::new(None))));
        for own in 0..N {
            let next = Arc::downgrade(&cells[(own + 1) % N]);
            let handler: Handler = Box::new(move || next.upgrade().unwrap().set(None).unwrap());
            cells[own].set(Some(handler)).unwrap();
        }
        let callers: Vec<_> = cells.iter().map(|cell| caller(cell, 1)).collect();
        for caller in callers {
            caller.join().unwrap();
        }
        assert!(cells.iter().any(|cell| !cell.is_set()));
        assert!(!calls::is_anybody_waiting());
    });
}

#[test]
fn two_handlers_that_remove_one_another_do_not_wait_for_ever() {
    a_circle_ends::<2>(3);
}

#[test]
fn nor_do_three_in_a_circle() {
    a_circle_ends::<3>(2);
}
