use std::time::Duration;

use super::partial_message::INITIAL_CAPACITY;
use super::*;
use crate::plugin::large::Store;

pub(super) const LARGE: usize = 65_508;
const MAX_BYTES: usize = 1 << 20;

fn queue() -> Arc<Queue> {
    Queue::new(2, MAX_BYTES)
}

pub(super) fn peer() -> PeerText {
    PeerText::new("fe80::1%lo")
}

/// A connection of the same source as all others.
pub(super) fn connection() -> Arc<IncomingConnection> {
    IncomingConnection::new(Ipv6Addr::LOCALHOST)
}

fn now() -> TimeLimit {
    TimeLimit::start(Some(Duration::ZERO))
}

/// Lets a message of `length` bytes arrive until it has `bytes`.
pub(super) fn receive_up_to(
    partial: &mut PartialMessage,
    bytes: usize,
    length: usize,
) -> Result<(), ReserveError> {
    loop {
        let got = partial.data.as_ref().map_or(0, Buffer::len);
        if got >= bytes {
            return Ok(());
        }
        partial
            .fill(length - got, &mut &vec![0; bytes - got][..])?
            .expect("memory does not fail");
    }
}

/// Receives a complete message and delivers it.
fn deliver(queue: &Arc<Queue>, length: usize) {
    let mut partial = queue.begin_large(&connection());
    receive_up_to(&mut partial, length, length).unwrap();
    partial.deliver(peer()).unwrap();
}

fn bytes(queue: &Queue) -> usize {
    lock(&queue.state).large.bytes
}

#[test]
fn messages_come_out_in_the_order_in_which_they_came() {
    let queue = queue();
    queue.push(b"a", peer()).unwrap();
    deliver(&queue, LARGE);
    queue.push(b"", peer()).unwrap();
    for length in [1, LARGE, 0] {
        let message = queue
            .recv(now())
            .unwrap_or_else(|_| panic!("one of {length}"));
        assert_eq!(message.data.len(), length);
        assert_eq!(message.sender.with_nul(), b"fe80::1%lo\0");
    }
    assert_eq!(queue.recv(now()).err(), Some(RecvError::TimedOut));
    assert_eq!(bytes(&queue), 0);
}

#[test]
fn datagrams_that_find_no_room_are_dropped() {
    let queue = queue();
    queue.push(b"1", peer()).unwrap();
    let too_much = queue.push(&vec![0; MAX_BYTES], peer());
    assert!(matches!(too_much, Err(DropReason::Memory)));
    queue.push(b"2", peer()).unwrap();
    assert!(matches!(queue.push(b"3", peer()), Err(DropReason::Full)));
    // Large messages count separately.
    deliver(&queue, LARGE);
    queue.recv(now()).unwrap();
    queue.push(b"3", peer()).unwrap();
}

#[test]
fn memory_grows_with_what_has_come_and_not_with_what_is_claimed() {
    let queue = Queue::new(1, 1 << 30);
    let mut partial = queue.begin_large(&connection());
    assert_eq!(bytes(&queue), 0);
    let length = *LENGTHS.end();
    let mut most = 0;
    for _ in 0..64 {
        let had = partial.data.as_ref().map_or(0, Buffer::len);
        let read = partial.fill(length - had, &mut &[0; 1000][..]);
        assert_eq!(read.unwrap().unwrap(), 1000);
        most = most.max(bytes(&queue));
    }
    assert_eq!(most, INITIAL_CAPACITY, "of 64000 bytes that came");
    receive_up_to(&mut partial, 1 << 20, length).unwrap();
    assert!(bytes(&queue) <= 4 << 20, "{}", bytes(&queue));
    drop(partial);
    assert_eq!(bytes(&queue), 0);
}

#[test]
fn one_message_may_exceed_the_limit_when_the_host_has_drained_the_queue() {
    let queue = queue();
    let length = 10 * MAX_BYTES;
    let (mut first, mut second) = (
        queue.begin_large(&connection()),
        queue.begin_large(&connection()),
    );
    receive_up_to(&mut second, MAX_BYTES / 2, length).unwrap();
    std::thread::scope(|scope| {
        // The queue is empty, so this message may exceed the limit.
        receive_up_to(&mut first, length, length).unwrap();
        let waits = scope.spawn(move || {
            receive_up_to(&mut second, length, length).unwrap();
            second.deliver(peer()).unwrap();
        });
        wait_until(|| lock(&queue.state).waiting_for_memory.len() == 1);
        first.deliver(peer()).unwrap();
        // The waiter is first in line now, but the host can make room by receiving.
        wait_until(|| lock(&queue.state).over_limit.is_none());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        assert!(bytes(&queue) <= length + MAX_BYTES);
        assert_eq!(queue.recv(now()).unwrap().data.len(), length);
        waits.join().unwrap();
    });
    assert_eq!(queue.recv(now()).unwrap().data.len(), length);
    assert_eq!(bytes(&queue), 0);
}

