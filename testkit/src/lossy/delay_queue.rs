//! The packets in flight in one direction.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::faults::Fate;

/// How long a reordered packet waits for others to overtake it.
const WAIT: Duration = Duration::from_millis(5);

/// A queue of packets with their times of arrival, and the packets that are being overtaken.
#[derive(Debug, Default)]
pub(super) struct DelayQueue {
    queue: VecDeque<(Instant, Vec<u8>)>,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    packet: Vec<u8>,
    overtakers: u64,
    until: Instant,
}

impl DelayQueue {
    /// Adds a packet. The caller has applied dropping and corruption.
    pub fn push(&mut self, packet: Vec<u8>, fate: &Fate, now: Instant) {
        if fate.overtakers > 0 {
            // Of a duplicated packet, only one copy is overtaken.
            if fate.duplicated {
                self.append(packet.clone(), now + fate.late);
            }
            self.held.push(Held {
                packet,
                overtakers: fate.overtakers,
                until: now + WAIT,
            });
            return;
        }
        if fate.duplicated {
            self.append(packet.clone(), now + fate.late);
        }
        self.append(packet, now + fate.late);
        for held in &mut self.held {
            held.overtakers -= 1;
        }
        self.release(now, |held| held.overtakers == 0);
    }

    /// Removes the next packet that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.release(now, |held| now >= held.until);
        let (due, _) = self.queue.front()?;
        match *due <= now {
            true => self.queue.pop_front().map(|(_, packet)| packet),
            false => None,
        }
    }

    /// When the next packet is due.
    pub fn next_due(&self) -> Option<Instant> {
        let queued = self.queue.front().map(|(due, _)| *due);
        let held = self.held.iter().map(|held| held.until).min();
        queued.into_iter().chain(held).min()
    }

    /// Drops all packets in flight.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.held.clear();
    }

    /// Appends a packet that arrives behind all others, and not before `due`.
    fn append(&mut self, packet: Vec<u8>, due: Instant) {
        let last = self.queue.back().map_or(due, |(last, _)| due.max(*last));
        self.queue.push_back((last, packet));
    }

    /// Moves the held packets selected by `which` to the queue.
    fn release(&mut self, now: Instant, mut which: impl FnMut(&Held) -> bool) {
        while let Some(place) = self.held.iter().position(&mut which) {
            let held = self.held.remove(place);
            self.append(held.packet, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes packets 0, 1, 2 … with these fates at once, and returns them in their order of arrival.
    fn arrivals(fates: &[Fate]) -> Vec<u8> {
        let (mut queue, now) = (DelayQueue::default(), Instant::now());
        for (number, fate) in (0..).zip(fates) {
            queue.push(vec![number], fate, now);
        }
        let mut arrived = Vec::new();
        let mut at = Some(now);
        while let Some(time) = at {
            arrived.extend(std::iter::from_fn(|| queue.pop_due(time)).flatten());
            at = queue.next_due();
            assert!(at.is_none_or(|next| next > time), "time goes on");
        }
        arrived
    }

    const AS_SENT: Fate = Fate {
        dropped: false,
        flipped: None,
        duplicated: false,
        overtakers: 0,
        late: Duration::ZERO,
    };

    #[test]
    fn packets_arrive_in_order() {
        assert_eq!(arrivals(&[AS_SENT; 4]), [0, 1, 2, 3]);
    }

    #[test]
    fn a_duplicated_packet_arrives_twice() {
        let twice = Fate {
            duplicated: true,
            ..AS_SENT
        };
        assert_eq!(arrivals(&[AS_SENT, twice, AS_SENT]), [0, 1, 1, 2]);
    }

    #[test]
    fn a_reordered_packet_is_overtaken() {
        let overtaken = |overtakers| Fate {
            overtakers,
            ..AS_SENT
        };
        let order = arrivals(&[overtaken(1), AS_SENT, AS_SENT, AS_SENT]);
        assert_eq!(order, [1, 0, 2, 3]);
        let order = arrivals(&[overtaken(3), overtaken(1), AS_SENT, AS_SENT, AS_SENT]);
        assert_eq!(order, [2, 1, 3, 4, 0]);
        // No packet follows to overtake it.
        assert_eq!(arrivals(&[AS_SENT, overtaken(2)]), [0, 1]);
        let both = Fate {
            duplicated: true,
            ..overtaken(1)
        };
        assert_eq!(arrivals(&[both, AS_SENT]), [0, 1, 0]);
    }

    #[test]
    fn packets_behind_a_late_packet_wait_for_it() {
        let late = Fate {
            late: Duration::from_millis(3),
            ..AS_SENT
        };
        let (mut queue, now) = (DelayQueue::default(), Instant::now());
        for (number, fate) in [(0, AS_SENT), (1, late), (2, AS_SENT)] {
            queue.push(vec![number], &fate, now);
        }
        assert_eq!(queue.pop_due(now), Some(vec![0]));
        assert_eq!(queue.pop_due(now), None);
        assert_eq!(queue.next_due(), Some(now + late.late));
        assert_eq!(queue.pop_due(now + late.late), Some(vec![1]));
        assert_eq!(queue.pop_due(now + late.late), Some(vec![2]));
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn clearing_drops_the_packets_in_flight() {
        let (mut queue, now) = (DelayQueue::default(), Instant::now());
        let held = Fate {
            overtakers: 2,
            ..AS_SENT
        };
        queue.push(vec![0], &held, now);
        queue.push(vec![1], &AS_SENT, now);
        queue.clear();
        assert_eq!((queue.pop_due(now + WAIT), queue.next_due()), (None, None));
    }
}
