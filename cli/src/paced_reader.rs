//! Reads a stream of an untrusted peer: uses memory only while data arrive, and fails when they arrive too slowly.

use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use crate::deadline::late;

/// The buffer of an idle stream. A read that fills it switches to the large buffer.
const SMALL: usize = 4 << 10;
/// The most bytes of one read.
pub const LARGE: usize = 256 << 10;
/// An idle stream frees its buffer after this time.
const IDLE: Duration = Duration::from_secs(1);

/// The slowest acceptable stream: at least `bytes` in each `period`.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub bytes: u64,
    pub period: Duration,
}

pub struct PacedReader<'a> {
    stream: &'a DataStream,
    buf: Vec<u8>,
    pace: Pace,
    begin: Instant,
    came: u64,
}

impl<'a> PacedReader<'a> {
    pub fn new(stream: &'a DataStream, pace: Pace) -> Self {
        Self {
            stream,
            buf: Vec::new(),
            pace,
            begin: Instant::now(),
            came: 0,
        }
    }

    /// Reads the next bytes; none at the end of the stream.
    pub fn next(&mut self) -> Result<&[u8], TransportError> {
        loop {
            let left = self.pace.period.saturating_sub(self.begin.elapsed());
            if left.is_zero() {
                if self.came < self.pace.bytes {
                    return Err(self.late());
                }
                (self.begin, self.came) = (Instant::now(), 0);
                continue;
            }
            if self.buf.is_empty() {
                self.buf = vec![0; SMALL];
            }
            match self
                .stream
                .read_timeout(&mut self.buf, Some(left.min(IDLE)))
            {
                Ok(read) => {
                    self.came += read as u64;
                    if read == SMALL && self.buf.len() == SMALL {
                        // `resize` keeps the bytes that were read.
                        self.buf.resize(LARGE, 0);
                    }
                    return Ok(&self.buf[..read]);
                }
                Err(TransportError::Timeout) => self.buf = Vec::new(),
                Err(error) => return Err(error),
            }
        }
    }

    fn late(&self) -> TransportError {
        let what = match self.came {
            0 => format!("no data came from {}", self.stream.peer()),
            came => format!(
                "{came} of {} bytes came from {}",
                self.pace.bytes,
                self.stream.peer()
            ),
        };
        late(what, self.pace.period)
    }
}
