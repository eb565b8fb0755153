use super::*;
use crate::models::{check, core};
use crate::receiver;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sys::poll::{wait, Deadline, Interest};
use loom::thread::{spawn, JoinHandle};
use std::os::fd::AsFd;

/// A transport with the two threads that it always has, and how often it said that it was closed.
/// The receiver is the real one; in the place of the accepting thread, which talks to the kernel
/// about interfaces, stands one that only waits as it does.
fn running() -> (Arc<Core>, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&closed);
    let core = core(|settings| {
        settings.on_closed(move || {
            told.fetch_add(1, Ordering::SeqCst);
        })
    });
    let batch = receiver::buffers().unwrap();
    core.spawn("dcf-tb-recv", |core| receiver::run(core, batch))
        .unwrap();
    core.spawn("dcf-tb-accept", |core| {
        while !core.context.is_closing() {
            let mut interests = [Interest::readable(core.context.event_loop_wake.as_fd())];
            wait(&mut interests, Deadline::Never).unwrap();
            core.context.event_loop_wake.clear();
        }
    })
    .unwrap();
    (core, closed)
}

fn close(core: &Arc<Core>, closed: &Arc<AtomicUsize>) {
    core.close();
    assert_eq!(closed.load(Ordering::SeqCst), 1);
    assert!(core.workers.are_finished());
}

fn closer(core: &Arc<Core>, closed: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let (core, closed) = (Arc::clone(core), Arc::clone(closed));
    spawn(move || close(&core, &closed))
}

#[test]
fn of_many_closers_one_closes_and_all_find_it_closed() {
    check(Some(2), || {
        let (core, closed) = running();
        let other = closer(&core, &closed);
        close(&core, &closed);
        other.join().unwrap();
    });
}

#[test]
fn closing_from_a_thread_of_the_transport_is_completed_by_the_last_thread() {
    check(Some(2), || {
        let (core, closed) = running();
        // It may be too late to start one.
        let _ = core.spawn("dcf-tb-stream", |core| core.close());
        close(&core, &closed);
    });
}

#[test]
fn a_thread_that_starts_while_the_transport_closes_ends_before_it_is_closed() {
    check(Some(2), || {
        let (core, closed) = running();
        let starting = {
            let (core, closed) = (Arc::clone(&core), Arc::clone(&closed));
            spawn(move || {
                let closed_inside = Arc::clone(&closed);
                let _ = core.spawn("dcf-tb-stream", move |_| {
                    assert_eq!(closed_inside.load(Ordering::SeqCst), 0);
                });
            })
        };
        close(&core, &closed);
        starting.join().unwrap();
    });
}

/// From inside a handler on a thread that is not the transport's own, as a logger is.
#[test]
fn closing_from_inside_a_handler_does_not_wait_for_that_handler() {
    check(Some(2), || {
        let (core, closed) = running();
        let logging = {
            let core = Arc::clone(&core);
            core.context
                .log
                .handler
                .set(Some(Box::new(|_, _| ())))
                .unwrap();
            spawn(move || {
                if let Some(inside) = core.context.log.handler.enter() {
                    core.close();
                    drop(inside);
                }
            })
        };
        close(&core, &closed);
        logging.join().unwrap();
    });
}