#[test]
fn a_stalled_message_blocks_no_other() {
    let queue = queue();
    let most = *LENGTHS.end();
    // Stalled messages with a little memory do not block one that needs all of it.
    let _stalled: Vec<_> = (0..10)
        .map(|_| {
            let mut stalled = queue.begin_large(&connection());
            receive_up_to(&mut stalled, 1, most).unwrap();
            stalled
        })
        .collect();
    deliver(&queue, most);
    assert_eq!(queue.recv(now()).unwrap().data.len(), most);
    // Nor does a stalled message over the limit block messages within the limit.
    let mut stalled = queue.begin_large(&connection());
    receive_up_to(&mut stalled, 5 * MAX_BYTES, most).unwrap();
    assert!(lock(&queue.state).over_limit.is_some());
    for _ in 0..3 {
        deliver(&queue, 2 * LARGE);
    }
    drop(stalled);
    for _ in 0..3 {
        queue.recv(now()).unwrap();
    }
    assert!(lock(&queue.state).over_limit.is_none());
    deliver(&queue, most);
}

#[test]
fn a_waiter_for_the_host_is_not_overtaken() {
    let queue = queue();
    deliver(&queue, 600_000);
    let (mut older, mut newer) = (
        queue.begin_large(&connection()),
        queue.begin_large(&connection()),
    );
    let (length, waiting_for_memory) = (MAX_BYTES, || lock(&queue.state).waiting_for_memory.len());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            receive_up_to(&mut older, length, length).unwrap();
            older.deliver(peer()).unwrap();
        });
        wait_until(|| waiting_for_memory() == 1);
        assert!(bytes(&queue) + LARGE <= MAX_BYTES, "there would be room");
        scope.spawn(move || {
            receive_up_to(&mut newer, LARGE, LARGE).unwrap();
            newer.deliver(peer()).unwrap();
        });
        wait_until(|| waiting_for_memory() == 2);
        for _ in 0..3 {
            let soon = TimeLimit::start(Some(Duration::from_secs(30)));
            assert!(queue.recv(soon).is_ok());
        }
    });
    assert_eq!(bytes(&queue), 0);
}

fn connection_from(number: u16) -> Arc<IncomingConnection> {
    IncomingConnection::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number))
}

fn waiting_for_memory(queue: &Queue) -> usize {
    lock(&queue.state).waiting_for_memory.len()
}

#[test]
fn turns_are_fair_by_source() {
    let mut state = State::default();
    let [many, one, late] = [1, 2, 3].map(|number| connection_from(number).source);
    let asks: Vec<_> = (0..4)
        .map(|number| state.next_ticket(many, number))
        .collect();
    let second = state.next_ticket(one, 4);
    assert!(asks[0] < second && second < asks[1]);
    // A source that comes after two turns starts at the current turn, not before earlier waiters.
    state.turn = asks[2].turn;
    let third = state.next_ticket(late, 5);
    assert!(asks[2] < third && third < asks[3]);
}

