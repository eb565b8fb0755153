//! One end of a simulated stream: a driver of a session, and a program that writes and reads.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::network::{Conn, Network, Read, Side};
use super::random::Random;
use crate::rails::rail::RailId;
use crate::rails::session::{Action, End, Need, Session};
use crate::rails::sources::{Source, Sources};
use crate::rails::store::Store;
use crate::rails::wire::GREETING_SIZE;

/// The time that is 0 in a simulation.
pub fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub fn instant(now: u64) -> Instant {
    start() + Duration::from_micros(now)
}

/// Microseconds until then.
fn micros(at: Instant) -> u64 {
    let time = at.saturating_duration_since(start());
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap()
}

/// What all streams are made of: each direction is a part of it.
pub fn material() -> &'static [u8] {
    static MATERIAL: OnceLock<Vec<u8>> = OnceLock::new();
    MATERIAL.get_or_init(|| {
        let mut random = Random::new(7);
        let words = (0..1 << 17).map(|_| random.next().to_le_bytes());
        words.flatten().collect()
    })
}

/// The calls of the program that uses the stream.
#[derive(Clone)]
pub struct Program {
    pub sends: &'static [u8],
    pub receives: &'static [u8],
    /// Bytes of one call at most.
    pub write_size: u64,
    pub read_size: u64,
    /// Time between two calls at most.
    pub write_pause: u64,
    pub read_pause: u64,
    /// Does not read before this time.
    pub reads_from: u64,
    /// Resets the stream then.
    pub resets_at: Option<u64>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sends, receives) = (self.sends.len(), self.receives.len());
        write!(f, "sends {sends}, receives {receives}")
    }
}

#[derive(Debug)]
pub struct Host {
    pub side: Side,
    pub session: Option<Session>,
    pub program: Program,
    pub window: u64,
    rails: Vec<(RailId, Conn)>,
    /// Connections of the opener without a reply.
    pub greeting: Vec<(usize, Conn, Vec<u8>)>,
    /// Paths to connect.
    pub to_connect: Vec<usize>,
    pub written: u64,
    pub read: u64,
    pub rails_seen: u64,
    pub dropped: u64,
    write_at: u64,
    read_at: u64,
    outgoing: Store,
    incoming: Store,
    sources: Sources<()>,
    random: Random,
}

impl Host {
    pub fn new(side: Side, program: Program, window: u32, random: Random) -> Self {
        let block = (window as usize / 4).max(64);
        Self {
            side,
            session: None,
            read_at: program.reads_from,
            program,
            window: window.into(),
            rails: Vec::new(),
            greeting: Vec::new(),
            to_connect: Vec::new(),
            written: 0,
            read: 0,
            rails_seen: 0,
            dropped: 0,
            write_at: 0,
            outgoing: Store::new(block),
            incoming: Store::new(block),
            sources: Sources::new(),
            random,
        }
    }

    pub fn end(&self) -> Option<&End> {
        self.session.as_ref()?.end()
    }

    pub fn is_over(&self) -> bool {
        let has_read = self.read == self.program.receives.len() as u64;
        self.session.as_ref().is_some_and(|session| {
            let is_complete = session.end() == Some(&End::Complete);
            assert!(!is_complete || session.is_read_to_end() == has_read);
            session.is_over() && (!is_complete || has_read)
        })
    }

    /// A connection has become a rail.
    pub fn add_rail(&mut self, rail: RailId, conn: Conn) {
        self.rails_seen += 1;
        self.rails.push((rail, conn));
    }

    /// A connection over a path of the opener was made.
    pub fn connected(&mut self, network: &mut Network, path: usize, conn: Conn) {
        let session = self.session.as_mut().unwrap();
        let hello = session.hello();
        network.write(conn, self.side, &hello);
        self.greeting.push((path, conn, Vec::new()));
    }

    /// Does everything that can be done now. Returns whether there was something.
    pub fn run(&mut self, network: &mut Network) -> bool {
        let now = network.now;
        if self.session.is_none() {
            return false;
        }
        let mut was_busy = false;
        for step in 0.. {
            assert!(step < 10_000, "an endless loop: {self:?}");
            let mut is_busy = self.read_greetings(network);
            is_busy |= self.read_rails(network);
            let session = self.session.as_mut().unwrap();
            if session.deadline().is_some_and(|at| at <= instant(now)) {
                session.tick(instant(now));
                let deadline = session.deadline();
                let is_later = deadline.is_none_or(|at| at > instant(now));
                assert!(is_later, "a deadline stays: {session:?}");
                is_busy = true;
            }
            is_busy |= self.use_stream(now);
            is_busy |= self.write_rails(network);
            is_busy |= self.act(network);
            if !is_busy {
                break;
            }
            was_busy = true;
        }
        was_busy
    }

