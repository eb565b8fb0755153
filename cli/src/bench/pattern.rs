//! The test data: a sequence with a prime period, so that lost, duplicated and displaced data is detected.

use std::sync::LazyLock;

use crate::paced_reader;

/// The period in bytes.
const PERIOD: usize = 1_048_573;
/// The most bytes of one write or read.
pub const PIECE: usize = paced_reader::LARGE;

pub struct Pattern {
    bytes: &'static [u8],
    offset: usize,
}

/// A period and the beginning of the next, so that every piece is one slice. All streams share it.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes: Vec<u8> = Vec::with_capacity(PERIOD + PIECE);
    while bytes.len() < PERIOD {
        // xorshift64 (Marsaglia, "Xorshift RNGs").
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(PERIOD);
    bytes.extend_from_within(..PIECE);
    bytes
});

impl Pattern {
    pub fn new() -> Self {
        Self {
            bytes: &BYTES,
            offset: 0,
        }
    }

    /// The next `count` bytes, at most a piece.
    pub fn next(&mut self, count: usize) -> &[u8] {
        let from = self.offset;
        self.offset = (from + count) % PERIOD;
        &self.bytes[from..from + count]
    }

    /// Whether these bytes are the next ones.
    pub fn continues(&mut self, bytes: &[u8]) -> bool {
        self.next(bytes.len()) == bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_over_its_end_and_notices_what_is_missing() {
        let (mut one, mut other) = (Pattern::new(), Pattern::new());
        for size in [1, PIECE, 777, PIECE, PIECE, PIECE, PIECE, 3] {
            let bytes = one.next(size).to_vec();
            assert!(other.continues(&bytes));
        }
        let bytes = one.next(100).to_vec();
        assert!(!other.continues(&bytes[1..]));
    }
}
