//! The packets that are on their way in one direction.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::faults::Fate;

/// How long a reordered packet waits for others to overtake it.
const WAIT: Duration = Duration::from_millis(5);

/// A queue of packets, each with the time at which it arrives, and those that are being overtaken.
#[derive(Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<(Instant, Vec<u8>)>,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    packet: Vec<u8>,
    overtakers: u64,
    until: Instant,
}

impl Line {
    /// A packet enters. Dropping and corrupting it is done before.
    pub fn enter(&mut self, packet: Vec<u8>, fate: &Fate, now: Instant) {
        if fate.overtakers > 0 {
            // Of a packet that comes twice, one is overtaken.
            if fate.duplicated {
                self.follow(packet.clone(), now + fate.late);
            }
            self.held.push(Held {
                packet,
                overtakers: fate.overtakers,
                until: now + WAIT,
            });
            return;
        }
        if fate.duplicated {
            self.follow(packet.clone(), now + fate.late);
        }
        self.follow(packet, now + fate.late);
        for held in &mut self.held {
            held.overtakers -= 1;
        }
        self.let_go(now, |held| held.overtakers == 0);
    }

    /// Takes out the next packet that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.let_go(now, |held| now >= held.until);
        let (due, _) = self.queue.front()?;
        match *due <= now {
            true => self.queue.pop_front().map(|(_, packet)| packet),
            false => None,
        }
    }

    /// When to look again, if anything is on its way.
    pub fn next(&self) -> Option<Instant> {
        let queued = self.queue.front().map(|(due, _)| *due);
        let held = self.held.iter().map(|held| held.until).min();
        queued.into_iter().chain(held).min()
    }

    /// What is on its way is lost.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.held.clear();
    }

    /// Behind all others, and not before `due`.
    fn follow(&mut self, packet: Vec<u8>, due: Instant) {
        let last = self.queue.back().map_or(due, |(last, _)| due.max(*last));
        self.queue.push_back((last, packet));
    }

    /// Packets that are held no longer.
    fn let_go(&mut self, now: Instant, mut which: impl FnMut(&Held) -> bool) {
        while let Some(place) = self.held.iter().position(&mut which) {
            let held = self.held.remove(place);
            self.follow(held.packet, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends packets 0, 1, 2 … with these fates at once; gives them as they arrive in time.
    fn arrivals(fates: &[Fate]) -> Vec<u8> {
        let (mut line, now) = (Line::default(), Instant::now());
        for (number, fate) in (0..).zip(fates) {
            line.enter(vec![number], fate, now);
        }
        let mut arrived = Vec::new();
        let mut at = Some(now);
        while let Some(time) = at {
            arrived.extend(std::iter::from_fn(|| line.arrived(time)).flatten());
            at = line.next();
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
        // Nobody comes behind it.
        assert_eq!(arrivals(&[AS_SENT, overtaken(2)]), [0, 1]);
        let both = Fate {
            duplicated: true,
            ..overtaken(1)
        };
        assert_eq!(arrivals(&[both, AS_SENT]), [0, 1, 0]);
    }

    #[test]
    fn what_is_behind_a_late_packet_waits_for_it() {
        let late = Fate {
            late: Duration::from_millis(3),
            ..AS_SENT
        };
        let (mut line, now) = (Line::default(), Instant::now());
        for (number, fate) in [(0, AS_SENT), (1, late), (2, AS_SENT)] {
            line.enter(vec![number], &fate, now);
        }
        assert_eq!(line.arrived(now), Some(vec![0]));
        assert_eq!(line.arrived(now), None);
        assert_eq!(line.next(), Some(now + late.late));
        assert_eq!(line.arrived(now + late.late), Some(vec![1]));
        assert_eq!(line.arrived(now + late.late), Some(vec![2]));
        assert_eq!(line.next(), None);
    }

    #[test]
    fn what_is_on_its_way_can_be_lost() {
        let (mut line, now) = (Line::default(), Instant::now());
        let held = Fate {
            overtakers: 2,
            ..AS_SENT
        };
        line.enter(vec![0], &held, now);
        line.enter(vec![1], &AS_SENT, now);
        line.clear();
        assert_eq!((line.arrived(now + WAIT), line.next()), (None, None));
    }
}
