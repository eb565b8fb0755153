//! Sends sparse files: holes are reported, not sent.

use std::io;

use super::connection::Connection;
use super::file::{OutgoingFile, Stopped};
use crate::transfer::checksums::Checksum;
use crate::transfer::error::Result;
use crate::transfer::extensions::Extensions;
use crate::transfer::holes::{extents, hole_end, run_end, total, Extent};
use crate::transfer::message::Pusher;

impl OutgoingFile<'_> {
    /// Sends the file from an offset to its end.
    pub(super) fn sparse(
        &self,
        connection: &mut Connection<'_>,
        mut offset: u64,
    ) -> std::result::Result<(), Stopped> {
        let size = self.entry.size;
        while offset < size {
            self.goes_on()?;
            let hole = hole_end(&self.file, offset, size)?;
            if hole == offset {
                let end = run_end(&self.file, offset, size)?;
                self.large(connection, offset, end)?;
                offset = end;
                continue;
            }
            if hole == size {
                self.last()?;
            }
            connection.send(&Pusher::Hole(hole - offset))?;
            self.job.progress.add(hole - offset);
            offset = hole;
        }
        Ok(())
    }

    /// The ranges with data in a piece, unless all of it has data.
    pub(super) fn extents(&self, offset: u64, length: u64) -> io::Result<Option<Vec<Extent>>> {
        match self.knows_holes() {
            true => extents(&self.file, offset, offset + length),
            false => Ok(None),
        }
    }

    /// Sends the extents of a piece.
    pub(super) fn pieces(
        &self,
        connection: &mut Connection<'_>,
        offset: u64,
        length: u64,
        sum: Checksum,
        extents: Vec<Extent>,
    ) -> Result<io::Result<()>> {
        connection.send(&Pusher::Sparse {
            length,
            sum,
            extents: extents.clone(),
        })?;
        connection.flush()?;
        self.job.progress.add(length - total(&extents));
        let mut all = Ok(());
        for extent in extents {
            let read = self.piece(
                connection,
                offset + u64::from(extent.offset),
                extent.length.into(),
            )?;
            all = all.and(read);
        }
        Ok(all)
    }

    pub(super) fn knows_holes(&self) -> bool {
        self.job.extensions.has(Extensions::HOLES)
    }
}
