//! The content of a file as it comes in.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use thunderbolt_transport::{DataStream, TransportError};

use super::file::{out_of_turn, skipped};
use super::plan::failed;
use super::session::Session;
use crate::exit::Exit;
use crate::greeting::read_exactly;
use crate::transfer::entry::Entry;
use crate::transfer::frame::Frame;
use crate::transfer::message::Pusher;
use crate::transfer::sums::{sum, Checker, Sum};
use crate::transfer::trouble::{Result, Trouble};
use crate::transfer::{piece_at, PATIENCE, PIECE, SMALL};

/// With --sync the disk keeps pace, so that nobody waits long in the end.
const SYNCED: u64 = 64 * PIECE;

/// A file that grows.
pub struct Arriving<'a> {
    session: &'a Session,
    stream: &'a DataStream,
    entry: &'a Entry,
    file: Arc<File>,
    /// What is there in whole pieces.
    pub offset: u64,
    /// For what did not go through this process.
    checker: Option<Checker>,
    /// Why the pusher gave it up.
    pub skipped: Option<String>,
}

impl<'a> Arriving<'a> {
    /// Behind the first `offset` bytes.
    pub fn new(
        session: &'a Session,
        stream: &'a DataStream,
        entry: &'a Entry,
        file: Arc<File>,
        offset: u64,
    ) -> Self {
        Self {
            session,
            stream,
            entry,
            file,
            offset,
            checker: None,
            skipped: None,
        }
    }

    /// The offset of the first piece that is wrong, as far as that was checked beside the receiving.
    pub fn checked(&mut self) -> io::Result<Option<u64>> {
        self.checker.take().map_or(Ok(None), Checker::finish)
    }

    /// To the end of the file. Gives the offset of a piece that is known to be wrong: what follows is still
    /// taken off the stream.
    pub fn all(&mut self) -> Result<Option<u64>> {
        let mut wrong = None;
        while self.offset < self.entry.size {
            let (length, sum) = match Pusher::from_frame(&Frame::read(self.stream)?)? {
                Pusher::Data { length, sum } => (length, sum),
                Pusher::Alive => continue,
                Pusher::Skipped { why, .. } => {
                    self.skipped = Some(skipped(&why));
                    break;
                }
                other => return Err(out_of_turn(&other)),
            };
            if length != piece_at(self.offset, self.entry.size) {
                return Err(Trouble::protocol("a piece of another length"));
            }
            let is_right = if length <= SMALL {
                self.small(length, sum)?
            } else {
                self.large(length, sum)?
            };
            if !is_right {
                wrong = wrong.or(Some(self.offset));
            }
            self.offset += length;
            if self.session.sync && self.offset.is_multiple_of(SYNCED) {
                let synced = self.file.sync_data();
                synced.map_err(|error| failed(&self.entry.shown(), &error))?;
            }
        }
        Ok(wrong)
    }

    fn small(&mut self, length: u64, wanted: Sum) -> Result<bool> {
        let mut data = vec![0; length as usize];
        if read_exactly(self.stream, &mut data, PATIENCE)? < data.len() {
            return Err(Trouble::ended());
        }
        let written = self.file.write_all_at(&data, self.offset);
        written.map_err(|error| failed(&self.entry.shown(), &error))?;
        self.session.add(length);
        Ok(sum(&data) == wanted)
    }

    /// From the socket into the file, inside the kernel; read back beside that.
    fn large(&mut self, length: u64, wanted: Sum) -> Result<bool> {
        let patience = Some(PATIENCE);
        let file = self.file.as_fd();
        let moved = self
            .stream
            .receive_file(file, self.offset, length, patience);
        self.session.add(moved.count);
        moved.outcome.map_err(|error| self.cannot(error))?;
        if moved.count < length {
            return Err(Trouble::ended());
        }
        let checker = match &self.checker {
            Some(checker) => checker,
            None => {
                let checker = Checker::of(&self.file);
                let checker = checker.map_err(|error| failed(&self.entry.shown(), &error))?;
                self.checker.insert(checker)
            }
        };
        Ok(checker.check(self.offset, length, wanted))
    }

    /// The file's fault is told from the connection's.
    fn cannot(&self, error: TransportError) -> Trouble {
        let errno = error.raw_os_error().map(io::Error::from_raw_os_error);
        match errno.map(|errno| failed(&self.entry.shown(), &errno)) {
            Some(Trouble::Fatal(full)) if full.exit == Exit::DiskFull => full.into(),
            _ => error.into(),
        }
    }
}
