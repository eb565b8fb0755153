//! The protocol between `push` and `receive`: docs/DCF-TB.md.

pub mod checksums;
pub mod clock;
pub mod entry;
pub mod error;
pub mod extensions;
pub mod fields;
pub mod frame;
pub mod holes;
pub mod link;
pub mod message;
pub mod modes;
pub mod path;
pub mod progress;
#[cfg(test)]
mod property_tests;
pub mod sizes;
pub mod summary;

use std::time::Duration;

/// The size of a piece, which has its own checksum: a broken connection costs at most one piece.
pub const PIECE: u64 = 4 << 20;
/// Smaller pieces are copied through user space, where splicing costs more than it saves.
pub const SMALL: u64 = 256 << 10;
/// The longest silence of the other side. A side that is busy for longer sends a sign of life.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The most streams of one push.
pub const MOST_STREAMS: u16 = 16;

/// Identifies a push to the streams that join it.
pub type SessionId = [u8; 16];

/// The number of pieces of this many bytes.
pub fn pieces(bytes: u64) -> u64 {
    bytes.div_ceil(PIECE)
}

/// The length of the piece at an offset of a file.
pub fn piece_at(offset: u64, size: u64) -> u64 {
    PIECE.min(size - offset)
}
