//! Reading a stream that strangers opened: it costs memory only while data come, and ends when they stop coming.

use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use crate::deadline::late;

/// For a stream that is idle. One that fills it gets the large one.
const SMALL: usize = 4 << 10;
/// Bytes of one read at most.
pub const LARGE: usize = 256 << 10;
/// When nothing came for so long, the large buffer is given back.
const IDLE: Duration = Duration::from_secs(1);

/// How slow a stream may be: at least `bytes` in each `period`.
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

    /// The next bytes; none at the end of the stream.
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
                        // What was read stays at its beginning.
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
            0 => "the next bytes of the stream".to_owned(),
            _ => format!("the rest of {} bytes of the stream", self.pace.bytes),
        };
        late(what, self.pace.period)
    }
}
