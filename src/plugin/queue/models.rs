//! The queue in every possible order of its threads (`make models`). If a wake-up is lost, all
//! threads sleep, which the model checker reports as a deadlock.

use super::tests::{connection, peer, receive_up_to, LARGE};
use super::*;
use crate::models::check;
use loom::thread::{spawn, JoinHandle};

/// The limit is one and a half times the smallest large message.
fn queue() -> Arc<Queue> {
    Queue::new(2, LARGE * 3 / 2)
}

fn with<T: 'static>(
    queue: &Arc<Queue>,
    body: impl FnOnce(&Arc<Queue>) -> T + 'static,
) -> JoinHandle<T> {
    let queue = Arc::clone(queue);
    spawn(move || body(&queue))
}

fn forever() -> TimeLimit {
    TimeLimit::start(None)
}

/// A message in two steps: the second half needs more memory.
fn large(queue: &Arc<Queue>) -> Result<(), ReserveError> {
    let mut partial = queue.begin_large(&connection());
    receive_up_to(&mut partial, 2 * LARGE, 2 * LARGE)?;
    partial.deliver(peer())
}

fn nothing_is_left(queue: &Queue) {
    let state = lock(&queue.state);
    assert_eq!((state.large.bytes, state.large.messages), (0, 0));
    assert_eq!((state.datagrams.bytes, state.datagrams.messages), (0, 0));
    assert_eq!(
        (state.waiting_for_memory.len(), state.over_limit),
        (0, None)
    );
    assert_eq!((state.sources.len(), state.yielded.len()), (0, 0));
}

#[test]
fn two_waiting_threads_get_a_message_each() {
    check(Some(3), || {
        let queue = queue();
        let takers = [(); 2].map(|()| with(&queue, |queue| queue.recv(forever()).is_ok()));
        queue.push(b"one", peer()).unwrap();
        queue.push(b"two", peer()).unwrap();
        assert!(takers.into_iter().all(|taker| taker.join().unwrap()));
        nothing_is_left(&queue);
    });
}

#[test]
fn a_close_wakes_waiters_for_messages_and_for_memory() {
    check(Some(3), || {
        let queue = queue();
        large(&queue).unwrap();
        // The first message stays in the queue, so this one waits.
        let arrives = with(&queue, |queue| {
            assert_eq!(large(queue), Err(ReserveError::Closed));
        });
        queue.close();
        arrives.join().unwrap();
        assert_eq!(queue.recv(forever()).err(), Some(RecvError::Closed));
    });
    check(Some(3), || {
        let queue = queue();
        let takes = with(&queue, |queue| queue.recv(forever()).err());
        queue.close();
        assert_eq!(takes.join().unwrap(), Some(RecvError::Closed));
    });
}

/// Each is larger than the limit, so they go over it one after the other, while the host receives.
#[test]
fn messages_larger_than_the_limit_all_arrive() {
    check(Some(2), || {
        let queue = queue();
        let arrive = [(); 2].map(|()| with(&queue, |queue| large(queue).unwrap()));
        for _ in 0..2 {
            let message = queue.recv(forever()).expect("one of two");
            assert_eq!(message.data.len(), 2 * LARGE);
        }
        arrive.into_iter().for_each(|one| one.join().unwrap());
        nothing_is_left(&queue);
    });
}

/// One of them ends half-way, and a waiter gets its memory.
#[test]
fn a_truncated_message_blocks_no_other() {
    check(Some(2), || {
        let queue = queue();
        let truncated = with(&queue, |queue| {
            let mut partial = queue.begin_large(&connection());
            receive_up_to(&mut partial, LARGE + 1, 2 * LARGE)
        });
        large(&queue).unwrap();
        assert!(queue.recv(forever()).is_ok());
        truncated.join().unwrap().unwrap();
        nothing_is_left(&queue);
    });
}

/// A slow message yields to the other, and continues afterwards.
#[test]
fn a_message_that_yielded_arrives_too() {
    check(Some(2), || {
        let queue = queue();
        let slow = with(&queue, |queue| {
            let connection = connection();
            let mut partial = queue.begin_large(&connection);
            receive_up_to(&mut partial, LARGE + 1, 2 * LARGE).unwrap();
            queue.yield_turn(&connection);
            receive_up_to(&mut partial, 2 * LARGE, 2 * LARGE).unwrap();
            partial.deliver(peer()).unwrap();
        });
        let other = with(&queue, |queue| large(queue).unwrap());
        for _ in 0..2 {
            assert!(queue.recv(forever()).is_ok());
        }
        slow.join().unwrap();
        other.join().unwrap();
        nothing_is_left(&queue);
    });
}

/// The connection ends while its message waits for memory.
#[test]
fn a_message_stops_waiting_when_its_connection_ends() {
    check(Some(3), || {
        let queue = queue();
        large(&queue).unwrap();
        let connection = connection();
        let waits = with(&queue, {
            let connection = Arc::clone(&connection);
            move |queue| {
                let mut partial = queue.begin_large(&connection);
                assert_eq!(
                    receive_up_to(&mut partial, 2 * LARGE, 2 * LARGE),
                    Err(ReserveError::Disconnected)
                );
            }
        });
        queue.disconnect(&connection);
        waits.join().unwrap();
        assert!(queue.recv(forever()).is_ok());
        nothing_is_left(&queue);
    });
}
