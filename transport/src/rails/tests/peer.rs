//! The session against `tests/rail_peer.py`, a peer that was written from docs/WIRE.md, over real connections.
//! Both cut rails.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::random::Random;
use crate::rails::rail::RailId;
use crate::rails::session::{Action, End, Need, Session, Settings};
use crate::rails::store::{Store, BLOCK};
use crate::rails::table::{Answer, Table};
use crate::rails::wire::GREETING_SIZE;

/// Bytes of each direction.
const SENDS: u64 = 6_000_000;
const RECEIVES: u64 = 4_000_000;
const LIMIT: Duration = Duration::from_secs(120);
/// How long a rail that one side dropped seems to work.
const SILENCE: Duration = Duration::from_millis(600);

/// The pattern of the Python peer.
fn pattern(opener: bool, position: u64, buffer: &mut [u8]) {
    let first = position + if opener { 1_000 } else { 0 };
    for (byte, at) in buffer.iter_mut().zip(first..) {
        let i = at % 65_521;
        *byte = (i * i + i / 251) as u8;
    }
}

/// A driver with the simplest of sockets. It looks again and again.
struct Driver {
    session: Session,
    opener: bool,
    rails: Vec<(RailId, TcpStream)>,
    to_connect: Vec<usize>,
    outgoing: Store,
    incoming: Store,
    written: u64,
    read: u64,
    random: Random,
    cuts: u64,
    cut_at: Instant,
    /// Rails that this side let fall, and when the peer learns of it.
    silent: Vec<(Instant, TcpStream)>,
}

impl Driver {
    fn new(session: Session, opener: bool, seed: u64) -> Self {
        Self {
            session,
            opener,
            rails: Vec::new(),
            to_connect: Vec::new(),
            outgoing: Store::new(BLOCK),
            incoming: Store::new(BLOCK),
            written: 0,
            read: 0,
            random: Random::new(seed),
            cuts: 0,
            cut_at: Instant::now(),
            silent: Vec::new(),
        }
    }

    fn add(&mut self, rail: RailId, stream: TcpStream) {
        stream.set_nonblocking(true).unwrap();
        self.rails.push((rail, stream));
    }

