//! Where the bytes of the sending direction are: in the memory of the session, or in a file, from which they can
//! be sent again without a copy.
//!
//! The file must not change before the bytes are acknowledged. If it does, a rail that breaks makes the peer
//! receive what the file has then.

use std::collections::VecDeque;
use std::ops::Range;

/// Runs of bytes at most, so that a writer that alternates between memory and files takes no more memory than that.
const MAX_RUNS: usize = 4096;

/// Where a byte is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source<F> {
    /// In the [`super::store::Store`], at its position.
    Memory,
    /// At this offset of a file.
    File { file: F, offset: u64 },
}

#[derive(Debug)]
struct Run<F> {
    positions: Range<u64>,
    source: Source<F>,
}

/// The sources of all bytes that were not acknowledged. `F` is the file, cheap to clone: a reference to an open one.
#[derive(Debug)]
pub(crate) struct Sources<F> {
    /// In order, without gaps.
    runs: VecDeque<Run<F>>,
    end: u64,
}

impl<F: Clone + PartialEq> Sources<F> {
    pub fn new() -> Self {
        Self {
            runs: VecDeque::new(),
            end: 0,
        }
    }

    /// Whether acknowledgements have to come before another run can be added.
    pub fn is_full(&self) -> bool {
        self.runs.len() >= MAX_RUNS
    }

    /// The next bytes of the stream are in memory.
    pub fn add_memory(&mut self, length: u64) {
        self.add(Source::Memory, length);
    }

    /// The next bytes of the stream are in a file.
    pub fn add_file(&mut self, file: F, offset: u64, length: u64) {
        self.add(Source::File { file, offset }, length);
    }

    fn add(&mut self, source: Source<F>, length: u64) {
        let start = self.end;
        self.end += length;
        if let Some(last) = self.runs.back_mut() {
            let length = last.positions.end - last.positions.start;
            if advanced(&last.source, length) == source {
                last.positions.end = self.end;
                return;
            }
        }
        let positions = start..self.end;
        self.runs.push_back(Run { positions, source });
    }

    /// Where the bytes from `position` on are, and how many of the next `most` are there.
    pub fn locate(&self, position: u64, most: u64) -> Option<(Source<F>, u64)> {
        let index = self
            .runs
            .partition_point(|run| run.positions.end <= position);
        let run = self.runs.get(index)?;
        let inside = position.checked_sub(run.positions.start)?;
        let length = most.min(run.positions.end - position);
        Some((advanced(&run.source, inside), length))
    }

    /// Bytes below `position` are not needed any more.
    pub fn release(&mut self, position: u64) {
        while self
            .runs
            .front()
            .is_some_and(|run| run.positions.end <= position)
        {
            self.runs.pop_front();
        }
    }
}

fn advanced<F: Clone>(source: &Source<F>, by: u64) -> Source<F> {
    match source {
        Source::Memory => Source::Memory,
        Source::File { file, offset } => Source::File {
            file: file.clone(),
            offset: offset + by,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_position() {
        let mut sources = Sources::new();
        sources.add_memory(10);
        sources.add_memory(5);
        sources.add_file("a", 100, 20);
        sources.add_file("a", 120, 10);
        sources.add_file("a", 0, 10);
        sources.add_memory(5);
        assert_eq!(sources.runs.len(), 4);
        let file = |offset| Source::File { file: "a", offset };
        assert_eq!(sources.locate(3, 100), Some((Source::Memory, 12)));
        assert_eq!(sources.locate(15, 7), Some((file(100), 7)));
        assert_eq!(sources.locate(40, 100), Some((file(125), 5)));
        assert_eq!(sources.locate(45, 100), Some((file(0), 10)));
        assert_eq!(sources.locate(59, 100), Some((Source::Memory, 1)));
        assert_eq!(sources.locate(60, 100), None);
        sources.release(44);
        assert_eq!(sources.locate(44, 1), Some((file(129), 1)));
        assert_eq!(sources.locate(14, 1), None);
        sources.release(60);
        assert!(sources.runs.is_empty());
        sources.add_memory(1);
        assert_eq!(sources.locate(60, 9), Some((Source::Memory, 1)));
    }
}
