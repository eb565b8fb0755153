//! Greetings and frames of the rail protocol, and a session whose peer is hostile.

use std::time::{Duration, Instant};

use crate::rails::greeting::{Greetings, Progress};
use crate::rails::session::{Action, Need, RailId, Session, Settings, MAX_RAILS};
use crate::rails::store::Store;
use crate::rails::table::{Answer, Table};
use crate::rails::wire::{Frame, Hello, Reply, FRAME_SIZE, GREETING_SIZE};

/// The window of [`Victim`], in each direction.
pub const WINDOW: u32 = 4096;

/// The bytes of a frame again, if it is valid.
pub fn frame(bytes: &[u8; FRAME_SIZE]) -> Option<[u8; FRAME_SIZE]> {
    Frame::decode(bytes).ok().map(Frame::encode)
}

/// The bytes of a hello again, if it is valid.
pub fn hello(bytes: &[u8; GREETING_SIZE]) -> Option<[u8; GREETING_SIZE]> {
    Hello::decode(bytes).ok().map(|hello| hello.encode())
}

/// The bytes of a reply again, if it is valid.
pub fn reply(bytes: &[u8; GREETING_SIZE]) -> Option<[u8; GREETING_SIZE]> {
    Reply::decode(bytes).ok().map(|reply| reply.encode())
}

/// The byte at a position of the stream that the peer sends.
pub fn byte_at(position: u64) -> u8 {
    (position ^ (position >> 8)) as u8
}

/// A session, at either end, with a driver that checks it.
pub struct Victim {
    now: Instant,
    session: Option<Session>,
    table: Table<()>,
    greetings: Greetings<u8>,
    rails: Vec<RailId>,
    /// The path over which the opener connects.
    connecting: Option<usize>,
    incoming: Store,
    read: u64,
    /// The session may send data up to here.
    limit: u64,
}

impl Victim {
    /// An acceptor, without a session.
    pub fn acceptor() -> Self {
        Self {
            now: Instant::now(),
            session: None,
            table: Table::new([1; 16], 1),
            greetings: Greetings::new(2),
            rails: Vec::new(),
            connecting: None,
            incoming: Store::new(512),
            read: 0,
            limit: 0,
        }
    }

    /// An opener with two paths.
    pub fn opener() -> Self {
        let mut victim = Self::acceptor();
        let session = Session::open(victim.now, [2; 16], [1; 16], settings(), 2);
        victim.session = Some(session);
        victim.pass(0);
        victim
    }

    /// Lets time pass.
    pub fn pass(&mut self, microseconds: u64) {
        self.now += Duration::from_micros(microseconds);
        while self.greetings.expired(self.now).is_some() {}
        if let Some(session) = &mut self.session {
            session.tick(self.now);
            let is_later = session.deadline().is_none_or(|at| at > self.now);
            assert!(is_later, "a deadline that tick leaves behind");
        }
        self.act();
    }

    fn act(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        while let Some(action) = session.next_action() {
            match action {
                Action::Connect(path) => self.connecting = Some(path),
                Action::GiveUp(path) if self.connecting == Some(path) => self.connecting = None,
                Action::Close { rail, .. } => self.rails.retain(|it| *it != rail),
                _ => {}
            }
        }
        let mut known: Vec<RailId> = session.rails().collect();
        known.sort_by_key(|rail| self.rails.iter().position(|it| it == rail));
        assert_eq!(known, self.rails);
        assert!(self.rails.len() <= MAX_RAILS);
        assert!(session.readable() <= WINDOW.into());
        let kept = session.write_position() - session.kept_from();
        assert!(kept <= WINDOW.into() && self.incoming.blocks() <= 10);
        if session.is_over() {
            let (id, position) = (session.id(), session.final_position());
            self.table.remove(self.now, id, position);
        }
    }

    /// The peer answers a hello of the opener, or says one itself, over a new connection, `step` bytes at once.
    pub fn greet(&mut self, bytes: &[u8; GREETING_SIZE], step: usize) {
        match self.connecting.take() {
            Some(path) => {
                let Some(session) = &mut self.session else {
                    return;
                };
                let rail = session.reply(self.now, path, bytes);
                self.rails.extend(rail);
                if let (Some(_), Ok(reply)) = (rail, Reply::decode(bytes)) {
                    self.allow(reply.offset, reply.window);
                }
            }
            None => {
                self.greetings.add(self.now, 0);
                for piece in bytes.chunks(step.max(1)) {
                    match self.greetings.receive(0, piece) {
                        Progress::Pending => {}
                        Progress::Whole(hello) => self.greeted(&hello),
                        Progress::Foreign => break,
                    }
                }
            }
        }
        self.act();
    }

