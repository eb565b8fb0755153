use std::time::Duration;

use super::arriving::FIRST;
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

/// A connection of one and the same source.
pub(super) fn place() -> Arc<Place> {
    Place::new(Ipv6Addr::LOCALHOST)
}

fn now() -> Limit {
    Limit::after(Some(Duration::ZERO))
}

/// Lets a message of `length` bytes arrive until `bytes` of it are there.
pub(super) fn come(arriving: &mut Arriving, bytes: usize, length: usize) -> Result<(), NoMore> {
    loop {
        let got = arriving.data.as_ref().map_or(0, Buffer::len);
        if got >= bytes {
            return Ok(());
        }
        arriving
            .fill(length - got, &mut &vec![0; bytes - got][..])?
            .expect("memory does not fail");
    }
}

/// A whole one, delivered.
fn deliver(queue: &Arc<Queue>, length: usize) {
    let mut arriving = queue.arriving(&place());
    come(&mut arriving, length, length).unwrap();
    arriving.deliver(peer()).unwrap();
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
            .take(now())
            .unwrap_or_else(|_| panic!("one of {length}"));
        assert_eq!(message.data.len(), length);
        assert_eq!(message.sender.with_nul(), b"fe80::1%lo\0");
    }
    assert_eq!(queue.take(now()).err(), Some(Nothing::InTime));
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
    // Large ones are counted for themselves.
    deliver(&queue, LARGE);
    queue.take(now()).unwrap();
    queue.push(b"3", peer()).unwrap();
}

#[test]
fn memory_grows_with_what_has_come_and_not_with_what_is_claimed() {
    let queue = Queue::new(1, 1 << 30);
    let mut arriving = queue.arriving(&place());
    assert_eq!(bytes(&queue), 0);
    let length = *LENGTHS.end();
    let mut most = 0;
    for _ in 0..64 {
        let had = arriving.data.as_ref().map_or(0, Buffer::len);
        let read = arriving.fill(length - had, &mut &[0; 1000][..]);
        assert_eq!(read.unwrap().unwrap(), 1000);
        most = most.max(bytes(&queue));
    }
    assert_eq!(most, FIRST, "of 64000 bytes that came");
    come(&mut arriving, 1 << 20, length).unwrap();
    assert!(bytes(&queue) <= 4 << 20, "{}", bytes(&queue));
    drop(arriving);
    assert_eq!(bytes(&queue), 0);
}

#[test]
fn one_may_exceed_the_memory_when_the_host_leaves_nothing_lying() {
    let queue = queue();
    let length = 10 * MAX_BYTES;
    let (mut first, mut second) = (queue.arriving(&place()), queue.arriving(&place()));
    come(&mut second, MAX_BYTES / 2, length).unwrap();
    std::thread::scope(|scope| {
        // This one may have more than there is.
        come(&mut first, length, length).unwrap();
        let waits = scope.spawn(move || {
            come(&mut second, length, length).unwrap();
            second.deliver(peer()).unwrap();
        });
        wait_until(|| lock(&queue.state).starving.len() == 1);
        first.deliver(peer()).unwrap();
        // It waits longest now, but something waits for the host, who can make room.
        wait_until(|| lock(&queue.state).beyond.is_none());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        assert!(bytes(&queue) <= length + MAX_BYTES);
        assert_eq!(queue.take(now()).unwrap().data.len(), length);
        waits.join().unwrap();
    });
    assert_eq!(queue.take(now()).unwrap().data.len(), length);
    assert_eq!(bytes(&queue), 0);
}

#[test]
fn one_that_stalls_is_in_nobodys_way() {
    let queue = queue();
    let most = *LENGTHS.end();
    // Those that have sent a byte hold up none that needs all there is.
    let _stalled: Vec<_> = (0..10)
        .map(|_| {
            let mut stalled = queue.arriving(&place());
            come(&mut stalled, 1, most).unwrap();
            stalled
        })
        .collect();
    deliver(&queue, most);
    assert_eq!(queue.take(now()).unwrap().data.len(), most);
    // Nor does one that has more than the limit, as long as they are within it.
    let mut stalled = queue.arriving(&place());
    come(&mut stalled, 5 * MAX_BYTES, most).unwrap();
    assert!(lock(&queue.state).beyond.is_some());
    for _ in 0..3 {
        deliver(&queue, 2 * LARGE);
    }
    drop(stalled);
    for _ in 0..3 {
        queue.take(now()).unwrap();
    }
    assert!(lock(&queue.state).beyond.is_none());
    deliver(&queue, most);
}

#[test]
fn nobody_is_overtaken_who_waits_for_the_host() {
    let queue = queue();
    deliver(&queue, 600_000);
    let (mut older, mut newer) = (queue.arriving(&place()), queue.arriving(&place()));
    let (length, starving) = (MAX_BYTES, || lock(&queue.state).starving.len());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            come(&mut older, length, length).unwrap();
            older.deliver(peer()).unwrap();
        });
        wait_until(|| starving() == 1);
        assert!(bytes(&queue) + LARGE <= MAX_BYTES, "there were room for it");
        scope.spawn(move || {
            come(&mut newer, LARGE, LARGE).unwrap();
            newer.deliver(peer()).unwrap();
        });
        wait_until(|| starving() == 2);
        for _ in 0..3 {
            let soon = Limit::after(Some(Duration::from_secs(30)));
            assert!(queue.take(soon).is_ok());
        }
    });
    assert_eq!(bytes(&queue), 0);
}

