//! The receiving direction of a session: which positions have arrived, and what the peer may send.

use super::ranges::Ranges;

/// Bytes of the window for each range that may arrive out of order. More ranges than that are no transfer but an
/// attempt to make each byte cost many.
const WINDOW_PER_RANGE: u64 = 256;
/// Ranges that may arrive out of order however small the window is.
const LEAST_RANGES: u64 = 1024;

/// A violation of the protocol by the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    BeyondWindow,
    BeyondFinish,
    OtherFinish,
    TooManyRanges,
}

impl Violation {
    pub fn text(self) -> &'static str {
        match self {
            Self::BeyondWindow => "data beyond the window",
            Self::BeyondFinish => "data beyond the finish",
            Self::OtherFinish => "two finishes at different positions",
            Self::TooManyRanges => "too many gaps between received data",
        }
    }
}

/// Bytes of a payload that have the same fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The position of the first one.
    pub offset: u64,
    pub length: u64,
    /// Store them. Otherwise they are duplicates: read and discard them.
    pub keep: bool,
}

#[derive(Debug)]
pub(super) struct Receiver {
    /// All bytes below have arrived.
    position: u64,
    /// All bytes below were taken by the reader.
    read: u64,
    /// Bytes that may wait for the reader, in order or not.
    window: u64,
    /// The end of the largest window that was announced. It never shrinks.
    announced: u64,
    /// What arrived beyond `position`.
    beyond: Ranges,
    /// The end of the highest byte that a frame had.
    highest: u64,
    /// The length of the direction, once the finish arrived.
    finish: Option<u64>,
}

impl Receiver {
    pub fn new(window: u32) -> Self {
        Self {
            position: 0,
            read: 0,
            window: window.into(),
            announced: 0,
            beyond: Ranges::default(),
            highest: 0,
            finish: None,
        }
    }

    /// Bytes that the reader can take.
    pub fn readable(&self) -> u64 {
        self.position - self.read
    }

    /// The position of the first byte that the reader has not taken.
    pub fn read_position(&self) -> u64 {
        self.read
    }

    /// Whether everything up to the finish has arrived.
    pub fn is_complete(&self) -> bool {
        self.finish == Some(self.position)
    }

    /// The position and the window of an acknowledgement. Call it only for one that is sent: the window then
    /// counts as announced.
    pub fn announce(&mut self) -> (u64, u32) {
        let limit = self.read + self.window;
        self.announced = self.announced.max(limit);
        let offset = self.acknowledged();
        let window = limit.saturating_sub(offset);
        (offset, u32::try_from(window).unwrap_or(u32::MAX))
    }

    /// The position to acknowledge. The finish has one too.
    pub fn acknowledged(&self) -> u64 {
        self.position + u64::from(self.is_complete())
    }

    /// A data frame begins.
    pub fn admit(&mut self, offset: u64, length: u32) -> Result<(), Violation> {
        let end = offset + u64::from(length);
        if end > self.announced {
            return Err(Violation::BeyondWindow);
        }
        if self.finish.is_some_and(|finish| end > finish) {
            return Err(Violation::BeyondFinish);
        }
        let most = LEAST_RANGES.max(self.window / WINDOW_PER_RANGE);
        if self.beyond.len() as u64 >= most {
            return Err(Violation::TooManyRanges);
        }
        self.highest = self.highest.max(end);
        Ok(())
    }

    /// What to do with the next bytes of a payload that has `length` left.
    pub fn piece(&self, offset: u64, length: u64) -> Piece {
        let (keep, end) = if offset < self.position {
            (false, self.position)
        } else {
            let (arrived, end) = self.beyond.run_from(offset);
            (!arrived, end)
        };
        Piece {
            offset,
            length: length.min(end - offset),
            keep,
        }
    }

