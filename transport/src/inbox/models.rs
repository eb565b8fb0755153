use super::*;
use crate::models::check;
use crate::sys::poll::{wait, Interest};
use loom::thread::{spawn, JoinHandle};
use std::net::Ipv6Addr;
use std::sync::Arc;

fn push(inbox: &Inbox, data: &[u8]) {
    let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1);
    let pushed = inbox.fill().push(data, from, &SenderName::new("::1%lo"));
    assert_eq!(pushed, Ok(()));
}

fn take(inbox: &Inbox, deadline: Deadline) -> Result<Vec<u8>> {
    inbox.receive(deadline, |data, _, _| Ok(data.to_vec()))
}

/// Waits as the user of an event loop does, then takes what has to be there.
fn poll_and_take(inbox: &Inbox) -> Result<Vec<u8>> {
    let event = inbox.event().unwrap();
    wait(&mut [Interest::readable(event)], Deadline::Never).unwrap();
    take(inbox, Deadline::Now)
}

fn with<T: 'static>(inbox: &Arc<Inbox>, body: impl FnOnce(&Inbox) -> T + 'static) -> JoinHandle<T> {
    let inbox = Arc::clone(inbox);
    spawn(move || body(&inbox))
}

#[test]
fn every_waiting_call_gets_its_message() {
    check(Some(3), || {
        let inbox = Arc::new(Inbox::new(8, 1024));
        let takers = [0, 1].map(|_| with(&inbox, |inbox| take(inbox, Deadline::Never)));
        push(&inbox, b"1");
        push(&inbox, b"2");
        let mut taken = takers.map(|taker| taker.join().unwrap().unwrap());
        taken.sort();
        assert_eq!(taken, [b"1", b"2"]);
    });
}

/// A message wakes the thread that waits for a message, not only one that waits for a stream.
#[test]
fn a_message_reaches_who_waits_for_one_beside_who_waits_for_a_stream() {
    check(Some(3), || {
        let inbox = Arc::new(Inbox::new(8, 1024));
        let accepting = with(&inbox, |inbox| inbox.accept(Deadline::Never).map(drop));
        let taking = with(&inbox, |inbox| take(inbox, Deadline::Never));
        push(&inbox, b"1");
        assert_eq!(taking.join().unwrap().unwrap(), b"1");
        inbox.close();
        let ended = accepting.join().unwrap();
        assert!(matches!(ended, Err(TransportError::Shutdown)));
    });
}

#[test]
fn the_event_is_readable_exactly_when_a_pull_would_not_wait() {
    check(Some(3), || {
        let inbox = Arc::new(Inbox::new(8, 1024));
        let pushing = with(&inbox, |inbox| {
            push(inbox, b"1");
            push(inbox, b"2");
        });
        let polling = with(&inbox, |inbox| {
            [(); 2].map(|()| poll_and_take(inbox).unwrap())
        });
        // Two threads may ask for the descriptor first.
        inbox.event().unwrap();
        assert_eq!(polling.join().unwrap(), [b"1", b"2"]);
        pushing.join().unwrap();
        let mut event = [Interest::readable(inbox.event().unwrap())];
        assert!(!wait(&mut event, Deadline::Now).unwrap());
    });
}

#[test]
fn closing_ends_every_kind_of_waiting() {
    check(Some(3), || {
        let inbox = Arc::new(Inbox::new(8, 1024));
        let taking = with(&inbox, |inbox| take(inbox, Deadline::Never));
        let polling = with(&inbox, poll_and_take);
        inbox.close();
        for ended in [taking, polling] {
            let ended = ended.join().unwrap();
            assert!(matches!(ended, Err(TransportError::Shutdown)));
        }
    });
}
