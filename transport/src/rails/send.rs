//! The sending direction of a session: which positions went over which rail, and what the peer has acknowledged.
//!
//! Each position below `next` is in exactly one of three places: acknowledged, outstanding on a rail, or lost
//! with a rail. The finish occupies the position behind the last byte, so it is tracked, lost and sent again
//! like a byte.

use std::collections::BTreeMap;
use std::ops::Range;

use super::rail::RailId;
use super::ranges::Ranges;

/// Ranges that are outstanding at most. When small writes alternate between rails, further bytes wait and go out
/// together.
const MAX_OUTSTANDING: usize = 4096;

/// What to put into the next frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Data(Range<u64>),
    Finish(u64),
}

#[derive(Debug)]
struct Outstanding {
    end: u64,
    rail: RailId,
}

/// The use of one rail.
#[derive(Debug)]
struct Count {
    rail: RailId,
    /// Ranges that are outstanding on it.
    ranges: usize,
    /// Positions that were sent over it and acknowledged over any rail.
    delivered: u64,
}

/// The peer acknowledged what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NeverSent;

#[derive(Debug)]
pub(super) struct Sender {
    /// All positions below were acknowledged.
    acknowledged: u64,
    /// The first position that was never sent.
    next: u64,
    /// The end of the bytes that the writer gave.
    end: u64,
    is_finished: bool,
    /// The peer can receive data up to here.
    limit: u64,
    /// By the start of each range.
    outstanding: BTreeMap<u64, Outstanding>,
    counts: Vec<Count>,
    lost: Ranges,
    retransmitted: u64,
}

