//! What `push` and `receive` say to each other: docs/DCF-TB.md.

pub mod checksums;
pub mod entry;
pub mod error;
pub mod extensions;
pub mod fields;
pub mod frame;
pub mod holes;
pub mod link;
pub mod message;
pub mod path;
pub mod progress;
#[cfg(test)]
mod property_tests;
pub mod sizes;

use std::time::Duration;

/// Bytes of a file that have a checksum of their own: what a broken cable can cost.
pub const PIECE: u64 = 4 << 20;
/// Pieces up to this size go through memory: the way through the kernel has its price too.
pub const SMALL: u64 = 256 << 10;
/// How long the other side may say nothing. Checking what is there already makes it say that it lives.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Streams that one push may use.
pub const MOST_STREAMS: u16 = 16;

/// Names a push among those that join it with more streams.
pub type SessionId = [u8; 16];

/// How many pieces so many bytes are.
pub fn pieces(bytes: u64) -> u64 {
    bytes.div_ceil(PIECE)
}

/// The length of the piece at an offset of a file.
pub fn piece_at(offset: u64, size: u64) -> u64 {
    PIECE.min(size - offset)
}