    /// The time of the next thing to do, if no bytes arrive.
    pub fn next(&self, now: u64) -> Option<u64> {
        let session = self.session.as_ref()?;
        let program = [
            self.write_at,
            self.read_at,
            self.program.resets_at.unwrap_or(0),
        ];
        let program = program.into_iter().filter(|at| *at > now);
        let deadline = session.deadline().map(micros);
        program.chain(deadline).min()
    }

    fn read_greetings(&mut self, network: &mut Network) -> bool {
        let now = instant(network.now);
        let mut is_busy = false;
        let session = self.session.as_mut().unwrap();
        for (path, conn, mut bytes) in std::mem::take(&mut self.greeting) {
            let mut rest = [0; GREETING_SIZE];
            let missing = GREETING_SIZE - bytes.len();
            match network.read(conn, self.side, &mut rest[..missing]) {
                Read::Nothing => self.greeting.push((path, conn, bytes)),
                Read::Bytes(length) if length < missing => {
                    bytes.extend_from_slice(&rest[..length]);
                    self.greeting.push((path, conn, bytes));
                }
                Read::Bytes(length) => {
                    bytes.extend_from_slice(&rest[..length]);
                    match session.reply(now, path, &bytes.try_into().unwrap()) {
                        Some(rail) => {
                            self.rails_seen += 1;
                            self.rails.push((rail, conn));
                        }
                        None => network.close(conn, self.side, false),
                    }
                    is_busy = true;
                }
                Read::End | Read::Broken => {
                    network.close(conn, self.side, false);
                    session.connect_failed(now, path);
                    is_busy = true;
                }
            }
        }
        is_busy
    }

    fn read_rails(&mut self, network: &mut Network) -> bool {
        let now = instant(network.now);
        let mut is_busy = false;
        let session = self.session.as_mut().unwrap();
        for (rail, conn) in self.rails.clone() {
            loop {
                let mut scratch = [0; 512];
                let (read, piece) = match session.need(rail) {
                    Need::Nothing => break,
                    Need::Control(missing) => {
                        let read = network.read(conn, self.side, &mut scratch[..missing]);
                        if let Read::Bytes(length) = read {
                            session.control(now, rail, &scratch[..length]);
                        }
                        (read, None)
                    }
                    Need::Payload(piece) if !piece.keep => {
                        let most = scratch.len().min(piece.length as usize);
                        (
                            network.read(conn, self.side, &mut scratch[..most]),
                            Some(piece),
                        )
                    }
                    Need::Payload(piece) => {
                        let in_order = session.read_position() + session.readable();
                        assert!(piece.offset >= in_order, "overwriting bytes in order");
                        let room = self.incoming.room(piece.offset, piece.length).unwrap();
                        (network.read(conn, self.side, room), Some(piece))
                    }
                };
                match read {
                    Read::Nothing => break,
                    Read::Bytes(length) => {
                        if piece.is_some() {
                            session.payload(now, rail, length as u64);
                        }
                    }
                    Read::End | Read::Broken => {
                        network.close(conn, self.side, false);
                        self.rails.retain(|it| it.0 != rail);
                        match read {
                            Read::End => session.rail_ended(now, rail),
                            _ => session.rail_failed(now, rail),
                        }
                        break;
                    }
                }
                is_busy = true;
            }
        }
        is_busy
    }

