//! The queue in every order that its threads can take (`make models`): a lost wake-up leaves all of them
//! asleep, which the model checker takes for a deadlock.

use super::tests::{come, peer, place, LARGE};
use super::*;
use crate::models::check;
use loom::thread::{spawn, JoinHandle};

/// Large messages together may have the memory of one and a half.
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

fn forever() -> Limit {
    Limit::after(None)
}

/// A message of two steps: its second half needs more memory.
fn large(queue: &Arc<Queue>) -> Result<(), NoMore> {
    let mut arriving = queue.arriving(&place());
    come(&mut arriving, 2 * LARGE, 2 * LARGE)?;
    arriving.deliver(peer())
}

fn nothing_is_left(queue: &Queue) {
    let state = lock(&queue.state);
    assert_eq!((state.large.bytes, state.large.messages), (0, 0));
    assert_eq!((state.datagrams.bytes, state.datagrams.messages), (0, 0));
    assert_eq!((state.starving.len(), state.beyond), (0, None));
    assert_eq!((state.sources.len(), state.passed.len()), (0, 0));
}

#[test]
fn of_two_who_wait_each_gets_a_message() {
    check(Some(3), || {
        let queue = queue();
        let takers = [(); 2].map(|()| with(&queue, |queue| queue.take(forever()).is_ok()));
        queue.push(b"one", peer()).unwrap();
        queue.push(b"two", peer()).unwrap();
        assert!(takers.into_iter().all(|taker| taker.join().unwrap()));
        nothing_is_left(&queue);
    });
}

#[test]
fn a_close_wakes_who_waits_for_messages_and_who_waits_for_memory() {
    check(Some(3), || {
        let queue = queue();
        large(&queue).unwrap();
        // The first one stays where it is, so this one waits.
        let arrives = with(&queue, |queue| {
            assert_eq!(large(queue), Err(NoMore::Closed));
        });
        queue.close();
        arrives.join().unwrap();
        assert_eq!(queue.take(forever()).err(), Some(Nothing::Closed));
    });
    check(Some(3), || {
        let queue = queue();
        let takes = with(&queue, |queue| queue.take(forever()).err());
        queue.close();
        assert_eq!(takes.join().unwrap(), Some(Nothing::Closed));
    });
}

/// Each is larger than the limit, so they go beyond it, one after the other, while the host takes them.
#[test]
fn messages_larger_than_the_limit_all_arrive() {
    check(Some(2), || {
        let queue = queue();
        let arrive = [(); 2].map(|()| with(&queue, |queue| large(queue).unwrap()));
        for _ in 0..2 {
            let message = queue.take(forever()).expect("one of two");
            assert_eq!(message.data.len(), 2 * LARGE);
        }
        arrive.into_iter().for_each(|one| one.join().unwrap());
        nothing_is_left(&queue);
    });
}

/// One of them ends half-way: who waited for its memory goes on.
#[test]
fn a_message_that_is_cut_holds_up_nobody() {
    check(Some(2), || {
        let queue = queue();
        let cut = with(&queue, |queue| {
            let mut arriving = queue.arriving(&place());
            come(&mut arriving, LARGE + 1, 2 * LARGE)
        });
        large(&queue).unwrap();
        assert!(queue.take(forever()).is_ok());
        cut.join().unwrap().unwrap();
        nothing_is_left(&queue);
    });
}

/// One lets the other go first, and gets its turn again.
#[test]
fn a_slow_one_that_lets_others_go_first_arrives_too() {
    check(Some(2), || {
        let queue = queue();
        let slow = with(&queue, |queue| {
            let place = place();
            let mut arriving = queue.arriving(&place);
            come(&mut arriving, LARGE + 1, 2 * LARGE).unwrap();
            queue.pass_on(&place);
            come(&mut arriving, 2 * LARGE, 2 * LARGE).unwrap();
            arriving.deliver(peer()).unwrap();
        });
        let other = with(&queue, |queue| large(queue).unwrap());
        for _ in 0..2 {
            assert!(queue.take(forever()).is_ok());
        }
        slow.join().unwrap();
        other.join().unwrap();
        nothing_is_left(&queue);
    });
}

/// Its connection ends while it waits for memory.
#[test]
fn one_whose_connection_ends_waits_no_longer() {
    check(Some(3), || {
        let queue = queue();
        large(&queue).unwrap();
        let place = place();
        let waits = with(&queue, {
            let place = Arc::clone(&place);
            move |queue| {
                let mut arriving = queue.arriving(&place);
                assert_eq!(
                    come(&mut arriving, 2 * LARGE, 2 * LARGE),
                    Err(NoMore::Ended)
                );
            }
        });
        queue.end(&place);
        waits.join().unwrap();
        assert!(queue.take(forever()).is_ok());
        nothing_is_left(&queue);
    });
}
