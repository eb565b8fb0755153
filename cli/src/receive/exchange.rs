//! How far the two sides are with one file: what the pusher still waits for, and what it still sends. After
//! a fault of that file the rest of the exchange is gone through, so that the stream can go on with the next.

use std::time::{Duration, Instant};

use thunderbolt_transport::DataStream;

use crate::deadline::Deadline;
use crate::handshake::read_exactly;
use crate::output::harmless;
use crate::transfer::checksums::{Checksum, CHECKSUM_SIZE};
use crate::transfer::entry::Entry;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;
use crate::transfer::frame::Frame;
use crate::transfer::holes::{total, Extent};
use crate::transfer::message::{out_of_turn, Pusher, Receiver, Want, AT_ONCE};
use crate::transfer::{piece_at, pieces, PATIENCE, PIECE};

/// Checksums in one message: often enough that the pusher sees that we live.
const SUMS_AT_ONCE: usize = AT_ONCE / 64;
/// How long the pusher waits for some at most.
const TELLING: Duration = Duration::from_secs(5);
/// Bytes that are thrown away at a time.
const DISCARDED: u64 = 256 << 10;
/// How long a pusher may only say that it lives, where it is to go on with a file.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes a second that every pusher reads of its files.
const SLOWEST: u64 = 1 << 20;
/// How much faster it looks at what is a hole over here, and at least finds out that it is none.
const FASTER: u64 = 64;

/// The messages about one file that the pusher began.
pub struct Exchange<'a> {
    pub stream: &'a DataStream,
    pub entry: &'a Entry,
    want: Want,
    extensions: Extensions,
    /// Checksums that the pusher still waits for.
    owed: u64,
    sums: Vec<Checksum>,
    /// When checksums were told last.
    told: Instant,
    /// Bytes that were told to be holes.
    holes: u64,
    /// Whether it will say from where on it sends.
    starts: bool,
    /// Where the next piece goes.
    pub offset: u64,
    /// Bytes of the piece that was announced last which have not been read.
    rest: u64,
}

/// What the pusher says next.
pub enum Next {
    /// A piece follows, with this checksum.
    Piece { length: u64, sum: Checksum },
    /// The bytes of these extents of a piece follow, with the checksum of all of it.
    Sparse {
        length: u64,
        sum: Checksum,
        extents: Vec<Extent>,
    },
    /// So many bytes are a hole.
    Hole(u64),
    /// It gave the file up.
    Skipped(String),
}

impl<'a> Exchange<'a> {
    pub fn new(
        stream: &'a DataStream,
        entry: &'a Entry,
        want: Want,
        extensions: Extensions,
    ) -> Self {
        let compared = match want {
            Want::Nothing => 0,
            Want::Content { have } => have,
            Want::Comparison => entry.size,
        };
        Self {
            stream,
            entry,
            want,
            extensions,
            owed: pieces(compared),
            sums: Vec::new(),
            told: Instant::now(),
            holes: 0,
            starts: matches!(want, Want::Comparison) || compared > 0,
            offset: 0,
            rest: 0,
        }
    }

