//! Checksums of pieces: 128-bit XXH3. They detect damage, not tampering, faster than a cable transfers; the link
//! is not authenticated anyway.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use xxhash_rust::xxh3::{xxh3_128, Xxh3Default};

use super::{piece_at, PIECE};

/// The size of a checksum in bytes.
pub const CHECKSUM_SIZE: usize = 16;
pub type Checksum = [u8; CHECKSUM_SIZE];

/// The checksum of zeros.
pub fn sum_of_zeros(length: u64) -> Checksum {
    sum(&vec![0; length as usize])
}

/// Bytes read at once: they stay in the processor's cache until they are hashed.
pub const STEP: usize = 256 << 10;
/// How many pieces one thread may be ahead of the other.
const AHEAD: usize = 4;

pub fn sum(data: &[u8]) -> Checksum {
    xxh3_128(data).to_be_bytes()
}

/// The checksum of a piece of a file.
pub fn sum_of(file: &File, mut offset: u64, length: u64, buf: &mut [u8]) -> io::Result<Checksum> {
    let mut hash = Xxh3Default::new();
    let end = offset + length;
    while offset < end {
        let step = (end - offset).min(buf.len() as u64) as usize;
        file.read_exact_at(&mut buf[..step], offset)?;
        hash.update(&buf[..step]);
        offset += step as u64;
    }
    Ok(hash.digest128().to_be_bytes())
}

/// The checksums of a range of a file, computed by a thread that stays a few pieces ahead. The thread also brings
/// the file into the page cache for the sender.
pub struct ChecksumsAhead(Receiver<io::Result<Checksum>>);

impl ChecksumsAhead {
    pub fn of(file: &Arc<File>, from: u64, to: u64) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(AHEAD);
        let file = Arc::clone(file);
        thread::Builder::new().name("sums".into()).spawn(move || {
            let mut buf = vec![0; STEP];
            let mut offset = from;
            while offset < to {
                let length = piece_at(offset, to);
                let sum = sum_of(&file, offset, length, &mut buf);
                let failed = sum.is_err();
                // The receiver is dropped when the transfer fails.
                if sender.send(sum).is_err() || failed {
                    break;
                }
                offset += length;
            }
        })?;
        Ok(Self(receiver))
    }

    pub fn next(&self) -> io::Result<Checksum> {
        let lost = |_| Err(io::Error::other("the checksum thread ended unexpectedly"));
        self.0.recv().unwrap_or_else(lost)
    }
}

/// A piece that was written, and its expected checksum.
struct Written {
    offset: u64,
    length: u64,
    sum: Checksum,
}

/// Reads back what was written to a file and compares it, on its own thread.
pub struct Checker {
    pieces: Option<SyncSender<Written>>,
    thread: JoinHandle<io::Result<Option<u64>>>,
}

impl Checker {
    pub fn of(file: &Arc<File>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Written>(AHEAD);
        let file = Arc::clone(file);
        let work = move || {
            let mut buf = vec![0; STEP];
            for piece in receiver {
                if sum_of(&file, piece.offset, piece.length, &mut buf)? != piece.sum {
                    return Ok(Some(piece.offset));
                }
            }
            Ok(None)
        };
        Ok(Self {
            pieces: Some(sender),
            thread: thread::Builder::new().name("check".into()).spawn(work)?,
        })
    }

    /// Queues a piece. Returns false if a wrong piece is known already.
    pub fn check(&self, offset: u64, length: u64, sum: Checksum) -> bool {
        let piece = Written {
            offset,
            length,
            sum,
        };
        // The thread ends at the first wrong piece.
        self.pieces
            .as_ref()
            .is_some_and(|pieces| pieces.send(piece).is_ok())
    }

    /// Waits for the thread; returns the offset of the first wrong piece, if any.
    pub fn finish(mut self) -> io::Result<Option<u64>> {
        self.pieces = None;
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the checking thread ended unexpectedly")))
    }
}

/// How much of an unfinished file of `length` bytes can be resumed: whole pieces, or all of it.
pub fn resumable(length: u64, size: u64) -> u64 {
    match length.cmp(&size) {
        std::cmp::Ordering::Equal => size,
        std::cmp::Ordering::Less => length / PIECE * PIECE,
        std::cmp::Ordering::Greater => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(size: usize) -> (Arc<File>, Vec<u8>) {
        let content: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        (Arc::new(file), content)
    }

    #[test]
    fn sums_ahead_are_those_of_the_pieces() {
        let size = PIECE as usize * 2 + 1000;
        let (file, content) = file(size);
        let sums = ChecksumsAhead::of(&file, 0, size as u64).unwrap();
        for piece in content.chunks(PIECE as usize) {
            assert_eq!(sums.next().unwrap(), sum(piece));
        }
        assert!(sums.next().is_err());
        let beyond = ChecksumsAhead::of(&file, 0, size as u64 + 1).unwrap();
        assert!(
            (0..3).any(|_| beyond.next().is_err()),
            "the file is shorter"
        );
    }

    #[test]
    fn the_first_wrong_piece_is_found() {
        let (file, content) = file(PIECE as usize + 10);
        let (first, second) = content.split_at(PIECE as usize);
        let checker = Checker::of(&file).unwrap();
        assert!(checker.check(0, PIECE, sum(first)));
        checker.check(PIECE, 10, sum(second));
        assert_eq!(checker.finish().unwrap(), None);
        let checker = Checker::of(&file).unwrap();
        checker.check(0, PIECE, sum(first));
        checker.check(PIECE, 10, sum(first));
        assert_eq!(checker.finish().unwrap(), Some(PIECE));
    }

    #[test]
    fn whole_pieces_are_gone_on_from() {
        assert_eq!(resumable(PIECE + 5, 10 * PIECE), PIECE);
        assert_eq!(resumable(PIECE + 5, PIECE + 5), PIECE + 5);
        assert_eq!(resumable(PIECE + 6, PIECE + 5), 0);
    }
}
