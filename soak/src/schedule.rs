//! When each fault happens. Everything follows from the seed.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::{Fault, Planned};

/// Rounds without a fault at the beginning. Later memory and descriptors are compared with theirs.
pub const WARM_UP: u64 = 3;

/// The faults of one round after another.
pub struct Schedule {
    rng: Rng,
    faults: Vec<Fault>,
    round: u64,
}

impl Schedule {
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            faults,
            round: 0,
        }
    }

    /// The faults of the next round: mostly one, sometimes two of different kinds, sometimes none.
    pub fn next(&mut self) -> Vec<Planned> {
        self.round += 1;
        if self.round <= WARM_UP || self.faults.is_empty() || self.rng.u8(..10) == 0 {
            return Vec::new();
        }
        let first = self.plan();
        let second = self.plan();
        if self.rng.u8(..3) == 0 && second.fault.kind() != first.fault.kind() {
            return vec![first, second];
        }
        vec![first]
    }

    fn plan(&mut self) -> Planned {
        let rng = &mut self.rng;
        let fault = self.faults[rng.usize(..self.faults.len())];
        let victim = fault.only_victim().unwrap_or(rng.usize(..2));
        let begin = Duration::from_millis(rng.u64(200..1500));
        Planned {
            fault,
            victim,
            begin,
            end: begin + Duration::from_millis(rng.u64(100..3000)),
            detail: rng.u64(..),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, WARM_UP};
    use crate::fault::{Fault, Planned};

    fn rounds(seed: u64, count: usize) -> Vec<Vec<Planned>> {
        let mut schedule = Schedule::new(seed, Fault::all().collect());
        (0..count).map(|_| schedule.next()).collect()
    }

    #[test]
    fn a_seed_always_gives_the_same_faults() {
        assert_eq!(rounds(7, 100), rounds(7, 100));
        assert_ne!(rounds(7, 100), rounds(8, 100));
    }

    #[test]
    fn warm_up_rounds_have_no_fault_and_every_fault_follows() {
        let rounds = rounds(1, 300);
        assert!(rounds[..WARM_UP as usize].iter().all(Vec::is_empty));
        for fault in Fault::all() {
            let happens = |planned: &Planned| planned.fault == fault;
            assert!(rounds.iter().flatten().any(happens), "{fault:?}");
        }
        assert!(rounds.iter().any(|round| round.len() == 2));
    }

    #[test]
    fn faults_of_one_kind_do_not_overlap() {
        for round in rounds(2, 300) {
            if let [first, second] = &round[..] {
                assert_ne!(first.fault.kind(), second.fault.kind());
            }
        }
    }

    #[test]
    fn host_a_is_never_killed() {
        for planned in rounds(3, 300).iter().flatten() {
            assert!(planned.fault != Fault::Kill || planned.victim == 1);
        }
    }
}
