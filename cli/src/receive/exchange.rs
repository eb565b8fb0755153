//! The state of the messages about one file. After an error of that file the rest of its messages is read and
//! discarded, so that the stream can continue with the next file.

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

/// The checksums of one message, few enough to be a regular sign of life.
const SUMS_AT_ONCE: usize = AT_ONCE / 64;
/// The longest time between two messages with checksums.
const SEND_EVERY: Duration = Duration::from_secs(5);
/// Bytes that are discarded at once.
const DISCARDED: u64 = 256 << 10;
/// How long a pusher may send only signs of life when it should continue a file.
const LONGEST: Duration = Duration::from_secs(600);
/// The slowest rate, in bytes per second, at which a pusher reads its files.
const SLOWEST: u64 = 1 << 20;
/// How much faster it checks what is a hole here.
const FASTER: u64 = 64;

/// The messages about one file that the pusher started.
pub struct Exchange<'a> {
    pub stream: &'a DataStream,
    pub entry: &'a Entry,
    want: Want,
    extensions: Extensions,
    /// Checksums that the pusher still expects.
    owed: u64,
    sums: Vec<Checksum>,
    /// When checksums were last sent.
    last_sent: Instant,
    /// Bytes that were reported as holes.
    holes: u64,
    /// Whether the pusher will send a start offset.
    starts: bool,
    /// The offset of the next piece.
    pub offset: u64,
    /// Bytes of the announced piece that have not been read.
    rest: u64,
}

/// The next message about the content.
pub enum Next {
    /// A piece follows, with this checksum.
    Piece { length: u64, sum: Checksum },
    /// The extents of a piece follow, with the checksum of the whole piece.
    Sparse {
        length: u64,
        sum: Checksum,
        extents: Vec<Extent>,
    },
    /// This many bytes are a hole.
    Hole(u64),
    /// The pusher skipped the file.
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
            last_sent: Instant::now(),
            holes: 0,
            starts: matches!(want, Want::Comparison) || compared > 0,
            offset: 0,
            rest: 0,
        }
    }

    /// Sends the checksum of the next existing piece.
    pub fn send_checksum(&mut self, sum: Checksum) -> Result<()> {
        self.sums.push(sum);
        self.owed -= 1;
        // A slow disk may need a minute for a full message.
        let is_time = self.last_sent.elapsed() >= SEND_EVERY;
        match self.sums.len() == SUMS_AT_ONCE || self.owed == 0 || is_time {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.sums.is_empty() {
            return Ok(());
        }
        self.last_sent = Instant::now();
        let sums = std::mem::take(&mut self.sums);
        Receiver::Sums(sums).frame().write(self.stream)
    }

    /// Whether the pusher understands holes.
    pub fn knows_holes(&self) -> bool {
        self.extensions.has(Extensions::HOLES)
    }

    /// Reports that the next pieces are a hole.
    pub fn send_zeros(&mut self, pieces: u64) -> Result<()> {
        self.flush()?;
        self.owed -= pieces;
        self.holes = self.holes.saturating_add(pieces.saturating_mul(PIECE));
        Receiver::Zeros(pieces).frame().write(self.stream)
    }

    /// Receives the offset at which the pusher continues, or why it skips the file.
    pub fn start(&mut self) -> Result<std::result::Result<u64, String>> {
        // While it compares, the pusher reads its file and sends signs of life.
        let compared = match self.want {
            Want::Content { have } => have,
            _ => self.entry.size,
        };
        let holes = self.holes.min(compared);
        let data = Duration::from_secs((compared - holes) / SLOWEST);
        let holes = Duration::from_secs(holes / SLOWEST / FASTER).min(LONGEST);
        let deadline = Deadline::after(LONGEST + data + holes);
        loop {
            match self.receive(&deadline)? {
                Pusher::Alive => {}
                Pusher::Start(offset) => {
                    self.starts = false;
                    let size = self.entry.size;
                    let most = match self.want {
                        Want::Content { have } => have,
                        _ => size,
                    };
                    if offset > most || (!offset.is_multiple_of(PIECE) && offset != size) {
                        return Err(TransferError::protocol(
                            "a start offset that was not offered",
                        ));
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

    /// Receives the header of the next piece, whose data the caller must read.
    pub fn next(&mut self) -> Result<Next> {
        let deadline = Deadline::after(LONGEST);
        loop {
            match self.receive(&deadline)? {
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
                        return Err(TransferError::protocol(format!(
                            "a hole of {length} bytes at the wrong place"
                        )));
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

    fn receive(&self, deadline: &Deadline) -> Result<Pusher> {
        deadline.check(|| {
            format!(
                "{} did not come from {}",
                self.entry.shown(),
                self.stream.peer()
            )
        })?;
        let frame = Frame::read_by(self.stream, &deadline.or_within(PATIENCE))?;
        Pusher::from_frame(&frame, self.extensions)
    }

    fn piece(&mut self, length: u64) -> Result<()> {
        if length != piece_at(self.offset, self.entry.size) {
            return Err(TransferError::protocol("a piece of the wrong length"));
        }
        self.offset += length;
        Ok(())
    }

    /// Records that `count` bytes of the piece were read.
    pub fn has_read(&mut self, count: u64) {
        self.rest -= count;
    }

    fn over(&mut self) {
        (self.owed, self.starts, self.rest) = (0, false, 0);
        self.offset = self.entry.size;
    }

    /// Reads and discards the rest. The pusher has the result already and may end the file early.
    pub fn drain(mut self) -> Result<()> {
        // A file that cannot be read has no checksums: send wrong ones.
        if self.knows_holes() && self.owed > 0 {
            self.send_zeros(self.owed)?;
        }
        while self.owed > 0 {
            self.send_checksum([0; CHECKSUM_SIZE])?;
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
