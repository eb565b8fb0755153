//! The listener's side of a benchmark.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use super::pattern::{Pattern, PIECE};
use crate::handshake::{self, Service};
use crate::paced_reader::{Pace, PacedReader};

/// The start of a benchmark's message; its token follows.
pub const MARK: [u8; 8] = *b"DCFTBCNT";
/// Identifies the messages of a benchmark.
pub type Token = [u8; 8];

/// The most benchmarks whose messages are counted. Further ones displace the oldest.
const KNOWN: usize = 16;
/// A benchmark stream that is slower than this is closed.
const PACE: Pace = Pace {
    bytes: 64 << 10,
    period: Duration::from_secs(60),
};
/// The longest benchmark: `--time` is at most a day.
const LONGEST: Duration = Duration::from_secs(86_460);
/// After this time without a message, no more are queued.
const SETTLED: Duration = Duration::from_millis(100);

/// Counts the messages of benchmarks. Tokens of completed benchmarks are kept for a while, so that their late
/// messages are not printed.
#[derive(Default)]
pub struct Counting(Mutex<VecDeque<(Token, Arc<AtomicU64>)>>);

impl Counting {
    fn counters(&self) -> MutexGuard<'_, VecDeque<(Token, Arc<AtomicU64>)>> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }

    fn begin(&self, token: Token) -> Arc<AtomicU64> {
        let counter = Arc::<AtomicU64>::default();
        let mut counters = self.counters();
        if counters.len() == KNOWN {
            counters.pop_front();
        }
        counters.push_back((token, Arc::clone(&counter)));
        counter
    }

    /// Counts a message of a benchmark. Returns whether it is one.
    pub fn takes(&self, message: &[u8]) -> bool {
        let token = message
            .strip_prefix(&MARK)
            .and_then(|rest| rest.first_chunk());
        let counters = self.counters();
        let counter = counters
            .iter()
            .rev()
            .find(|(known, _)| Some(known) == token);
        counter.is_some_and(|(_, counter)| {
            counter.fetch_add(1, Ordering::Relaxed);
            true
        })
    }
}

/// Serves a benchmark to the end of its stream.
pub fn serve(
    stream: &DataStream,
    service: Service,
    counting: &Counting,
) -> Result<(), TransportError> {
    match service {
        Service::Sink => sink(stream),
        Service::Source => source(stream),
        Service::Messages => messages(stream, counting),
        Service::Push => Ok(()),
    }
}

/// Verifies all data; reports how much arrived and how much of it was correct.
fn sink(stream: &DataStream) -> Result<(), TransportError> {
    let mut pattern = Pattern::new();
    let mut reading = PacedReader::new(stream, PACE);
    let (mut taken, mut right) = (0_u64, 0_u64);
    loop {
        let bytes = reading.next()?;
        if bytes.is_empty() {
            break;
        }
        let is_right = pattern.continues(bytes);
        if is_right && right == taken {
            right += bytes.len() as u64;
        }
        taken += bytes.len() as u64;
    }
    let answer = [taken.to_be_bytes(), right.to_be_bytes()].concat();
    stream
        .write_timeout(&answer, Some(handshake::PATIENCE))
        .outcome?;
    stream.finish()
}

/// Sends the pattern until the client closes the stream.
fn source(stream: &DataStream) -> Result<(), TransportError> {
    let mut pattern = Pattern::new();
    loop {
        let written = stream.write_timeout(pattern.next(PIECE), Some(PACE.period));
        match written.outcome {
            Ok(()) => {}
            Err(TransportError::ConnectionFailed(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Counts messages with the client's token until the stream ends; reports their number.
fn messages(stream: &DataStream, counting: &Counting) -> Result<(), TransportError> {
    let mut token = Token::default();
    if handshake::read_exactly(stream, &mut token, handshake::PATIENCE)? < token.len() {
        return Ok(());
    }
    let counter = counting.begin(token);
    // Confirm that counting has started.
    stream
        .write_timeout(&token, Some(handshake::PATIENCE))
        .outcome?;
    let end = Instant::now() + LONGEST;
    while Instant::now() < end {
        // The client sends no more.
        match stream.read_timeout(&mut [0; 64], Some(LONGEST))? {
            0 => break,
            _ => continue,
        }
    }
    let mut count = counter.load(Ordering::Relaxed);
    let end = Instant::now() + handshake::PATIENCE / 2;
    loop {
        thread::sleep(SETTLED);
        let now = counter.load(Ordering::Relaxed);
        if now == count || Instant::now() > end {
            break;
        }
        count = now;
    }
    stream
        .write_timeout(&count.to_be_bytes(), Some(handshake::PATIENCE))
        .outcome?;
    stream.finish()
}
