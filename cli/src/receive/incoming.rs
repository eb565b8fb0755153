//! The content of a file as it arrives.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::exchange::{Exchange, Next};
use super::fault::Fault;
use super::session::Session;
use crate::handshake::read_exactly;
use crate::transfer::checksums::{sum, Checker, Checksum};
use crate::transfer::error::TransferError;
use crate::transfer::holes::{total, Extent};
use crate::transfer::{PATIENCE, PIECE, SMALL};

/// With --sync, data is written to the disk this often, so that the end of the file need not wait long.
const SYNCED: u64 = 64 * PIECE;

/// A file that is being received.
pub struct IncomingFile<'a, 'b> {
    session: &'a Session,
    exchange: &'a mut Exchange<'b>,
    file: Arc<File>,
    /// The end of the complete pieces.
    pub offset: u64,
    /// Checks pieces that did not pass through user space.
    checker: Option<Checker>,
    /// Why the pusher skipped it.
    pub skipped: Option<String>,
}

impl<'a, 'b> IncomingFile<'a, 'b> {
    /// Continues after the first `offset` bytes.
    pub fn new(
        session: &'a Session,
        exchange: &'a mut Exchange<'b>,
        file: Arc<File>,
        offset: u64,
    ) -> Self {
        Self {
            session,
            exchange,
            file,
            offset,
            checker: None,
            skipped: None,
        }
    }

    /// Waits for the checks; returns the offset of the first wrong piece.
    pub fn checked(&mut self) -> io::Result<Option<u64>> {
        self.checker.take().map_or(Ok(None), Checker::finish)
    }

    /// Receives to the end of the file. Returns the offset of a piece that is known to be wrong; the rest is
    /// still read from the stream.
    pub fn all(&mut self) -> std::result::Result<Option<u64>, Fault> {
        let mut wrong = None;
        while self.offset < self.exchange.entry.size {
            let (length, is_right) = match self.exchange.next()? {
                Next::Piece { length, sum } if length <= SMALL => {
                    (length, self.small(length, sum)?)
                }
                Next::Piece { length, sum } => (length, self.large(length, sum)?),
                Next::Sparse {
                    length,
                    sum,
                    extents,
                } => (length, self.sparse(length, sum, &extents)?),
                Next::Hole(length) => (length, self.hole(length)?),
                Next::Skipped(why) => {
                    self.skipped = Some(why);
                    break;
                }
            };
            if !is_right {
                wrong = wrong.or(Some(self.offset));
            }
            self.offset += length;
            if self.session.rules.sync && self.offset.is_multiple_of(SYNCED) {
                self.file.sync_data().map_err(|error| self.cannot(&error))?;
            }
        }
        Ok(wrong)
    }

    fn small(&mut self, length: u64, wanted: Checksum) -> std::result::Result<bool, Fault> {
        let data = self.write(self.offset, length)?;
        Ok(sum(&data) == wanted)
    }

    /// Reads from the socket and writes to the file. Returns the data.
    fn write(&mut self, offset: u64, length: u64) -> std::result::Result<Vec<u8>, Fault> {
        let mut data = vec![0; length as usize];
        if read_exactly(self.exchange.stream, &mut data, PATIENCE).map_err(TransferError::from)?
            < data.len()
        {
            return Err(TransferError::ended().into());
        }
        self.exchange.has_read(length);
        let written = self.file.write_all_at(&data, offset);
        written.map_err(|error| self.cannot(&error))?;
        self.session.add(length);
        Ok(data)
    }

    /// Splices within the kernel. Another thread reads the file back.
    fn large(&mut self, length: u64, wanted: Checksum) -> std::result::Result<bool, Fault> {
        self.splice(self.offset, length)?;
        self.check(length, wanted)
    }

    fn splice(&mut self, offset: u64, length: u64) -> std::result::Result<(), Fault> {
        let patience = Some(PATIENCE);
        let file = self.file.as_fd();
        let moved = self
            .exchange
            .stream
            .receive_file(file, offset, length, patience);
        self.session.add(moved.count);
        self.exchange.has_read(moved.count);
        let (folder, entry) = (&self.session.folder, self.exchange.entry);
        let outcome = moved.outcome;
        outcome.map_err(|error| Fault::of_transfer(folder, entry, error))?;
        match moved.count < length {
            true => Err(TransferError::ended().into()),
            false => Ok(()),
        }
    }

    /// Queues a piece to be read back.
    fn check(&mut self, length: u64, wanted: Checksum) -> std::result::Result<bool, Fault> {
        let checker = match &self.checker {
            Some(checker) => checker,
            None => {
                let checker = Checker::of(&self.file).map_err(|error| self.cannot(&error))?;
                self.checker.insert(checker)
            }
        };
        Ok(checker.check(self.offset, length, wanted))
    }

    /// Receives the extents of a piece. The file has no data after `offset`, so the gaps become holes.
    fn sparse(
        &mut self,
        length: u64,
        wanted: Checksum,
        extents: &[Extent],
    ) -> std::result::Result<bool, Fault> {
        for extent in extents {
            let (offset, length) = (self.offset + u64::from(extent.offset), extent.length.into());
            match length <= SMALL {
                true => drop(self.write(offset, length)?),
                false => self.splice(offset, length)?,
            }
        }
        self.hole_up_to(self.offset + length)?;
        self.session.progress.add(length - total(extents));
        self.check(length, wanted)
    }

    fn hole(&mut self, length: u64) -> std::result::Result<bool, Fault> {
        self.hole_up_to(self.offset + length)?;
        self.session.progress.add(length);
        Ok(true)
    }

    fn hole_up_to(&self, end: u64) -> std::result::Result<(), Fault> {
        self.file.set_len(end).map_err(|error| self.cannot(&error))
    }

    fn cannot(&self, error: &io::Error) -> Fault {
        Fault::of(&self.session.folder, self.exchange.entry, error)
    }
}
