//! Sends one file.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use thunderbolt_transport::TransportError;

use super::common_prefix::CommonPrefix;
use super::connection::{Connection, RemoteSums};
use super::job::Job;
use super::place::{changed, exit_of};
use crate::transfer::checksums::{sum, ChecksumsAhead};
use crate::transfer::entry::Entry;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::message::{Pusher, Want};
use crate::transfer::{piece_at, pieces, PATIENCE, SMALL};

/// Pushes one file. An error of the file is reported to the receiver; an error of this function ends the stream.
pub fn push(job: &Job<'_>, connection: &mut Connection<'_>, index: u32) -> Result<()> {
    let entry = &job.entries[index as usize];
    if job.tally.is_over(index) {
        return Ok(());
    }
    job.progress.name(&entry.shown());
    let file = match open(job, index) {
        Ok(file) => Arc::new(file),
        Err(error) => {
            let why = format!("cannot be read: {error}");
            return connection.skip(index, exit_of(&error), why);
        }
    };
    let want = job.wants[index as usize];
    if entry.size == 0 && want != Want::Comparison {
        job.tally.leaves(index);
    }
    connection.send(&Pusher::File(index))?;
    let outgoing = OutgoingFile {
        job,
        index,
        entry,
        file,
    };
    let sent = outgoing.all(connection, want);
    match sent {
        Ok(()) => Ok(()),
        Err(Stopped::Stream(error)) => Err(error),
        // The receiver sends the result, as for every file that was started.
        Err(Stopped::File(error)) => {
            let why = format!("cannot be read: {error}");
            connection.send(&Pusher::Skipped { index, why })
        }
        Err(Stopped::Over) => {
            let why = "the receiver stopped receiving it".to_owned();
            connection.send(&Pusher::Skipped { index, why })
        }
    }
}

fn open(job: &Job<'_>, index: u32) -> io::Result<File> {
    let file = job.tree.open(index)?;
    unchanged(&file, &job.entries[index as usize])?;
    Ok(file)
}

fn unchanged(file: &File, entry: &Entry) -> io::Result<()> {
    let metadata = file.metadata()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec() as u32);
    let same = (metadata.len(), modified) == (entry.size, entry.modified);
    match metadata.is_file() && same {
        true => Ok(()),
        false => Err(changed()),
    }
}

pub(super) enum Stopped {
    Stream(TransferError),
    File(io::Error),
    /// The receiver reported that it failed.
    Over,
}

impl From<TransferError> for Stopped {
    fn from(error: TransferError) -> Self {
        Self::Stream(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

pub(super) struct OutgoingFile<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) index: u32,
    pub(super) entry: &'a Entry,
    pub(super) file: Arc<File>,
}

impl OutgoingFile<'_> {
    fn all(&self, connection: &mut Connection<'_>, want: Want) -> std::result::Result<(), Stopped> {
        let size = self.entry.size;
        let offset = match want {
            Want::Nothing | Want::Content { have: 0 } => 0,
            Want::Content { have } => {
                let same = self.same(connection, have)?;
                self.job.progress.take_back(have - same);
                if same == size {
                    self.job.tally.leaves(self.index);
                }
                connection.send(&Pusher::Start(same))?;
                same
            }
            Want::Comparison => {
                let same = self.same(connection, size)?;
                unchanged(&self.file, self.entry)?;
                match same == size {
                    true => self.job.tally.same(self.index),
                    false => self.job.tally.leaves(self.index),
                }
                connection.send(&Pusher::Start(same))?;
                return Ok(());
            }
        };
        if self.entry.data() < size && self.knows_holes() {
            return self.sparse(connection, offset);
        }
        if size - offset <= SMALL {
            return self.small(connection, offset);
        }
        self.large(connection, offset, size)
    }