impl Sender {
    pub fn new() -> Self {
        Self {
            acknowledged: 0,
            next: 0,
            end: 0,
            is_finished: false,
            limit: 0,
            outstanding: BTreeMap::new(),
            counts: Vec::new(),
            lost: Ranges::default(),
            retransmitted: 0,
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The end of the bytes that the writer gave.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that were sent once more, with another rail.
    pub fn retransmitted(&self) -> u64 {
        self.retransmitted
    }

    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether the finish and all before it were acknowledged.
    pub fn is_complete(&self) -> bool {
        self.is_finished && self.acknowledged > self.end
    }

    /// The writer has more bytes.
    pub fn extend(&mut self, length: u64) {
        assert!(!self.is_finished, "writing behind the finish");
        self.end += length;
    }

    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Whether a rail would get something to send.
    pub fn is_ready(&self) -> bool {
        !self.lost.is_empty() || self.has_fresh()
    }

    fn has_fresh(&self) -> bool {
        let has_data = self.next < self.end.min(self.limit);
        let has_finish = self.is_finished && self.next == self.end;
        (has_data || has_finish) && self.outstanding.len() < MAX_OUTSTANDING
    }

    /// Takes what goes over `rail` next: first what other rails lost, because everything behind it waits for it.
    pub fn take(&mut self, rail: RailId, most: u64) -> Option<Content> {
        let (start, end) = match self.lost.first() {
            Some(lost) => (lost.start, lost.end),
            None if self.has_fresh() => (self.next, self.end.min(self.limit)),
            None => return None,
        };
        let (content, end) = if start == self.end {
            (Content::Finish(start), start + 1)
        } else {
            let end = end.min(self.end).min(start + most);
            (Content::Data(start..end), end)
        };
        if start < self.next {
            self.lost.remove_below(end);
            self.retransmitted += end.min(self.end) - start;
        } else {
            self.next = end;
        }
        self.add_outstanding(start..end, rail);
        Some(content)
    }

    fn add_outstanding(&mut self, range: Range<u64>, rail: RailId) {
        if let Some((_, before)) = self.outstanding.range_mut(..range.start).next_back() {
            if before.end == range.start && before.rail == rail {
                before.end = range.end;
                return;
            }
        }
        let Range { start, end } = range;
        self.outstanding.insert(start, Outstanding { end, rail });
        match self.counts.iter_mut().find(|count| count.rail == rail) {
            Some(count) => count.ranges += 1,
            None => self.counts.push(Count {
                rail,
                ranges: 1,
                delivered: 0,
            }),
        }
    }

    /// Whether an acknowledgement up to `offset` can be true.
    pub fn can_acknowledge(&self, offset: u64) -> bool {
        offset <= self.next
    }

    /// Whether something that went over `rail` is not acknowledged, and how many positions of it are.
    pub fn state_of(&self, rail: RailId) -> (bool, u64) {
        let count = self.counts.iter().find(|count| count.rail == rail);
        count.map_or((false, 0), |count| (count.ranges > 0, count.delivered))
    }

    /// The peer has everything below `offset`, and room for `window` bytes from there. Acknowledgements of
    /// different rails overtake each other, so an older one is ignored.
    pub fn acknowledge(&mut self, offset: u64, window: u32) -> Result<(), NeverSent> {
        if !self.can_acknowledge(offset) {
            return Err(NeverSent);
        }
        self.limit = self.limit.max(offset.saturating_add(window.into()));
        if offset <= self.acknowledged {
            return Ok(());
        }
        self.acknowledged = offset;
        self.lost.remove_below(offset);
        while let Some(first) = self.outstanding.first_entry() {
            if *first.key() >= offset {
                break;
            }
            let (start, range) = first.remove_entry();
            let count = self.counts.iter_mut().find(|it| it.rail == range.rail);
            let count = count.expect("a rail with outstanding ranges is counted");
            count.delivered += range.end.min(offset) - start;
            if range.end > offset {
                self.outstanding.insert(offset, range);
                break;
            }
            count.ranges -= 1;
        }
        Ok(())
    }

    /// A rail failed or was closed. Its outstanding ranges have to go over others.
    pub fn lose(&mut self, rail: RailId) {
        self.outstanding.retain(|&start, range| {
            let stays = range.rail != rail;
            if !stays {
                self.lost.insert(start..range.end);
            }
            stays
        });
        self.counts.retain(|count| count.rail != rail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RailId = RailId(1);
    const B: RailId = RailId(2);

    fn data(range: Range<u64>) -> Option<Content> {
        Some(Content::Data(range))
    }

    fn sender(window: u32, length: u64) -> Sender {
        let mut sender = Sender::new();
        sender.acknowledge(0, window).unwrap();
        sender.extend(length);
        sender
    }

    #[test]
    fn what_a_rail_lost_goes_first() {
        let mut sender = sender(100, 50);
        assert_eq!(sender.take(A, 10), data(0..10));
        assert_eq!(sender.take(B, 10), data(10..20));
        assert_eq!(sender.take(A, 10), data(20..30));
        sender.lose(A);
        assert_eq!(sender.take(B, 10), data(0..10));
        assert_eq!(sender.take(B, 6), data(20..26));
        assert_eq!(sender.take(B, 6), data(26..30));
        assert_eq!(sender.take(B, 10), data(30..40));
        assert_eq!(sender.retransmitted(), 20);
        assert_eq!(sender.state_of(A), (false, 0));
        sender.acknowledge(35, 60).unwrap();
        assert_eq!(sender.state_of(B), (true, 35));
        sender.acknowledge(40, 60).unwrap();
        assert_eq!(sender.state_of(B), (false, 40));
    }

    #[test]
    fn an_acknowledgement_may_end_inside_of_a_frame() {
        let mut sender = sender(100, 30);
        assert_eq!(sender.take(A, 30), data(0..30));
        sender.acknowledge(12, 80).unwrap();
        sender.acknowledge(5, 10).unwrap();
        assert_eq!(sender.acknowledged(), 12);
        sender.lose(A);
        sender.acknowledge(15, 80).unwrap();
        assert_eq!(sender.take(B, 30), data(15..30));
        assert_eq!(sender.acknowledge(31, 80), Err(NeverSent));
    }

    #[test]
    fn data_stay_within_the_window_and_a_finish_needs_none() {
        let mut sender = sender(20, 30);
        assert_eq!(sender.take(A, 100), data(0..20));
        assert_eq!(sender.take(A, 100), None);
        sender.finish();
        assert_eq!(sender.take(A, 100), None);
        sender.acknowledge(20, 10).unwrap();
        assert_eq!(sender.take(A, 100), data(20..30));
        assert_eq!(sender.take(B, 100), Some(Content::Finish(30)));
        assert_eq!(sender.take(A, 100), None);
        sender.lose(B);
        assert_eq!(sender.take(A, 100), Some(Content::Finish(30)));
        sender.acknowledge(30, 0).unwrap();
        assert!(!sender.is_complete() && sender.state_of(A).0);
        sender.acknowledge(31, 0).unwrap();
        assert!(sender.is_complete() && !sender.state_of(A).0);
    }

    #[test]
    fn many_small_writes_wait_for_acknowledgements() {
        let mut sender = sender(u32::MAX, 1 << 20);
        let mut taken = 0;
        while sender.take(if taken % 2 == 0 { A } else { B }, 1).is_some() {
            taken += 1;
        }
        assert_eq!(taken, MAX_OUTSTANDING as u64);
        sender.lose(A);
        // The limit does not hold for lost ranges: acknowledgements wait for them.
        assert_eq!(sender.take(B, 1), data(0..1));
        sender.acknowledge(taken, u32::MAX).unwrap();
        assert_eq!(sender.take(B, 10), data(taken..taken + 10));
    }
}