/// The memory of messages that yielded counts, and is bounded.
#[test]
fn slow_messages_yield_until_they_have_too_much_memory() {
    let queue = queue();
    let most = *LENGTHS.end();
    let mut slow = Vec::new();
    std::thread::scope(|scope| {
        // Each has half of the largest size, so the third one exceeds the bound.
        for number in 0..3 {
            let connection = connection_from(number);
            let mut partial = queue.begin_large(&connection);
            receive_up_to(&mut partial, most / 4 + 1, most).unwrap();
            assert!(connection.is_over_limit());
            queue.yield_turn(&connection);
            assert!(connection.is_over_limit(), "no other message waits");
            slow.push((connection, partial));
            let mut waits = queue.begin_large(&connection_from(100 + number));
            let waits = scope.spawn(move || {
                receive_up_to(&mut waits, 2 * MAX_BYTES, 2 * MAX_BYTES).unwrap();
                waits.deliver(peer()).unwrap();
            });
            wait_until(|| waiting_for_memory(&queue) == 1);
            assert!(queue.memory_is_short());
            queue.yield_turn(&slow[number as usize].0);
            if number == 2 {
                // The message that yielded first is evicted.
                assert!(slow[0].0.is_evicted() && slow[2].0.is_over_limit());
                assert!(!slow[1].0.is_evicted());
                let (connection, mut partial) = slow.remove(0);
                let more = receive_up_to(&mut partial, most, most);
                assert_eq!(
                    (more, connection.is_evicted()),
                    (Err(ReserveError::TooSlow), true)
                );
                drop(partial);
                queue.yield_turn(&slow[1].0);
            }
            waits.join().unwrap();
            let soon = TimeLimit::start(Some(Duration::from_secs(30)));
            assert_eq!(queue.recv(soon).unwrap().data.len(), 2 * MAX_BYTES);
            assert!(bytes(&queue) <= MAX_BYTES + most);
        }
    });
    drop(slow);
    assert_eq!(bytes(&queue), 0);
    assert!(lock(&queue.state).yielded.is_empty());
}

#[test]
fn a_message_whose_connection_ends_waits_no_longer() {
    let queue = queue();
    deliver(&queue, MAX_BYTES);
    let connection = connection_from(1);
    std::thread::scope(|scope| {
        let mut partial = queue.begin_large(&connection);
        let waits = scope.spawn(move || receive_up_to(&mut partial, LARGE, LARGE));
        wait_until(|| waiting_for_memory(&queue) == 1);
        queue.disconnect(&connection);
        assert_eq!(waits.join().unwrap(), Err(ReserveError::Disconnected));
    });
    assert_eq!(waiting_for_memory(&queue), 0);
}

/// Waits for other threads to reach a state.
#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
}

#[test]
fn the_descriptor_is_readable_exactly_while_there_is_something_to_take() {
    let queue = queue();
    let readable = || {
        let fd = queue.event_fd().expect("a descriptor");
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `poll` is one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    };
    queue.push(b"before the descriptor exists", peer()).unwrap();
    assert!(readable());
    queue.recv(now()).unwrap();
    assert!(!readable());
    let mut partial = queue.begin_large(&connection());
    receive_up_to(&mut partial, LARGE - 1, LARGE).unwrap();
    assert!(!readable(), "an incomplete message does not count");
    receive_up_to(&mut partial, LARGE, LARGE).unwrap();
    partial.deliver(peer()).unwrap();
    assert!(readable());
    queue.recv(now()).unwrap();
    assert!(!readable());
    queue.close();
    assert!(readable(), "the next call says that it is closed");
}

#[test]
fn a_close_wakes_all_waiters() {
    let queue = Queue::new(1, 0);
    std::thread::scope(|scope| {
        let (takes, arrives) = (Arc::clone(&queue), Arc::clone(&queue));
        let takes = scope.spawn(move || takes.recv(TimeLimit::start(None)).err());
        let arrives = scope.spawn(move || {
            // Another message is over the limit, so this one waits.
            let mut other = arrives.begin_large(&connection());
            receive_up_to(&mut other, 1, LARGE).unwrap();
            receive_up_to(&mut arrives.begin_large(&connection()), 1, LARGE)
        });
        wait_until(|| {
            let state = lock(&queue.state);
            state.waiting_receivers == 1 && state.waiting_for_memory.len() == 1
        });
        queue.close();
        assert_eq!(takes.join().unwrap(), Some(RecvError::Closed));
        assert_eq!(arrives.join().unwrap(), Err(ReserveError::Closed));
    });
    assert!(queue.push(b"late", peer()).is_err());
    let late = receive_up_to(&mut queue.begin_large(&connection()), 1, LARGE);
    assert_eq!(late, Err(ReserveError::Closed));
    assert_eq!(queue.recv(now()).err(), Some(RecvError::Closed));
}

#[test]
fn a_message_that_is_complete_after_the_close_is_refused() {
    let queue = queue();
    let mut partial = queue.begin_large(&connection());
    receive_up_to(&mut partial, LARGE, LARGE).unwrap();
    queue.close();
    assert_eq!(partial.deliver(peer()), Err(ReserveError::Closed));
}