    fn greeted(&mut self, bytes: &[u8; GREETING_SIZE]) {
        let hello = match self.table.hello(self.now, bytes) {
            Answer::New(hello) => {
                // One session is enough.
                if self.session.is_some() {
                    return;
                }
                let accepted = Session::accept(self.now, &hello, [1; 16], settings());
                if let Ok((session, rail, _)) = accepted {
                    self.table.insert(hello.session, ());
                    self.session = Some(session);
                    self.rails.push(rail);
                    self.allow(hello.offset, hello.window);
                }
                return;
            }
            Answer::Join((), hello) => hello,
            Answer::Refuse(_) | Answer::Close => return,
        };
        let joined = self
            .session
            .as_mut()
            .map(|session| session.join(self.now, &hello));
        match joined {
            Some(Ok((rail, _))) => {
                self.rails.push(rail);
                self.allow(hello.offset, hello.window);
            }
            Some(Err(refusal)) => drop(self.table.refused(&hello, refusal)),
            None => {}
        }
    }

    fn allow(&mut self, offset: u64, window: u32) {
        self.limit = self.limit.max(offset.saturating_add(window.into()));
    }

    /// Bytes of the protocol arrive on a rail. Those of payloads are replaced by [`byte_at`].
    pub fn receive(&mut self, rail: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.session.is_some() && !self.rails.is_empty() {
            let rail = self.rails[rail % self.rails.len()];
            let length = self.receive_some(rail, bytes);
            bytes = &bytes[length..];
            self.act();
            if length == 0 {
                return;
            }
        }
    }

    fn receive_some(&mut self, rail: RailId, bytes: &[u8]) -> usize {
        let Some(session) = &mut self.session else {
            return 0;
        };
        match session.need(rail) {
            Need::Nothing => 0,
            Need::Control(missing) => {
                let length = missing.min(bytes.len());
                session.control(self.now, rail, &bytes[..length]);
                if let Some(Ok(Frame::Ack { offset, window })) =
                    bytes.first_chunk().map(Frame::decode)
                {
                    // Part of another frame may look like one, which makes this check weaker.
                    self.allow(offset, window);
                } else if length < FRAME_SIZE {
                    self.limit = u64::MAX;
                }
                length
            }
            Need::Payload(piece) => {
                let length = piece.length.min(bytes.len() as u64);
                if piece.keep {
                    let arriving = piece.offset..piece.offset + length;
                    let arriving: Vec<u8> = arriving.map(byte_at).collect();
                    let stored = self.incoming.write(piece.offset, &arriving);
                    stored.expect("there is memory for a window");
                }
                session.payload(self.now, rail, length);
                length as usize
            }
        }
    }

    /// A rail fails, or ends.
    pub fn end_rail(&mut self, rail: usize, fails: bool) {
        if self.rails.is_empty() {
            return;
        }
        let index = rail % self.rails.len();
        let rail = self.rails.remove(index);
        if let Some(session) = &mut self.session {
            if fails {
                session.rail_failed(self.now, rail);
            } else {
                session.rail_ended(self.now, rail);
            }
        }
        self.act();
    }

    /// The program writes, and perhaps finishes.
    pub fn write(&mut self, length: u64, finishes: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        if !session.is_finished() && session.end().is_none() {
            session.write(length.min(session.writable()));
            if finishes {
                session.finish();
            }
        }
        self.act();
    }

    /// The program reads.
    pub fn read(&mut self, length: u64) {
        let Some(session) = &mut self.session else {
            return;
        };
        let length = length.min(session.readable());
        let mut left = length;
        while left > 0 {
            let bytes = self.incoming.bytes(self.read, left);
            let length = bytes.len() as u64;
            for (position, byte) in (self.read..).zip(bytes) {
                assert_eq!(*byte, byte_at(position), "at {position}");
            }
            self.read += length;
            left -= length;
        }
        session.read(length);
        self.incoming.release(self.read);
        self.act();
    }

    /// A rail takes so many bytes.
    pub fn send(&mut self, rail: usize, mut most: usize) {
        while most > 0 && !self.rails.is_empty() {
            let rail = self.rails[rail % self.rails.len()];
            let Some(session) = &mut self.session else {
                return;
            };
            let (kept, end) = (session.kept_from(), session.write_position());
            let has_output = session.has_output(rail);
            let Some(transmit) = session.transmit(self.now, rail) else {
                assert!(!has_output);
                return;
            };
            let data = transmit.data.clone();
            if !data.is_empty() {
                assert!(kept <= data.start && data.end <= end && data.end <= self.limit);
            }
            let all = transmit.header.len() + transmit.text.len();
            let all = all + (data.end - data.start) as usize;
            let length = all.min(most);
            assert!(has_output && length > 0);
            session.transmitted(self.now, rail, length);
            most -= length;
            self.act();
        }
    }

    /// The program resets the stream.
    pub fn reset(&mut self) {
        if let Some(session) = &mut self.session {
            session.reset(self.now, "enough");
        }
        self.act();
    }
}

fn settings() -> Settings {
    Settings {
        chunk: 512,
        ..Settings::new(WINDOW, Duration::from_secs(60))
    }
}
