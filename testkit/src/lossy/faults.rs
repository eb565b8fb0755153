//! The faults of a link, by a schedule that follows from a seed.

use std::time::Duration;

use super::packet::Kind;

/// A reordered packet is overtaken by up to this many of the packets behind it.
const OVERTAKERS: u64 = 3;
/// The longest delay of a delayed packet.
const LATE: Duration = Duration::from_millis(10);

/// The faults of one direction of a link. Each share is between 0 (no packet) and 1 (all packets). A
/// packet may have several faults, except that a dropped one has no others.
///
/// The same seed gives the same schedule. The faults of a packet depend on the seed, on its number in
/// this direction, and on its kind: UDP, TCP and other packets are numbered separately. Changing one
/// share does not change which packets have the other faults.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Share of packets that are dropped.
    pub drop: f64,
    /// Share of packets in which one bit behind the IPv6 header is flipped. The receiving kernel drops
    /// them because of the checksum.
    pub corrupt: f64,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets that are overtaken by one to three of the packets behind them, or by fewer if
    /// those do not come within 5 ms.
    pub reorder: f64,
    /// Share of packets that arrive up to 10 ms late. Packets behind them wait, as on a wire.
    pub delay: f64,
    /// Selects the packets and the details of their faults.
    pub seed: u64,
}

impl Faults {
    /// A link that drops this share of the packets, without other faults.
    pub fn dropping(share: f64, seed: u64) -> Self {
        Self {
            drop: share,
            seed,
            ..Self::default()
        }
    }
}

/// The faults of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    pub dropped: bool,
    /// The bit to flip: this number, modulo the packet's bits.
    pub flipped: Option<u64>,
    pub duplicated: bool,
    /// The number of packets that overtake it.
    pub overtakers: u64,
    pub late: Duration,
}

/// The fates of all packets of one direction.
#[derive(Debug)]
pub(super) struct Schedule {
    faults: Faults,
    generators: [Generator; Kind::COUNT],
}

impl Schedule {
    pub fn new(faults: Faults) -> Self {
        let mut seeds = Generator(faults.seed);
        Self {
            faults,
            generators: std::array::from_fn(|_| Generator(seeds.next())),
        }
    }

    /// The fate of the next packet of this kind.
    pub fn next(&mut self, kind: Kind) -> Fate {
        let generator = &mut self.generators[kind as usize];
        // Draw the same number of values for every packet, so that no fault shifts the others.
        let mut meets = |share| {
            let (met, how) = (generator.chance(share), generator.next());
            met.then_some(how)
        };
        let dropped = meets(self.faults.drop).is_some();
        let flipped = meets(self.faults.corrupt);
        let duplicated = meets(self.faults.duplicate).is_some();
        let overtakers = meets(self.faults.reorder).map_or(0, |how| 1 + how % OVERTAKERS);
        let late = meets(self.faults.delay).map_or(Duration::ZERO, |how| {
            Duration::from_nanos(1 + how % LATE.as_nanos() as u64)
        });
        match dropped {
            true => Fate {
                dropped,
                ..Fate::default()
            },
            false => Fate {
                dropped,
                flipped,
                duplicated,
                overtakers,
                late,
            },
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). Written here,
/// because tests rely on the schedule, and a new version of a crate could change it.
#[derive(Debug)]
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// True with this probability.
    fn chance(&mut self, share: f64) -> bool {
        // A double holds 53 bits exactly.
        ((self.next() >> 11) as f64) < share * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(faults: Faults, count: usize) -> Vec<Fate> {
        let mut schedule = Schedule::new(faults);
        (0..count).map(|_| schedule.next(Kind::Udp)).collect()
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = Generator(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, published);
    }

    #[test]
    fn no_faults_mean_no_faults() {
        let fates = fates(Faults::dropping(0.0, 7), 1000);
        assert!(fates.iter().all(|fate| *fate == Fate::default()));
    }

    #[test]
    fn a_seed_decides_everything() {
        let all = |seed| Faults {
            drop: 0.3,
            corrupt: 0.3,
            duplicate: 0.3,
            reorder: 0.3,
            delay: 0.3,
            seed,
        };
        assert_eq!(fates(all(1), 200), fates(all(1), 200));
        assert_ne!(fates(all(1), 200), fates(all(2), 200));
    }

    #[test]
    fn each_share_is_met() {
        let faults = Faults {
            drop: 0.5,
            corrupt: 0.1,
            duplicate: 0.01,
            reorder: 1.0,
            delay: 0.25,
            seed: 3,
        };
        let fates = fates(faults, 20_000);
        let share = |of: fn(&Fate) -> bool| {
            let met = fates.iter().filter(|fate| of(fate)).count();
            met as f64 / fates.len() as f64
        };
        let near = |share: f64, expected: f64| (share - expected).abs() < 0.01;
        assert!(near(share(|fate| fate.dropped), 0.5));
        // Shares of the packets that were not dropped.
        assert!(near(share(|fate| fate.flipped.is_some()), 0.05));
        assert!(near(share(|fate| fate.duplicated), 0.005));
        assert!(near(share(|fate| fate.overtakers > 0), 0.5));
        assert!(near(share(|fate| !fate.late.is_zero()), 0.125));
        assert!(fates.iter().all(|fate| fate.overtakers <= OVERTAKERS));
        assert!(fates.iter().all(|fate| fate.late <= LATE));
    }

    #[test]
    fn no_fault_shifts_another_one() {
        let dropped = |faults| fates(faults, 500).iter().map(|fate| fate.dropped).collect();
        let only: Vec<bool> = dropped(Faults::dropping(0.2, 9));
        let with_others: Vec<bool> = dropped(Faults {
            duplicate: 0.5,
            delay: 0.5,
            ..Faults::dropping(0.2, 9)
        });
        assert_eq!(only, with_others);
    }

    #[test]
    fn kinds_of_packets_do_not_shift_each_other() {
        let faults = Faults::dropping(0.5, 11);
        let mut schedule = Schedule::new(faults);
        let between: Vec<Fate> = (0..100)
            .map(|_| {
                schedule.next(Kind::Other);
                schedule.next(Kind::Udp)
            })
            .collect();
        assert_eq!(between, fates(faults, 100));
    }
}