fn from(number: u16) -> Arc<Place> {
    Place::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number))
}

fn starving(queue: &Queue) -> usize {
    lock(&queue.state).starving.len()
}

#[test]
fn turns_are_fair_by_source() {
    let mut state = State::default();
    let [many, one, late] = [1, 2, 3].map(|number| from(number).source);
    let asks: Vec<_> = (0..4).map(|number| state.ask(many, number)).collect();
    let second = state.ask(one, 4);
    assert!(asks[0] < second && second < asks[1]);
    // Who comes when two turns are over begins there, and overtakes nobody who was there.
    state.turn = asks[2].turn;
    let third = state.ask(late, 5);
    assert!(asks[2] < third && third < asks[3]);
}

/// What a message has that let others go first is counted, and there is a bound to it.
#[test]
fn slow_ones_let_others_go_first_until_too_much_is_taken() {
    let queue = queue();
    let most = *LENGTHS.end();
    let mut slow = Vec::new();
    std::thread::scope(|scope| {
        // Each has half of the largest message, so the third one finds too much taken.
        for number in 0..3 {
            let place = from(number);
            let mut arriving = queue.arriving(&place);
            come(&mut arriving, most / 4 + 1, most).unwrap();
            assert!(place.has_turn());
            queue.pass_on(&place);
            assert!(place.has_turn(), "nobody else waits");
            slow.push((place, arriving));
            let mut waits = queue.arriving(&from(100 + number));
            let waits = scope.spawn(move || {
                come(&mut waits, 2 * MAX_BYTES, 2 * MAX_BYTES).unwrap();
                waits.deliver(peer()).unwrap();
            });
            wait_until(|| starving(&queue) == 1);
            assert!(queue.is_short());
            queue.pass_on(&slow[number as usize].0);
            if number == 2 {
                // The first one had its turn longest ago.
                assert!(slow[0].0.is_condemned() && slow[2].0.has_turn());
                assert!(!slow[1].0.is_condemned());
                let (place, mut arriving) = slow.remove(0);
                let more = come(&mut arriving, most, most);
                assert_eq!((more, place.is_condemned()), (Err(NoMore::Slow), true));
                drop(arriving);
                queue.pass_on(&slow[1].0);
            }
            waits.join().unwrap();
            let soon = Limit::after(Some(Duration::from_secs(30)));
            assert_eq!(queue.take(soon).unwrap().data.len(), 2 * MAX_BYTES);
            assert!(bytes(&queue) <= MAX_BYTES + most);
        }
    });
    drop(slow);
    assert_eq!(bytes(&queue), 0);
    assert!(lock(&queue.state).passed.is_empty());
}

#[test]
fn a_message_whose_connection_ends_waits_no_longer() {
    let queue = queue();
    deliver(&queue, MAX_BYTES);
    let place = from(1);
    std::thread::scope(|scope| {
        let mut arriving = queue.arriving(&place);
        let waits = scope.spawn(move || come(&mut arriving, LARGE, LARGE));
        wait_until(|| starving(&queue) == 1);
        queue.end(&place);
        assert_eq!(waits.join().unwrap(), Err(NoMore::Ended));
    });
    assert_eq!(starving(&queue), 0);
}

/// Threads get there in the end.
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
        let fd = queue.descriptor().expect("a descriptor");
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, and it is ours.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    };
    queue.push(b"before anybody asked", peer()).unwrap();
    assert!(readable());
    queue.take(now()).unwrap();
    assert!(!readable());
    let mut arriving = queue.arriving(&place());
    come(&mut arriving, LARGE - 1, LARGE).unwrap();
    assert!(!readable(), "half a message is none");
    come(&mut arriving, LARGE, LARGE).unwrap();
    arriving.deliver(peer()).unwrap();
    assert!(readable());
    queue.take(now()).unwrap();
    assert!(!readable());
    queue.close();
    assert!(readable(), "the next call says that it is closed");
}

#[test]
fn a_close_wakes_everybody() {
    let queue = Queue::new(1, 0);
    std::thread::scope(|scope| {
        let (takes, arrives) = (Arc::clone(&queue), Arc::clone(&queue));
        let takes = scope.spawn(move || takes.take(Limit::after(None)).err());
        let arrives = scope.spawn(move || {
            // Another one has more than there is, so it waits.
            let mut other = arrives.arriving(&place());
            come(&mut other, 1, LARGE).unwrap();
            come(&mut arrives.arriving(&place()), 1, LARGE)
        });
        wait_until(|| {
            let state = lock(&queue.state);
            state.waiting == 1 && state.starving.len() == 1
        });
        queue.close();
        assert_eq!(takes.join().unwrap(), Some(Nothing::Closed));
        assert_eq!(arrives.join().unwrap(), Err(NoMore::Closed));
    });
    assert!(queue.push(b"late", peer()).is_err());
    let late = come(&mut queue.arriving(&place()), 1, LARGE);
    assert_eq!(late, Err(NoMore::Closed));
    assert_eq!(queue.take(now()).err(), Some(Nothing::Closed));
}

#[test]
fn a_message_that_was_whole_too_late_is_refused() {
    let queue = queue();
    let mut arriving = queue.arriving(&place());
    come(&mut arriving, LARGE, LARGE).unwrap();
    queue.close();
    assert_eq!(arriving.deliver(peer()), Err(NoMore::Closed));
}
