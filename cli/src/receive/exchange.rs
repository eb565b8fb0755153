//! How far the two sides are with one file: what the pusher still waits for, and what it still sends. After
//! a fault of that file the rest of the exchange is gone through, so that the stream can go on with the next.

use std::time::Duration;

use thunderbolt_transport::DataStream;

use super::file::{out_of_turn, skipped};
use crate::deadline::Deadline;
use crate::greeting::read_exactly;
use crate::transfer::entry::Entry;
use crate::transfer::extensions::Extensions;
use crate::transfer::frame::Frame;
use crate::transfer::message::{Pusher, Receiver, Want, AT_ONCE};
use crate::transfer::sums::{Sum, SUM};
use crate::transfer::trouble::{Result, Trouble};
use crate::transfer::{piece_at, pieces, PATIENCE, PIECE};

/// Checksums in one message: often enough that the pusher sees that we live.
const SUMS_AT_ONCE: usize = AT_ONCE / 64;
/// Bytes that are thrown away at a time.
const DISCARDED: u64 = 256 << 10;
/// How long a pusher may only say that it lives, where it is to go on with a file.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes a second that every pusher reads of its files.
const SLOWEST: u64 = 1 << 20;

/// The messages about one file that the pusher began.
pub struct Exchange<'a> {
    pub stream: &'a DataStream,
    pub entry: &'a Entry,
    want: Want,
    extensions: Extensions,
    /// Checksums that the pusher still waits for.
    owed: u64,
    sums: Vec<Sum>,
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
    Piece { length: u64, sum: Sum },
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
            starts: matches!(want, Want::Comparison) || compared > 0,
            offset: 0,
            rest: 0,
        }
    }

    /// Tells the checksum of the next piece that is here.
    pub fn tell(&mut self, sum: Sum) -> Result<()> {
        self.sums.push(sum);
        self.owed -= 1;
        if self.sums.len() == SUMS_AT_ONCE || self.owed == 0 {
            let sums = std::mem::take(&mut self.sums);
            Receiver::Sums(sums).frame().write(self.stream)?;
        }
        Ok(())
    }

    /// From where on the pusher sends, or why it does not.
    pub fn start(&mut self) -> Result<std::result::Result<u64, String>> {
        // The pusher reads what it compares, and says meanwhile that it lives.
        let compared = match self.want {
            Want::Content { have } => have,
            _ => self.entry.size,
        };
        let deadline = Deadline::after(LONGEST + Duration::from_secs(compared / SLOWEST));
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
                        return Err(Trouble::protocol("a start that was not offered"));
                    }
                    self.offset = offset;
                    return Ok(Ok(offset));
                }
                Pusher::Skipped { why, .. } => {
                    self.over();
                    return Ok(Err(skipped(&why)));
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
                    if length != piece_at(self.offset, self.entry.size) {
                        return Err(Trouble::protocol("a piece of another length"));
                    }
                    self.offset += length;
                    self.rest = length;
                    return Ok(Next::Piece { length, sum });
                }
                Pusher::Alive => {}
                Pusher::Skipped { why, .. } => {
                    self.over();
                    return Ok(Next::Skipped(skipped(&why)));
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
        while self.owed > 0 {
            self.tell([0; SUM])?;
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
                return Err(Trouble::ended());
            }
            self.rest -= step as u64;
        }
        Ok(())
    }
}