    /// The program writes and reads.
    fn use_stream(&mut self, now: u64) -> bool {
        let session = self.session.as_mut().unwrap();
        let is_open = session.end().is_none();
        if !is_open && session.end() != Some(&End::Complete) {
            return false;
        }
        let program = &self.program;
        if is_open && program.resets_at.is_some_and(|at| at <= now) {
            session.reset(instant(now), "enough");
            return true;
        }
        let mut is_busy = false;
        let kept = session.kept_from();
        self.outgoing.release(kept);
        self.sources.release(kept);
        let left = program.sends.len() as u64 - self.written;
        let room = if is_open {
            session.writable().min(left)
        } else {
            0
        };
        if self.write_at <= now && room > 0 && !self.sources.is_full() {
            let length = room.min(1 + self.random.spread(program.write_size));
            if self.random.chance(30) {
                self.sources.add_file((), self.written, length);
            } else {
                let (from, to) = (self.written as usize, (self.written + length) as usize);
                let bytes = &program.sends[from..to];
                self.outgoing.write(self.written, bytes).unwrap();
                self.sources.add_memory(length);
            }
            session.write(length);
            self.written += length;
            self.write_at = now + self.random.within(0..program.write_pause + 1);
            is_busy = true;
        } else if self.write_at <= now && left == 0 && !session.is_finished() {
            session.finish();
            is_busy = true;
        }
        if self.read_at <= now && session.readable() > 0 {
            let length = session
                .readable()
                .min(1 + self.random.spread(program.read_size));
            let bytes = self.incoming.bytes(self.read, length);
            let expected = &program.receives[self.read as usize..][..bytes.len()];
            assert!(bytes == expected, "wrong bytes at {}", self.read);
            let length = bytes.len() as u64;
            session.read(length);
            self.read += length;
            assert_eq!(session.read_position(), self.read);
            self.incoming.release(self.read);
            self.read_at = now + self.random.within(0..program.read_pause + 1);
            is_busy = true;
        }
        let held = session.readable().max(session.write_position() - kept);
        assert!(held <= self.window, "more than the window is held");
        let blocks = self.incoming.blocks().max(self.outgoing.blocks());
        assert!(blocks <= 6, "{blocks} blocks of a quarter of the window");
        is_busy
    }

    fn write_rails(&mut self, network: &mut Network) -> bool {
        let now = instant(network.now);
        let mut is_busy = false;
        let session = self.session.as_mut().unwrap();
        let mut rails = self.rails.clone();
        if !rails.is_empty() {
            let first = self.random.next() as usize % rails.len();
            rails.rotate_left(first);
        }
        let mut buffer = Vec::new();
        for (rail, conn) in rails {
            loop {
                let has_output = session.has_output(rail);
                let Some(transmit) = session.transmit(now, rail) else {
                    assert!(!has_output, "it said that there is something");
                    break;
                };
                assert!(has_output, "it said that there is nothing");
                buffer.clear();
                buffer.extend_from_slice(transmit.header);
                buffer.extend_from_slice(transmit.text);
                let mut position = transmit.data.start;
                while position < transmit.data.end {
                    let rest = transmit.data.end - position;
                    let (source, most) = self.sources.locate(position, rest).unwrap();
                    let bytes = match source {
                        Source::Memory => self.outgoing.bytes(position, most),
                        Source::File { offset, .. } => {
                            &self.program.sends[offset as usize..(offset + most) as usize]
                        }
                    };
                    buffer.extend_from_slice(bytes);
                    position += bytes.len() as u64;
                }
                match network.write(conn, self.side, &buffer) {
                    Some(0) => break,
                    Some(written) => session.transmitted(now, rail, written),
                    None => {
                        network.close(conn, self.side, false);
                        self.rails.retain(|it| it.0 != rail);
                        session.rail_failed(now, rail);
                        break;
                    }
                }
                is_busy = true;
            }
        }
        is_busy
    }

    fn act(&mut self, network: &mut Network) -> bool {
        let mut is_busy = false;
        while let Some(action) = self.session.as_mut().unwrap().next_action() {
            is_busy = true;
            match action {
                Action::Connect(path) => self.to_connect.push(path),
                Action::GiveUp(path) => {
                    self.to_connect.retain(|it| *it != path);
                    let side = self.side;
                    self.greeting.retain(|(of, conn, _)| {
                        if *of == path {
                            network.close(*conn, side, false);
                        }
                        *of != path
                    });
                }
                Action::Close { rail, orderly } => {
                    let conn = self.rails.iter().position(|it| it.0 == rail);
                    let (_, conn) = self.rails.remove(conn.expect("a rail closes once"));
                    network.close(conn, self.side, orderly);
                    self.dropped += u64::from(!orderly);
                }
                Action::WakeReader | Action::WakeWriter => {}
            }
        }
        is_busy
    }
}