    /// Tells the checksum of the next piece that is here.
    pub fn tell(&mut self, sum: Checksum) -> Result<()> {
        self.sums.push(sum);
        self.owed -= 1;
        // A slow disk takes a minute for fewer.
        let is_time = self.told.elapsed() >= TELLING;
        match self.sums.len() == SUMS_AT_ONCE || self.owed == 0 || is_time {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.sums.is_empty() {
            return Ok(());
        }
        self.told = Instant::now();
        let sums = std::mem::take(&mut self.sums);
        Receiver::Sums(sums).frame().write(self.stream)
    }

    /// Whether holes may be told.
    pub fn knows_holes(&self) -> bool {
        self.extensions.has(Extensions::HOLES)
    }

    /// Tells that the next pieces are nothing but a hole.
    pub fn tell_zeros(&mut self, pieces: u64) -> Result<()> {
        self.flush()?;
        self.owed -= pieces;
        self.holes = self.holes.saturating_add(pieces.saturating_mul(PIECE));
        Receiver::Zeros(pieces).frame().write(self.stream)
    }

    /// From where on the pusher sends, or why it does not.
    pub fn start(&mut self) -> Result<std::result::Result<u64, String>> {
        // The pusher reads what it compares, and says meanwhile that it lives.
        let compared = match self.want {
            Want::Content { have } => have,
            _ => self.entry.size,
        };
        let holes = self.holes.min(compared);
        let data = Duration::from_secs((compared - holes) / SLOWEST);
        let holes = Duration::from_secs(holes / SLOWEST / FASTER).min(LONGEST);
        let deadline = Deadline::after(LONGEST + data + holes);
        loop {
            match self.hear(&deadline)? {
                Pusher::Alive => {}
                Pusher::Start(offset) => {
                    self.starts = false;
                    let size = self.entry.size;
                    let most = match self.want {
                        Want::Content { have } => have,
                        _ => size,
                    };
                    if offset > most || (!offset.is_multiple_of(PIECE) && offset != size) {
                        return Err(TransferError::protocol("a start that was not offered"));
                    }
                    self.offset = offset;
                    return Ok(Ok(offset));
                }
                Pusher::Skipped { why, .. } => {
                    self.over();
                    return Ok(Err(harmless(why.as_bytes())));
                }
                other => return Err(out_of_turn(&other)),
            }
        }
    }

    /// The next piece, which is to be read from the stream then.
    pub fn next(&mut self) -> Result<Next> {
        let deadline = Deadline::after(LONGEST);
        loop {
            match self.hear(&deadline)? {
                Pusher::Data { length, sum } => {
                    self.piece(length)?;
                    self.rest = length;
                    return Ok(Next::Piece { length, sum });
                }
                Pusher::Sparse {
                    length,
                    sum,
                    extents,
                } => {
                    self.piece(length)?;
                    self.rest = total(&extents);
                    return Ok(Next::Sparse {
                        length,
                        sum,
                        extents,
                    });
                }
                Pusher::Hole(length) => {
                    let size = self.entry.size;
                    let end = self.offset.saturating_add(length);
                    if length == 0 || end > size || (!end.is_multiple_of(PIECE) && end != size) {
                        return Err(TransferError::protocol(format!("a hole of {length} bytes")));
                    }
                    self.offset = end;
                    return Ok(Next::Hole(length));
                }
                Pusher::Alive => {}
                Pusher::Skipped { why, .. } => {
                    self.over();
                    return Ok(Next::Skipped(harmless(why.as_bytes())));
                }
                other => return Err(out_of_turn(&other)),
            }
        }
    }

    fn hear(&self, deadline: &Deadline) -> Result<Pusher> {
        deadline.check(|| format!("{} of {}", self.entry.shown(), self.stream.peer()))?;
        let frame = Frame::read_by(self.stream, &deadline.or_within(PATIENCE))?;
        Pusher::from_frame(&frame, self.extensions)
    }

    fn piece(&mut self, length: u64) -> Result<()> {
        if length != piece_at(self.offset, self.entry.size) {
            return Err(TransferError::protocol("a piece of another length"));
        }
        self.offset += length;
        Ok(())
    }

    /// So much of the piece has been read.
    pub fn has_read(&mut self, count: u64) {
        self.rest -= count;
    }

    fn over(&mut self) {
        (self.owed, self.starts, self.rest) = (0, false, 0);
        self.offset = self.entry.size;
    }

    /// Goes through the rest and throws it away. The pusher was told that it is for nothing, and may end it early.
    pub fn drain(mut self) -> Result<()> {
        // Of a file that cannot be read nothing is right.
        if self.knows_holes() && self.owed > 0 {
            self.tell_zeros(self.owed)?;
        }
        while self.owed > 0 {
            self.tell([0; CHECKSUM_SIZE])?;
        }
        if self.starts && self.start()?.is_err() {
            return Ok(());
        }
        self.discard()?;
        while self.offset < self.entry.size && self.want != Want::Comparison {
            if let Next::Skipped(_) = self.next()? {
                break;
            }
            self.discard()?;
        }
        Ok(())
    }

    fn discard(&mut self) -> Result<()> {
        let mut buf = vec![0; self.rest.min(DISCARDED) as usize];
        while self.rest > 0 {
            let step = self.rest.min(DISCARDED) as usize;
            if read_exactly(self.stream, &mut buf[..step], PATIENCE)? < step {
                return Err(TransferError::ended());
            }
            self.rest -= step as u64;
        }
        Ok(())
    }
}