    fn step(&mut self) -> bool {
        let now = Instant::now();
        let mut is_busy = self.receive(now);
        if self.session.deadline().is_some_and(|at| at <= now) {
            self.session.tick(now);
        }
        is_busy |= self.use_stream();
        is_busy |= self.send(now);
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Connect(path) => self.to_connect.push(path),
                Action::Close { rail, .. } => self.rails.retain(|it| it.0 != rail),
                _ => {}
            }
        }
        self.cut(now);
        is_busy
    }

    fn receive(&mut self, now: Instant) -> bool {
        let mut is_busy = false;
        for index in (0..self.rails.len()).rev() {
            let (rail, stream) = &mut self.rails[index];
            let rail = *rail;
            let mut buffer = [0; 4096];
            let read = match self.session.need(rail) {
                Need::Nothing => continue,
                Need::Control(length) => stream.read(&mut buffer[..length]).inspect(|length| {
                    self.session.control(now, rail, &buffer[..*length]);
                }),
                Need::Payload(piece) => {
                    let room = self.incoming.room(piece.offset, piece.length).unwrap();
                    let most = buffer.len().min(room.len());
                    let room = if piece.keep {
                        room
                    } else {
                        &mut buffer[..most]
                    };
                    stream.read(room).inspect(|length| {
                        self.session.payload(now, rail, *length as u64);
                    })
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(0) => self.session.rail_ended(now, rail),
                Err(_) => self.session.rail_failed(now, rail),
                Ok(_) => {}
            }
            if !matches!(read, Ok(1..)) {
                self.rails.remove(index);
            }
            is_busy = true;
        }
        is_busy
    }

    fn use_stream(&mut self) -> bool {
        let session = &mut self.session;
        let mut is_busy = false;
        self.outgoing.release(session.kept_from());
        let room = session.writable().min(SENDS - self.written);
        if session.end().is_none() && room > 0 {
            let room = self.outgoing.room(self.written, room).unwrap();
            pattern(self.opener, self.written, room);
            session.write(room.len() as u64);
            self.written += room.len() as u64;
            is_busy = true;
        } else if self.written == SENDS && !session.is_finished() {
            session.finish();
        }
        if session.readable() > 0 {
            let bytes = self.incoming.bytes(self.read, session.readable());
            let mut expected = vec![0; bytes.len()];
            pattern(!self.opener, self.read, &mut expected);
            assert!(bytes == expected, "wrong bytes at {}", self.read);
            session.read(bytes.len() as u64);
            self.read += bytes.len() as u64;
            self.incoming.release(self.read);
            is_busy = true;
        }
        is_busy
    }

    fn send(&mut self, now: Instant) -> bool {
        let mut is_busy = false;
        for index in (0..self.rails.len()).rev() {
            let (rail, stream) = &mut self.rails[index];
            let rail = *rail;
            let Some(transmit) = self.session.transmit(now, rail) else {
                continue;
            };
            let length = transmit.data.end - transmit.data.start;
            let data = match length {
                0 => &[][..],
                length => self.outgoing.bytes(transmit.data.start, length),
            };
            let pieces = [transmit.header, transmit.text, data].map(IoSlice::new);
            match stream.write_vectored(&pieces) {
                Ok(length) => self.session.transmitted(now, rail, length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => {
                    self.rails.remove(index);
                    self.session.rail_failed(now, rail);
                }
            }
            is_busy = true;
        }
        is_busy
    }

    /// Breaks a rail now and then, as long as there are cuts.
    fn cut(&mut self, now: Instant) {
        self.silent.retain(|it| it.0 > now);
        if self.cuts == 0 || now < self.cut_at || self.rails.is_empty() {
            return;
        }
        self.cuts -= 1;
        self.cut_at = now + Duration::from_millis(self.random.within(1..40));
        let index = self.random.next() as usize % self.rails.len();
        let (rail, stream) = self.rails.remove(index);
        self.session.rail_failed(now, rail);
        if self.random.chance(50) {
            self.silent.push((now + SILENCE, stream));
        }
    }

    fn check(&self) {
        assert_eq!(self.session.end(), Some(&End::Complete));
        assert_eq!((self.read, self.written), (RECEIVES, SENDS));
    }
}

fn peer(role: &[&str], rails: usize, cuts: u64) -> (Child, BufReader<ChildStdout>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rail_peer.py");
    let number = |option: &str, number: u64| [option.to_owned(), number.to_string()];
    let mut child = Command::new("python3")
        .arg(script)
        .args(role)
        .args(number("--send", RECEIVES))
        .args(number("--expect", SENDS))
        .args(number("--rails", rails as u64))
        .args(number("--cuts", cuts))
        .args(number("--seed", 3))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Looks again until `step` says that it is over.
fn drive(mut step: impl FnMut() -> Option<bool>) {
    let start = Instant::now();
    while let Some(is_busy) = step() {
        assert!(start.elapsed() < LIMIT, "no end");
        if !is_busy {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn settings() -> Settings {
    Settings::new(1 << 20, LIMIT)
}

type Greeting = [u8; GREETING_SIZE];

fn greet(port: u16, hello: &Greeting) -> io::Result<(TcpStream, Greeting)> {
    let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(hello)?;
    let mut reply = [0; GREETING_SIZE];
    stream.read_exact(&mut reply)?;
    Ok((stream, reply))
}

fn opens_to_the_peer(rails: usize, cuts: u64) {
    let (mut child, mut output) = peer(&["accept"], rails, cuts);
    let port: u16 = line(&mut output).parse().expect("the port of the peer");
    let session = Session::open(Instant::now(), [1; 16], [2; 16], settings(), rails);
    let mut driver = Driver::new(session, true, 5);
    driver.cuts = cuts;
    drive(|| {
        let is_busy = driver.step();
        for path in std::mem::take(&mut driver.to_connect) {
            let hello = driver.session.hello();
            let now = Instant::now();
            match greet(port, &hello) {
                Ok((stream, reply)) => {
                    if let Some(rail) = driver.session.reply(now, path, &reply) {
                        driver.add(rail, stream);
                    }
                }
                Err(_) => driver.session.connect_failed(now, path),
            }
        }
        (!driver.session.is_over()).then_some(is_busy)
    });
    driver.check();
    assert_eq!(line(&mut output), "complete");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn accepts_from_the_peer(rails: usize, cuts: u64) {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    listener.set_nonblocking(true).unwrap();
    let (mut child, mut output) = peer(&["open", &port], rails, cuts);
    let mut table = Table::new([3; 16], 1);
    let mut driver: Option<Driver> = None;
    drive(|| {
        let mut is_busy = driver.as_mut().is_some_and(Driver::step);
        if let Some(over) = driver.as_ref().filter(|driver| driver.session.is_over()) {
            let received = over.session.final_position();
            table.remove(Instant::now(), over.session.id(), received);
        }
        if let Ok((stream, _)) = listener.accept() {
            accept(&mut table, &mut driver, stream, cuts);
            is_busy = true;
        }
        child.try_wait().unwrap().is_none().then_some(is_busy)
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(line(&mut output), "complete");
    driver.expect("a session").check();
}

fn accept(table: &mut Table<()>, driver: &mut Option<Driver>, mut stream: TcpStream, cuts: u64) {
    let now = Instant::now();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut hello = [0; GREETING_SIZE];
    if stream.read_exact(&mut hello).is_err() {
        return;
    }
    let mut answer = table.hello(now, &hello);
    let granted = match (&answer, &mut *driver) {
        (Answer::New(hello), _) => {
            let accepted = Session::accept(now, hello, table.host(), settings());
            let (session, rail, reply) = accepted.unwrap();
            table.insert(hello.session, ());
            let new = driver.insert(Driver::new(session, false, 7));
            new.cuts = cuts;
            Some((rail, reply))
        }
        (Answer::Join((), hello), Some(driver)) => match driver.session.join(now, hello) {
            Ok(granted) => Some(granted),
            Err(refusal) => {
                answer = table.refused(&hello.clone(), refusal);
                None
            }
        },
        _ => None,
    };
    let reply = match (granted, answer) {
        (Some((rail, reply)), _) => {
            let copy = stream.try_clone().unwrap();
            driver.as_mut().unwrap().add(rail, copy);
            stream.set_nonblocking(false).unwrap();
            reply
        }
        (None, Answer::Refuse(reply)) => reply,
        (None, _) => return,
    };
    stream.write_all(&reply).ok();
    stream.set_nonblocking(true).unwrap();
}

#[test]
fn a_python_peer_accepts_over_one_rail() {
    opens_to_the_peer(1, 0);
}

#[test]
fn a_python_peer_accepts_and_rails_are_cut_at_both_ends() {
    opens_to_the_peer(3, 20);
}

#[test]
fn a_python_peer_opens_one_rail() {
    accepts_from_the_peer(1, 0);
}

#[test]
fn a_python_peer_opens_and_rails_are_cut_at_both_ends() {
    accepts_from_the_peer(3, 20);
}

#[test]
fn a_single_rail_is_cut_at_both_ends() {
    opens_to_the_peer(1, 10);
    accepts_from_the_peer(1, 10);
}
