//! The faults: what each does, and what may come of it.
//!
//! A new one is a variant, its effect, and how it begins; see [`link`], [`process`], [`hostile`].

mod hostile;
mod link;
mod process;

use std::time::Duration;

use clap::ValueEnum;

use crate::stage::Stage;
use crate::status::{self, Status};

/// What can happen to two hosts and their cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The cable is pulled and plugged in again
    Cable,
    /// Host b goes to sleep and wakes up: host a loses the carrier
    Carrier,
    /// A host's interface is switched off and on
    Down,
    /// A host's interface is renamed, which takes switching it off and on
    Rename,
    /// A host's address is removed and added again
    Address,
    /// The MTU is changed on both hosts, and back
    Mtu,
    /// A host's process is stopped by SIGSTOP, and continued
    Stop,
    /// Host b's process is killed, and started anew
    Kill,
    /// A host's process has no descriptors left
    Descriptors,
    /// A host's threads are interrupted by signals
    Signals,
    /// A host's readers stand still
    Stall,
    /// A host's transport is closed amid all work, and opened on the same ports
    Reopen,
    /// Somebody on the same link sends a host what nobody should
    Hostile,
}

/// Two faults of one kind do not happen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Link,
    Process,
    Traffic,
}

/// A fault that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub fault: Fault,
    /// The host that it happens to, if it does not happen to both: 0 or 1.
    pub victim: usize,
    /// Since the beginning of the round.
    pub begin: Duration,
    pub end: Duration,
    /// Decides what else there is to decide.
    pub detail: u64,
}

/// What may come of the faults of a round; of none, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// Messages may be lost on their way. If not, each one is counted where it is dropped.
    pub loses_messages: bool,
    /// Streams may break. If not, each comes to its planned end.
    pub breaks_streams: bool,
    /// Streams may break while they are being opened.
    pub breaks_opening: bool,
    /// Messages and streams come that nobody planned.
    pub strangers: bool,
    /// The library may refuse peers.
    pub refuses: bool,
    /// The counts of a host do not cover the whole round.
    pub forgets: [bool; 2],
    /// How calls of a host may fail.
    pub allowed: [Vec<Status>; 2],
}

/// Ends a fault.
pub type Undo = Box<dyn FnOnce(&mut Stage) -> Result<(), String>>;

impl Fault {
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// As on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Cable | Self::Carrier | Self::Down | Self::Rename | Self::Address | Self::Mtu => {
                Kind::Link
            }
            Self::Stop
            | Self::Kill
            | Self::Descriptors
            | Self::Signals
            | Self::Stall
            | Self::Reopen => Kind::Process,
            Self::Hostile => Kind::Traffic,
        }
    }

    /// The only host that it may happen to. Host a lives as long as the soak, so that its memory
    /// tells whether it grows.
    pub fn only_victim(self) -> Option<usize> {
        matches!(self, Self::Kill | Self::Carrier).then_some(1)
    }
}

impl Planned {
    /// Makes it happen; what comes back ends it.
    pub fn begin(&self, stage: &mut Stage) -> Result<Undo, String> {
        let (victim, detail) = (self.victim, self.detail);
        match self.fault {
            Fault::Cable => link::unplug(stage),
            Fault::Carrier => link::lose_carrier(stage),
            Fault::Down => link::switch_off(stage, victim),
            Fault::Rename => link::rename(stage, victim),
            Fault::Address => link::remove_address(stage, victim),
            Fault::Mtu => link::change_mtu(stage, detail),
            Fault::Stop => process::stop(stage, victim),
            Fault::Kill => process::kill(stage, victim),
            Fault::Descriptors => process::take_descriptors(stage, victim, detail),
            Fault::Signals => process::interrupt(stage, victim),
            Fault::Stall => process::stall(stage, victim),
            Fault::Reopen => process::reopen(stage, victim),
            Fault::Hostile => hostile::attack(stage, victim, detail),
        }
    }

