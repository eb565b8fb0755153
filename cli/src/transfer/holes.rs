//! Holes of sparse files: ranges that read as zeros and occupy no disk space.

use std::fs::File;
use std::io;

use rustix::fs::{seek, SeekFrom};
use rustix::io::Errno;

use super::{piece_at, PIECE};

/// The most extents of a piece. A piece with more is sent as if it had no holes.
pub const MOST_EXTENTS: usize = 4096;

/// A range with data, by its offset in the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u32,
    pub length: u32,
}

/// The offset of the first data at or after `offset`, or `end` if there is none. A file system without holes has
/// data everywhere.
pub fn next_data(file: &File, offset: u64, end: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(at) => Ok(at.clamp(offset, end)),
        Err(Errno::NXIO) => Ok(end),
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::SPIPE) => Ok(offset),
        Err(error) => Err(error.into()),
    }
}

/// The offset of the first hole at or after `offset`, or `end` if there is none.
fn next_hole(file: &File, offset: u64, end: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(offset)) {
        Ok(at) => Ok(at.clamp(offset, end)),
        // The file was truncated, or its file system does not support holes.
        Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP | Errno::SPIPE) => Ok(end),
        Err(error) => Err(error.into()),
    }
}

/// The ranges with data between two offsets.
fn ranges(
    file: &File,
    from: u64,
    to: u64,
) -> impl Iterator<Item = io::Result<(u64, u64)>> + use<'_> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let range = next_data(file, at, to).and_then(|start| {
            // Always advance, even if the file changes at the same time.
            let end = next_hole(file, start, to)?.max((start + 1).min(to));
            Ok((start, end))
        });
        match range {
            Ok((start, _)) if start == to => None,
            Ok((start, end)) => {
                at = end;
                Some(Ok((start, end)))
            }
            Err(error) => {
                at = to;
                Some(Err(error))
            }
        }
    })
}

/// The bytes of a file that are not in holes.
pub fn data(file: &File, size: u64) -> io::Result<u64> {
    ranges(file, 0, size).try_fold(0, |sum, range| {
        let (start, end) = range?;
        Ok(sum + (end - start))
    })
}

/// The ranges with data in a piece. `None`: all of it has data, or there are too many ranges.
pub fn extents(file: &File, from: u64, to: u64) -> io::Result<Option<Vec<Extent>>> {
    let mut extents = Vec::new();
    for range in ranges(file, from, to) {
        let (start, end) = range?;
        if extents.len() == MOST_EXTENTS || (start, end) == (from, to) {
            return Ok(None);
        }
        extents.push(Extent {
            offset: (start - from) as u32,
            length: (end - start) as u32,
        });
    }
    // An empty list means that the range became a hole since it was last checked.
    Ok((!extents.is_empty()).then_some(extents))
}

/// The end of a hole that starts at the beginning of a piece: a piece boundary, or the end of the file.
pub fn hole_end(file: &File, offset: u64, size: u64) -> io::Result<u64> {
    let data = next_data(file, offset, size)?;
    Ok(match data == size {
        true => size,
        false => (data / PIECE * PIECE).max(offset),
    })
}

/// The end of the run of pieces with data that starts at `offset`.
pub fn run_end(file: &File, offset: u64, size: u64) -> io::Result<u64> {
    let mut at = offset;
    loop {
        let hole = next_hole(file, at, size)?;
        let whole = hole.div_ceil(PIECE).saturating_mul(PIECE).min(size);
        let from = whole.max(offset + piece_at(offset, size));
        if from >= size || hole_end(file, from, size)? > from {
            return Ok(from);
        }
        at = next_data(file, from, size)?;
    }
}

/// Whether extents are sorted, disjoint and within a piece.
pub fn are_within(extents: &[Extent], length: u64) -> bool {
    let mut end = 0;
    let fits = |extent: &Extent| {
        let begin = u64::from(extent.offset);
        let is_behind = begin >= end;
        end = begin + u64::from(extent.length);
        is_behind && extent.length > 0 && end <= length
    };
    extents.len() <= MOST_EXTENTS && !extents.is_empty() && extents.iter().all(fits)
}

/// The bytes of all extents.
pub fn total(extents: &[Extent]) -> u64 {
    extents.iter().map(|extent| u64::from(extent.length)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    const SIZE: u64 = 10 * PIECE + 1000;

    /// A file with data in these places, a block of 4 KiB each.
    fn sparse(places: &[u64]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        for place in places {
            file.write_all_at(&[1; 4096], *place).unwrap();
        }
        file
    }

    #[test]
    fn holes_are_found_where_they_are() {
        let file = sparse(&[4096, 5 * PIECE, 6 * PIECE + 8192]);
        assert_eq!(data(&file, SIZE).unwrap(), 3 * 4096);
        let extent = |offset| Extent {
            offset,
            length: 4096,
        };
        let within = |from| extents(&file, from, from + PIECE).unwrap();
        assert_eq!(within(0), Some(vec![extent(4096)]));
        assert_eq!(within(5 * PIECE), Some(vec![extent(0)]));
        assert_eq!(within(6 * PIECE), Some(vec![extent(8192)]));
        assert_eq!(hole_end(&file, 0, SIZE).unwrap(), 0);
        assert_eq!(run_end(&file, 0, SIZE).unwrap(), PIECE);
        assert_eq!(hole_end(&file, PIECE, SIZE).unwrap(), 5 * PIECE);
        assert_eq!(run_end(&file, 5 * PIECE, SIZE).unwrap(), 7 * PIECE);
        assert_eq!(hole_end(&file, 7 * PIECE, SIZE).unwrap(), SIZE);
    }

    #[test]
    fn a_file_without_holes_and_one_without_data() {
        let dense = tempfile::tempfile().unwrap();
        dense
            .write_all_at(&vec![1; PIECE as usize + 10], 0)
            .unwrap();
        let size = PIECE + 10;
        assert_eq!(data(&dense, size).unwrap(), size);
        assert_eq!(extents(&dense, 0, PIECE).unwrap(), None);
        assert_eq!(hole_end(&dense, 0, size).unwrap(), 0);
        assert_eq!(run_end(&dense, 0, size).unwrap(), size);
        let empty = sparse(&[]);
        assert_eq!(data(&empty, SIZE).unwrap(), 0);
        assert_eq!(hole_end(&empty, 0, SIZE).unwrap(), SIZE);
        // A file that is shorter than announced is detected later.
        assert_eq!(hole_end(&dense, 2 * PIECE, 3 * PIECE).unwrap(), 3 * PIECE);
    }

    #[test]
    fn extents_are_in_order_and_within_their_piece() {
        let extents = |list: &[(u32, u32)]| -> Vec<Extent> {
            let extent = |(offset, length): &(u32, u32)| Extent {
                offset: *offset,
                length: *length,
            };
            list.iter().map(extent).collect()
        };
        for right in [&[(0, 10)][..], &[(0, 1), (1, 1)], &[(2, 3), (7, 3)]] {
            assert!(are_within(&extents(right), 10), "{right:?}");
        }
        for wrong in [
            &[][..],
            &[(0, 0)],
            &[(0, 11)],
            &[(10, 1)],
            &[(0, 5), (4, 1)],
            &[(5, 1), (0, 1)],
            &[(u32::MAX, u32::MAX)],
        ] {
            assert!(!are_within(&extents(wrong), 10), "{wrong:?}");
        }
        let many: Vec<_> = (0..4097).map(|number| (number * 2, 1)).collect();
        assert!(!are_within(&extents(&many), PIECE));
    }
}
