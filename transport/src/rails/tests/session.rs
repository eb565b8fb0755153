//! The times at which a session acts, and the frames and hellos that it refuses.

use std::time::{Duration, Instant};

use crate::rails::rail::RailId;
use crate::rails::session::{Action, End, Need, Refusal, Session, Settings, MAX_RAILS};
use crate::rails::wire::{Frame, Greeting, Hello, Opening, Reply, Status, FRAME_SIZE};

const MEBIBYTE: u64 = 1 << 20;
const WINDOW: u32 = 16 << 20;

fn settings() -> Settings {
    Settings::new(WINDOW, Duration::from_secs(60))
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An acceptor's session, and what the test does as its peer.
struct Peer {
    session: Session,
    now: Instant,
    rails: Vec<RailId>,
}

fn hello(kind: Opening, offset: u64) -> Hello {
    Greeting {
        kind,
        window: WINDOW,
        session: [1; 16],
        host: [2; 16],
        offset,
    }
}

impl Peer {
    fn new(rails: usize) -> Self {
        let now = Instant::now();
        let accepted = Session::accept(now, &hello(Opening::New, 0), [3; 16], settings());
        let (session, rail, reply) = accepted.unwrap();
        let reply = Reply::decode(&reply).unwrap();
        assert_eq!((reply.kind, reply.window), (Status::Granted, WINDOW));
        assert_eq!((reply.session, reply.host), ([1; 16], [3; 16]));
        let mut peer = Self {
            session,
            now,
            rails: vec![rail],
        };
        for _ in 1..rails {
            peer.join();
        }
        peer
    }

    fn join(&mut self) {
        let joined = self.session.join(self.now, &hello(Opening::Join, 0));
        self.rails.push(joined.unwrap().0);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
    }

    /// Sends a frame, and its payload.
    fn send(&mut self, rail: usize, frame: Frame) {
        let rail = self.rails[rail];
        self.session.control(self.now, rail, &frame.encode());
        while let Need::Payload(piece) = self.session.need(rail) {
            self.session.payload(self.now, rail, piece.length);
        }
    }

    fn send_data(&mut self, rail: usize, offset: u64, length: u64) {
        let length = length as u32;
        self.send(rail, Frame::Data { offset, length });
    }

    /// All frames that a rail sends now.
    fn receive(&mut self, rail: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(transmit) = self.session.transmit(self.now, self.rails[rail]) {
            let header: [u8; FRAME_SIZE] = transmit.header.try_into().unwrap();
            let length = transmit.data.end - transmit.data.start;
            let all = header.len() + transmit.text.len() + length as usize;
            frames.push(Frame::decode(&header).unwrap());
            self.session.transmitted(self.now, self.rails[rail], all);
        }
        frames
    }

    fn closed(&mut self) -> Vec<RailId> {
        let mut closed = Vec::new();
        while let Some(action) = self.session.next_action() {
            if let Action::Close { rail, .. } = action {
                closed.push(rail);
            }
        }
        closed
    }
}

fn ack(offset: u64, window: u64) -> Frame {
    let window = window as u32;
    Frame::Ack { offset, window }
}

#[test]
fn data_are_acknowledged_per_mebibyte_and_within_a_millisecond() {
    let mut peer = Peer::new(1);
    peer.send_data(0, 0, MEBIBYTE - 1);
    assert_eq!(peer.receive(0), []);
    peer.send_data(0, MEBIBYTE - 1, 1);
    let window = u64::from(WINDOW) - MEBIBYTE;
    assert_eq!(peer.receive(0), [ack(MEBIBYTE, window)]);

    peer.send_data(0, MEBIBYTE, 10);
    peer.pass(Duration::from_micros(900));
    peer.send_data(0, MEBIBYTE + 10, 10);
    assert_eq!(peer.receive(0), []);
    assert_eq!(
        peer.session.deadline(),
        Some(peer.now + Duration::from_micros(100))
    );
    peer.pass(Duration::from_micros(100));
    assert_eq!(peer.receive(0), [ack(MEBIBYTE + 20, window - 20)]);
}

#[test]
fn an_idle_session_sends_nothing_and_has_no_deadline() {
    let mut peer = Peer::new(3);
    peer.send_data(1, 0, 5);
    peer.pass(milliseconds(1));
    peer.session.write(7);
    assert_eq!(peer.receive(2).len(), 1);
    peer.send(0, ack(7, 100));
    assert_eq!(peer.receive(1), [ack(5, u64::from(WINDOW) - 5)]);
    assert_eq!(peer.session.deadline(), None);
    peer.pass(Duration::from_secs(3600));
    for rail in 0..3 {
        assert_eq!(peer.receive(rail), []);
        assert!(!peer.session.has_output(peer.rails[rail]));
    }
}

#[test]
fn a_rail_is_dropped_that_is_silent_while_another_acknowledges() {
    let mut peer = Peer::new(2);
    let chunk = MEBIBYTE / 4;
    peer.session.write(2 * chunk);
    for rail in 0..2 {
        let rail = peer.rails[rail];
        let transmit = peer.session.transmit(peer.now, rail).unwrap();
        let length = transmit.data.end - transmit.data.start;
        let all = transmit.header.len() + length as usize;
        assert_eq!(length, chunk);
        peer.session.transmitted(peer.now, rail, all);
    }
    // Both rails are silent, so neither is dropped. Both are probed.
    peer.pass(Duration::from_secs(5));
    assert_eq!(peer.receive(0), [Frame::Alive]);
    assert_eq!(peer.receive(1), [Frame::Alive]);
    assert_eq!(peer.closed(), []);

    peer.send(1, ack(0, 4 * chunk));
    peer.pass(milliseconds(299));
    assert_eq!(peer.closed(), []);
    peer.send(1, ack(0, 4 * chunk));
    peer.pass(milliseconds(1));
    assert_eq!(peer.closed(), [peer.rails[0]]);
    // Its range goes first, and the acknowledgements that it may have lost are sent again.
    let frames = peer.receive(1);
    let data = Frame::Data {
        offset: 0,
        length: chunk as u32,
    };
    assert!(
        frames.contains(&data) && frames.contains(&ack(0, u64::from(WINDOW))),
        "{frames:?}"
    );
    assert_eq!(peer.session.bytes_retransmitted(), chunk);
}

#[test]
fn a_peer_may_acknowledge_on_one_rail_only() {
    let mut peer = Peer::new(2);
    let end = 100 * MEBIBYTE;
    for step in 0..20 {
        for rail in [0, 1] {
            peer.session.write(MEBIBYTE / 4);
            peer.receive(rail);
        }
        // One chunk of each rail arrived, and one is on its way.
        if step > 0 {
            let offset = step * MEBIBYTE / 2;
            peer.send(1, ack(offset, end - offset));
        }
        peer.pass(milliseconds(90));
        assert_eq!(peer.closed(), []);
    }
}

#[test]
fn a_rail_that_brings_other_frames_may_be_late_with_acknowledgements() {
    let mut peer = Peer::new(2);
    peer.session.write(10);
    assert_eq!(peer.receive(0).len(), 1);
    peer.send(1, ack(0, 100));
    for offset in 0..19 {
        peer.pass(milliseconds(100));
        peer.send_data(0, offset, 1);
    }
    assert_eq!(peer.closed(), []);
    peer.pass(milliseconds(100));
    assert_eq!(peer.closed(), [peer.rails[0]]);
}

#[test]
fn a_reader_that_takes_much_tells_on_every_rail() {
    let mut peer = Peer::new(2);
    for offset in (0..u64::from(WINDOW)).step_by(MEBIBYTE as usize) {
        peer.send_data(0, offset, MEBIBYTE);
    }
    let end = u64::from(WINDOW);
    assert_eq!(peer.receive(0), [ack(end, 0)]);
    peer.session.read(MEBIBYTE - 1);
    assert_eq!(peer.receive(1), []);
    peer.session.read(1);
    assert_eq!(peer.receive(0), [ack(end, MEBIBYTE)]);
    assert_eq!(peer.receive(1), [ack(end, MEBIBYTE)]);
}

#[test]
fn what_the_protocol_forbids_resets_the_session() {
    let window = u64::from(WINDOW);
    for frames in [
        &[Frame::Data {
            offset: window,
            length: 1,
        }][..],
        &[ack(1, 0)],
        &[Frame::Finish { offset: 5 }, Frame::Finish { offset: 6 }],
        &[
            Frame::Finish { offset: 5 },
            Frame::Data {
                offset: 5,
                length: 1,
            },
        ],
        &[
            Frame::Data {
                offset: 5,
                length: 1,
            },
            Frame::Finish { offset: 5 },
        ],
    ] {
        let mut peer = Peer::new(2);
        for frame in frames {
            peer.send(0, *frame);
        }
        assert!(
            matches!(peer.session.end(), Some(End::Violation(_))),
            "{frames:?}"
        );
        for rail in 0..2 {
            assert!(matches!(
                peer.receive(rail)[..],
                [Frame::Reset { length: 1.. }]
            ));
        }
        assert_eq!(peer.closed(), peer.rails);
        assert!(peer.session.is_over());
    }
    let mut peer = Peer::new(1);
    peer.session
        .control(peer.now, peer.rails[0], &[9; FRAME_SIZE]);
    let end = End::Violation("unknown kind of frame: 9".to_owned());
    assert_eq!(peer.session.end(), Some(&end));
}

#[test]
fn a_reset_has_a_text_and_does_not_wait_for_a_dead_rail() {
    let mut peer = Peer::new(1);
    let rail = peer.rails[0];
    peer.send(0, Frame::Reset { length: 3 });
    peer.session.control(peer.now, rail, b"wh");
    assert_eq!(peer.session.end(), None);
    peer.session.control(peer.now, rail, b"y");
    assert_eq!(
        peer.session.end(),
        Some(&End::ResetByPeer("why".to_owned()))
    );

    let mut peer = Peer::new(1);
    peer.session.reset(peer.now, "no");
    assert_eq!(
        peer.session.deadline(),
        Some(peer.now + Duration::from_secs(1))
    );
    peer.pass(Duration::from_secs(1));
    assert_eq!(peer.closed(), peer.rails);
    assert!(peer.session.is_over());
}

#[test]
fn a_session_without_rails_dies_in_time() {
    let mut peer = Peer::new(2);
    for rail in peer.rails.clone() {
        peer.session.rail_failed(peer.now, rail);
    }
    assert_eq!(
        peer.session.deadline(),
        Some(peer.now + Duration::from_secs(60))
    );
    peer.pass(milliseconds(59_999));
    peer.join();
    peer.pass(Duration::from_secs(100));
    assert_eq!(peer.session.end(), None);
    peer.session.rail_failed(peer.now, peer.rails[2]);
    peer.pass(Duration::from_secs(60));
    assert_eq!(peer.session.end(), Some(&End::Dead));
}

#[test]
fn joins_are_checked_and_bounded() {
    let mut peer = Peer::new(MAX_RAILS);
    let now = peer.now;
    let refused = |status| Err(Refusal { status, offset: 0 });
    let mut other = hello(Opening::Join, 0);
    other.host = [9; 16];
    assert_eq!(peer.session.join(now, &other), refused(Status::Refused));
    let never_sent = hello(Opening::Join, 1);
    assert_eq!(
        peer.session.join(now, &never_sent),
        refused(Status::Refused)
    );

    peer.pass(milliseconds(1));
    for rail in 1..MAX_RAILS {
        peer.send(rail, Frame::Alive);
    }
    peer.join();
    assert_eq!(peer.closed(), [peer.rails[0]]);
    assert_eq!(peer.session.rails().count(), MAX_RAILS);
}

#[test]
fn a_frame_that_is_leaving_keeps_its_bytes() {
    let mut peer = Peer::new(2);
    peer.session.write(1000);
    assert_eq!(peer.receive(0).len(), 1);
    peer.session.rail_failed(peer.now, peer.rails[0]);
    peer.receive(1);
    peer.session.write(500);
    let rail = peer.rails[1];
    peer.session.transmit(peer.now, rail).unwrap();
    peer.session.transmitted(peer.now, rail, FRAME_SIZE + 100);
    assert_eq!(peer.session.kept_from(), 0);
    // All of the first frame, and a part of the second.
    peer.send(1, ack(1500, 100));
    assert_eq!(peer.session.kept_from(), 1100);
    assert_eq!(peer.session.writable(), u64::from(WINDOW) - 400);
    peer.session.transmitted(peer.now, rail, 400);
    assert_eq!(peer.session.kept_from(), 1500);
}

#[test]
fn an_acceptor_ends_when_its_last_acknowledgement_is_written() {
    let mut peer = Peer::new(2);
    peer.session.finish();
    assert_eq!(peer.receive(0), [Frame::Finish { offset: 0 }]);
    peer.send_data(1, 0, 5);
    peer.send(1, Frame::Finish { offset: 5 });
    peer.send(1, ack(1, 100));
    assert_eq!(peer.session.end(), None);
    assert_eq!(peer.closed(), []);
    assert_eq!(peer.receive(1), [ack(6, u64::from(WINDOW) - 6)]);
    assert_eq!(peer.session.end(), Some(&End::Complete));
    assert_eq!(peer.closed(), peer.rails);
    assert_eq!(peer.session.final_position(), Some(6));
    // A rail that comes before the session is forgotten.
    let late = peer.session.join(peer.now, &hello(Opening::Join, 1));
    let status = Status::UnknownSession;
    assert_eq!(late, Err(Refusal { status, offset: 6 }));
}