    /// Bytes from `offset` on arrived and were stored.
    pub fn arrived(&mut self, offset: u64, length: u64) {
        let end = offset + length;
        if offset > self.position {
            self.beyond.insert(offset..end);
            return;
        }
        self.position = self.position.max(end);
        if let Some(first) = self.beyond.first() {
            if first.start <= self.position {
                self.position = self.position.max(first.end);
                self.beyond.remove_below(self.position);
            }
        }
    }

    /// The finish arrived, perhaps before data that precede it.
    pub fn finish(&mut self, offset: u64) -> Result<(), Violation> {
        if self.finish.is_some_and(|finish| finish != offset) {
            return Err(Violation::OtherFinish);
        }
        if offset < self.highest {
            return Err(Violation::BeyondFinish);
        }
        self.finish = Some(offset);
        Ok(())
    }

    /// The reader took bytes. Returns whether to announce a larger window now: early enough that the peer does
    /// not have to stop, and not for each small read.
    pub fn consume(&mut self, length: u64, worthwhile: u64) -> bool {
        assert!(length <= self.readable(), "taking what has not arrived");
        self.read += length;
        let gained = self.read + self.window - self.announced;
        let left = self.announced.saturating_sub(self.position);
        self.finish.is_none() && gained >= worthwhile && left < self.window / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(window: u32) -> Receiver {
        let mut receiver = Receiver::new(window);
        receiver.announce();
        receiver
    }

    #[test]
    fn gaps_are_filled_and_duplicates_discarded() {
        let mut receiver = receiver(100);
        receiver.admit(10, 10).unwrap();
        receiver.arrived(10, 10);
        assert_eq!((receiver.readable(), receiver.acknowledged()), (0, 0));
        let piece = |offset, length, keep| Piece {
            offset,
            length,
            keep,
        };
        assert_eq!(receiver.piece(0, 30), piece(0, 10, true));
        assert_eq!(receiver.piece(10, 20), piece(10, 10, false));
        assert_eq!(receiver.piece(20, 10), piece(20, 10, true));
        receiver.arrived(0, 10);
        assert_eq!((receiver.readable(), receiver.beyond.len()), (20, 0));
        assert_eq!(receiver.piece(5, 30), piece(5, 15, false));
        assert_eq!(receiver.announce(), (20, 80));
    }

    #[test]
    fn the_window_is_what_was_announced() {
        let mut receiver = receiver(100);
        assert_eq!(receiver.admit(1, 100), Err(Violation::BeyondWindow));
        receiver.admit(0, 100).unwrap();
        receiver.arrived(0, 100);
        assert!(!receiver.consume(20, 50));
        assert_eq!(receiver.admit(100, 1), Err(Violation::BeyondWindow));
        assert!(receiver.consume(30, 50));
        assert_eq!(receiver.announce(), (100, 50));
        receiver.admit(100, 50).unwrap();
        assert_eq!(receiver.admit(150, 1), Err(Violation::BeyondWindow));
    }

    #[test]
    fn a_finish_has_a_position() {
        let mut receiver = receiver(100);
        receiver.admit(0, 10).unwrap();
        assert_eq!(receiver.finish(9), Err(Violation::BeyondFinish));
        receiver.finish(20).unwrap();
        receiver.finish(20).unwrap();
        assert_eq!(receiver.finish(21), Err(Violation::OtherFinish));
        assert_eq!(receiver.admit(11, 10), Err(Violation::BeyondFinish));
        receiver.arrived(0, 10);
        assert_eq!(receiver.acknowledged(), 10);
        receiver.admit(10, 10).unwrap();
        receiver.arrived(10, 10);
        assert!(receiver.is_complete());
        assert_eq!(receiver.announce(), (21, 79));
    }

    #[test]
    fn the_ranges_are_bounded() {
        let mut receiver = receiver(100_000);
        let mut refused = None;
        for offset in (1..100_000).step_by(2) {
            if let Err(violation) = receiver.admit(offset, 1) {
                refused = Some((offset, violation));
                break;
            }
            receiver.arrived(offset, 1);
        }
        assert_eq!(refused, Some((2049, Violation::TooManyRanges)));
    }
}
