//! How an opener connects, and what it takes from replies.

use std::time::{Duration, Instant};

use crate::rails::session::{Action, End, Session, Settings};
use crate::rails::wire::{Frame, Greeting, Hello, Opening, Status, GREETING_SIZE};

fn open(now: Instant, paths: usize) -> Session {
    let settings = Settings::new(16 << 20, Duration::from_secs(60));
    Session::open(now, [1; 16], [2; 16], settings, paths)
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Takes the connections that an opener asks for.
fn connects(session: &mut Session, now: Instant) -> Vec<usize> {
    session.tick(now);
    let mut paths = Vec::new();
    while let Some(action) = session.next_action() {
        if let Action::Connect(path) = action {
            paths.push(path);
        }
    }
    paths
}

fn reply(kind: Status, host: u8, offset: u64) -> [u8; GREETING_SIZE] {
    let reply = Greeting {
        kind,
        window: 100,
        session: [1; 16],
        host: [host; 16],
        offset,
    };
    reply.encode()
}

#[test]
fn an_opener_asks_for_a_new_session_once_and_then_joins() {
    let now = Instant::now();
    let mut session = open(now, 2);
    assert_eq!(connects(&mut session, now), [0]);
    assert_eq!(Hello::decode(&session.hello()).unwrap().kind, Opening::New);
    // The reply was lost, so it asks the same again.
    session.connect_failed(now, 0);
    assert_eq!(connects(&mut session, now + milliseconds(20)), [0]);
    assert_eq!(Hello::decode(&session.hello()).unwrap().kind, Opening::New);
    let first = session
        .reply(now, 0, &reply(Status::Granted, 3, 0))
        .unwrap();
    assert_eq!(connects(&mut session, now), [1]);
    assert_eq!(Hello::decode(&session.hello()).unwrap().kind, Opening::Join);
    // One rail is enough to go on.
    assert_eq!(
        session.reply(now, 1, &reply(Status::LimitReached, 3, 0)),
        None
    );
    assert_eq!(session.end(), None);

    session.rail_failed(now, first);
    assert_eq!(connects(&mut session, now), []);
    assert_eq!(connects(&mut session, now + milliseconds(40)), [0]);
    assert_eq!(session.reply(now, 0, &reply(Status::Granted, 4, 0)), None);
    assert_eq!(session.end(), Some(&End::Unknown));
}

#[test]
fn a_window_that_opens_during_a_greeting_is_announced() {
    let now = Instant::now();
    let mut session = open(now, 1);
    connects(&mut session, now);
    assert_eq!(Hello::decode(&session.hello()).unwrap().window, 16 << 20);
    let rail = session
        .reply(now, 0, &reply(Status::Granted, 3, 0))
        .unwrap();
    for offset in (0..16 << 20).step_by(1 << 20) {
        let length = 1 << 20;
        let data = Frame::Data { offset, length };
        session.control(now, rail, &data.encode());
        session.payload(now, rail, length.into());
    }
    session.rail_failed(now, rail);
    connects(&mut session, now + milliseconds(100));
    let hello = Hello::decode(&session.hello()).unwrap();
    assert_eq!((hello.offset, hello.window), (16 << 20, 0));
    session.read(16 << 20);
    let rail = session
        .reply(now, 0, &reply(Status::Granted, 3, 0))
        .unwrap();
    let ack = Frame::Ack {
        offset: 16 << 20,
        window: 16 << 20,
    };
    let transmit = session.transmit(now, rail).unwrap();
    assert_eq!(transmit.header, ack.encode());
}

#[test]
fn an_opener_connects_when_its_link_returns() {
    let now = Instant::now();
    let mut session = open(now, 1);
    assert_eq!(connects(&mut session, now), [0]);
    let rail = session
        .reply(now, 0, &reply(Status::Granted, 3, 0))
        .unwrap();
    session.link_down(now, 0);
    let close = Action::Close {
        rail,
        orderly: false,
    };
    assert!(std::iter::from_fn(|| session.next_action()).any(|action| action == close));
    assert_eq!(connects(&mut session, now + Duration::from_secs(30)), []);
    session.link_up(now, 0);
    assert_eq!(connects(&mut session, now), [0]);
}

#[test]
fn status_1_after_the_end_tells_that_everything_arrived() {
    let now = Instant::now();
    for (offset, end) in [(6, End::Complete), (5, End::Unknown), (0, End::Unknown)] {
        let mut session = open(now, 1);
        connects(&mut session, now);
        let rail = session
            .reply(now, 0, &reply(Status::Granted, 3, 0))
            .unwrap();
        session.write(5);
        session.finish();
        while let Some(transmit) = session.transmit(now, rail) {
            let length = transmit.data.end - transmit.data.start;
            let all = transmit.header.len() + length as usize;
            session.transmitted(now, rail, all);
        }
        let finish = Frame::Finish { offset: 0 };
        session.control(now, rail, &finish.encode());
        session.rail_ended(now, rail);
        assert_eq!(session.end(), None);
        connects(&mut session, now + milliseconds(100));
        assert_eq!(
            session.reply(now, 0, &reply(Status::UnknownSession, 3, offset)),
            None
        );
        assert_eq!(session.end(), Some(&end));
        let acknowledged = if end == End::Complete { 6 } else { 0 };
        assert_eq!(session.acknowledged(), acknowledged);
    }
}

#[test]
fn the_end_of_a_rail_is_no_end_before_both_directions_are_finished() {
    let now = Instant::now();
    let mut session = open(now, 1);
    for offset in 0..2 {
        connects(&mut session, now + milliseconds(100 * offset));
        session.hello();
        let granted = reply(Status::Granted, 3, offset);
        let rail = session.reply(now, 0, &granted).unwrap();
        session.finish();
        while let Some(transmit) = session.transmit(now, rail) {
            let length = transmit.header.len();
            session.transmitted(now, rail, length);
        }
        session.rail_ended(now, rail);
        assert_eq!((session.acknowledged(), session.end()), (offset, None));
    }
}