    /// Compares the receiver's checksums with the file. Returns how many bytes are the same, in whole pieces.
    fn same(
        &self,
        connection: &mut Connection<'_>,
        have: u64,
    ) -> std::result::Result<u64, Stopped> {
        let mut same = CommonPrefix::new(&self.file, have);
        let mut told = 0;
        while told < pieces(have) {
            let known = connection.sums()?;
            let count = match &known {
                RemoteSums::Sums(sums) => sums.len() as u64,
                RemoteSums::Zeros(pieces) => *pieces,
            };
            if count > pieces(have) - told {
                return Err(TransferError::protocol("more checksums than pieces").into());
            }
            told += count;
            match known {
                RemoteSums::Sums(sums) => sums.iter().for_each(|theirs| same.compare(theirs)),
                RemoteSums::Zeros(pieces) => same.compare_zeros(pieces, || {
                    connection.send(&Pusher::Alive)?;
                    connection.write()
                })?,
            }
            connection.send(&Pusher::Alive)?;
            connection.write()?;
        }
        let same = same.end()?;
        self.goes_on().map(|()| same)
    }

    /// Fails if the receiver reported that the file failed.
    pub(super) fn goes_on(&self) -> std::result::Result<(), Stopped> {
        match self.job.tally.is_over(self.index) {
            true => Err(Stopped::Over),
            false => Ok(()),
        }
    }

    /// Sends a small file, gathered with its neighbours.
    fn small(
        &self,
        connection: &mut Connection<'_>,
        offset: u64,
    ) -> std::result::Result<(), Stopped> {
        let mut data = vec![0; (self.entry.size - offset) as usize];
        if data.is_empty() {
            return Ok(());
        }
        self.job.tally.wait_for(data.len() as u64);
        self.file.read_exact_at(&mut data, offset)?;
        unchanged(&self.file, self.entry)?;
        self.job.tally.leaves(self.index);
        connection.send(&Pusher::Data {
            length: data.len() as u64,
            sum: sum(&data),
        })?;
        connection.append(&data)?;
        self.job.sent(data.len() as u64);
        Ok(())
    }

    /// Sends a range from the file into the socket, within the kernel.
    pub(super) fn large(
        &self,
        connection: &mut Connection<'_>,
        mut offset: u64,
        end: u64,
    ) -> std::result::Result<(), Stopped> {
        let size = self.entry.size;
        let sums = ChecksumsAhead::of(&self.file, offset, end)?;
        while offset < end {
            let length = piece_at(offset, size);
            let sum = sums.next()?;
            let extents = match end == size && self.entry.data() == size {
                true => None,
                false => self.extents(offset, length)?,
            };
            let is_last = offset + length == size;
            if is_last {
                self.last()?;
            }
            let read = match extents {
                None => {
                    connection.send(&Pusher::Data { length, sum })?;
                    connection.flush()?;
                    self.piece(connection, offset, length)?
                }
                Some(extents) => self.pieces(connection, offset, length, sum, extents)?,
            };
            offset += length;
            // After the last piece the receiver has the whole file, and reports that its checksum is wrong.
            if !is_last {
                read?;
                self.goes_on()?;
            }
        }
        Ok(())
    }

    /// Call this before the rest of the file is sent.
    pub(super) fn last(&self) -> io::Result<()> {
        unchanged(&self.file, self.entry)?;
        self.job.tally.leaves(self.index);
        Ok(())
    }

    /// Sends the data of an announced piece. If it cannot be read, sends zeros, so that its checksum is wrong.
    pub(super) fn piece(
        &self,
        connection: &mut Connection<'_>,
        offset: u64,
        length: u64,
    ) -> Result<io::Result<()>> {
        let file = self.file.as_fd();
        let (mut done, mut read) = (0, Ok(()));
        while done < length && read.is_ok() {
            let step = self.job.tally.step().min(length - done);
            self.job.tally.wait_for(step);
            let sent = connection
                .stream
                .send_file(file, offset + done, step, Some(PATIENCE));
            self.job.sent(sent.count);
            done += sent.count;
            read = match sent.outcome {
                Ok(()) if sent.count == step => Ok(()),
                // The file was truncated.
                Ok(()) => break,
                // Errors of a stream have other variants.
                Err(error @ (TransportError::Io(_) | TransportError::PermissionDenied { .. })) => {
                    Err(error.into())
                }
                Err(error) => return Err(connection.reason(error.into())),
            };
        }
        if done < length {
            // The file was truncated or cannot be read.
            let zeros = vec![0; (length - done) as usize];
            connection.append(&zeros)?;
            connection.flush()?;
        }
        Ok(read)
    }
}
