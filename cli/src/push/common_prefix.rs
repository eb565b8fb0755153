//! Determines how much of a file the receiver already has, by checksums of its pieces.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::transfer::checksums::{sum_of, sum_of_zeros, Checksum, ChecksumsAhead, STEP};
use crate::transfer::error::TransferError;
use crate::transfer::holes::hole_end;
use crate::transfer::{piece_at, PIECE};

/// Pieces that are compared between two signs of life.
const SILENT: u64 = 64;

/// The pieces from the start of a file that are the same on both sides, up to the first difference.
pub struct CommonPrefix<'a> {
    file: &'a Arc<File>,
    have: u64,
    /// The bytes that are the same.
    offset: u64,
    /// Computes our checksums, from `offset` on.
    ahead: Option<ChecksumsAhead>,
    differs: bool,
    failed: Option<io::Error>,
}

impl<'a> CommonPrefix<'a> {
    pub fn new(file: &'a Arc<File>, have: u64) -> Self {
        Self {
            file,
            have,
            offset: 0,
            ahead: None,
            differs: false,
            failed: None,
        }
    }

    /// Compares the next checksum. After the first difference or error, the remaining checksums are ignored.
    pub fn compare(&mut self, theirs: &Checksum) {
        if self.is_over() {
            return;
        }
        match self.next() {
            Ok(ours) if ours == *theirs => self.offset += piece_at(self.offset, self.have),
            Ok(_) => self.differs = true,
            Err(error) => self.failed = Some(error),
        }
    }

    fn is_over(&self) -> bool {
        self.differs || self.failed.is_some()
    }

    fn next(&mut self) -> io::Result<Checksum> {
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead,
            None => ChecksumsAhead::of(self.file, self.offset, self.have)?,
        };
        let sum = ahead.next();
        self.ahead = Some(ahead);
        sum
    }

    /// The next pieces are holes at the receiver. Here they may be holes or zeros. Calls `alive` regularly.
    pub fn compare_zeros(
        &mut self,
        pieces: u64,
        mut alive: impl FnMut() -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.ahead = None;
        let end = self.offset.saturating_add(pieces.saturating_mul(PIECE));
        let end = end.min(self.have);
        let mut buf = vec![0; STEP];
        let mut compared = 0;
        while self.offset < end && !self.is_over() {
            match self.zeros(end, &mut buf) {
                Ok(0) => self.differs = true,
                Ok(count) => self.offset += count,
                Err(error) => self.failed = Some(error),
            }
            compared += 1;
            if compared % SILENT == 0 {
                alive()?;
            }
        }
        Ok(())
    }

    /// Returns how many of the next bytes are zeros: a hole, a piece, or none.
    fn zeros(&self, end: u64, buf: &mut [u8]) -> io::Result<u64> {
        let hole = hole_end(self.file, self.offset, self.have)?.min(end);
        if hole > self.offset {
            return Ok(hole - self.offset);
        }
        let length = piece_at(self.offset, self.have);
        let ours = sum_of(self.file, self.offset, length, buf)?;
        Ok(if ours == sum_of_zeros(length) {
            length
        } else {
            0
        })
    }

    /// Returns how many bytes are the same.
    pub fn end(self) -> io::Result<u64> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::checksums::sum;
    use crate::transfer::pieces;
    use std::os::unix::fs::FileExt;

    const HAVE: u64 = 5 * PIECE + 100;

    fn file(data: &[(u64, u8)]) -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(HAVE).unwrap();
        for (offset, byte) in data {
            file.write_all_at(&[*byte; 10], *offset).unwrap();
        }
        Arc::new(file)
    }

    fn zeros(file: &Arc<File>, sums: u64, count: u64) -> u64 {
        let mut same = CommonPrefix::new(file, HAVE);
        (0..sums).for_each(|_| same.compare(&sum_of_zeros(PIECE)));
        same.compare_zeros(count, || Ok(())).unwrap();
        same.end().unwrap()
    }

    #[test]
    fn a_hole_is_the_same_as_zeros_and_as_a_hole() {
        for ours in [file(&[]), file(&[(0, 0), (PIECE, 0), (5 * PIECE, 0)])] {
            assert_eq!(zeros(&ours, 0, pieces(HAVE)), HAVE);
            assert_eq!(zeros(&ours, 2, 4), HAVE);
            assert_eq!(zeros(&ours, 1, 2), 3 * PIECE);
        }
        for (at, same) in [(0, 0), (3 * PIECE + 5, 3 * PIECE), (HAVE - 10, 5 * PIECE)] {
            assert_eq!(zeros(&file(&[(at, 1)]), 0, pieces(HAVE)), same);
        }
    }

    #[test]
    fn nothing_counts_behind_a_difference() {
        let ours = file(&[(PIECE, 1)]);
        let mut same = CommonPrefix::new(&ours, HAVE);
        same.compare(&sum_of_zeros(PIECE));
        same.compare(&sum(b"other"));
        same.compare(&sum_of_zeros(PIECE));
        same.compare_zeros(3, || Ok(())).unwrap();
        assert_eq!(same.end().unwrap(), PIECE);
    }
}