    /// What may come of it.
    pub fn effect(&self) -> Effect {
        let mut effect = Effect::default();
        let (here, there) = (self.victim, 1 - self.victim);
        match self.fault {
            Fault::Cable => {
                effect.loses_messages = true;
                effect.breaks_streams = true;
                effect.allow_both(LINK_LOST);
                effect.allow_both(status::BROKEN_STREAM);
                effect.allow_both(&[status::CONNECTION_ABORTED, status::CONNECTION_REFUSED]);
            }
            Fault::Carrier | Fault::Down | Fault::Rename | Fault::Address | Fault::Mtu => {
                effect.loses_messages = true;
                effect.breaks_opening = true;
                effect.allow_both(LINK_LOST);
            }
            Fault::Stop | Fault::Signals | Fault::Stall => {}
            Fault::Kill => {
                effect.loses_messages = true;
                effect.breaks_streams = true;
                effect.forgets[here] = true;
                effect.allow_both(status::BROKEN_STREAM);
                effect.allow(there, &[status::CONNECTION_REFUSED, status::TIMEOUT]);
            }
            Fault::Descriptors => {
                effect.breaks_streams = true;
                effect.refuses = true;
                effect.allow_both(status::BROKEN_STREAM);
                effect.allow(here, &[status::TOO_MANY_FILES]);
            }
            Fault::Reopen => {
                effect.loses_messages = true;
                effect.breaks_streams = true;
                effect.forgets[here] = true;
                effect.allow_both(status::BROKEN_STREAM);
                effect.allow(here, &[status::CANCELLED, status::INVALID_HANDLE]);
                effect.allow(there, &[status::CONNECTION_REFUSED, status::TIMEOUT]);
            }
            Fault::Hostile => {
                effect.strangers = true;
                effect.refuses = true;
            }
        }
        effect
    }

    pub fn describe(&self) -> String {
        let name = self.fault.name();
        match self.fault {
            Fault::Cable | Fault::Mtu => name,
            _ => format!("{name} on host {}", ["a", "b"][self.victim]),
        }
    }
}

/// How calls fail for want of a link.
const LINK_LOST: &[Status] = &[
    status::LINK_DOWN,
    status::TIMEOUT,
    status::HOST_UNREACHABLE,
    status::QUEUE_FULL,
];

impl Effect {
    /// Of several faults in one round.
    pub fn of(faults: &[Planned]) -> Self {
        let mut sum = Self::default();
        for effect in faults.iter().map(Planned::effect) {
            sum.loses_messages |= effect.loses_messages;
            sum.breaks_streams |= effect.breaks_streams;
            sum.breaks_opening |= effect.breaks_opening;
            sum.strangers |= effect.strangers;
            sum.refuses |= effect.refuses;
            for side in 0..2 {
                sum.forgets[side] |= effect.forgets[side];
                sum.allow(side, &effect.allowed[side]);
            }
        }
        sum
    }

    fn allow(&mut self, side: usize, statuses: &[Status]) {
        self.allowed[side].extend(statuses);
    }

    fn allow_both(&mut self, statuses: &[Status]) {
        self.allow(0, statuses);
        self.allow(1, statuses);
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Fault, Planned};
    use std::time::Duration;

    fn planned(fault: Fault, victim: usize) -> Planned {
        Planned {
            fault,
            victim,
            begin: Duration::ZERO,
            end: Duration::ZERO,
            detail: 0,
        }
    }

    #[test]
    fn of_no_fault_nothing_may_come() {
        assert_eq!(Effect::of(&[]), Effect::default());
    }

    #[test]
    fn two_faults_may_do_what_either_may() {
        let both = Effect::of(&[planned(Fault::Kill, 1), planned(Fault::Hostile, 0)]);
        assert!(both.loses_messages && both.strangers);
        assert_eq!(both.forgets, [false, true]);
        assert!(both.allowed[0].contains(&crate::status::CONNECTION_REFUSED));
        assert!(!both.allowed[1].contains(&crate::status::CONNECTION_REFUSED));
    }
}
