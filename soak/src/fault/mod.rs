//! The faults, and the permitted effects of each.
//!
//! A new fault is a variant, its effect, and a function that begins it in [`link`], [`process`] or
//! [`hostile`].

mod hostile;
mod link;
mod process;

use std::time::Duration;

use clap::ValueEnum;

use crate::status::{self, Status};
use crate::testbed::Testbed;

/// A fault of a host or of the cable.
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
    /// Host b's process is killed, and started again
    Kill,
    /// A host's process has no descriptors left
    Descriptors,
    /// A host's threads are interrupted by signals
    Signals,
    /// A host's readers and callbacks stop reading
    Stall,
    /// A host's transport is closed while it is in use, and opened again on the same ports
    Reopen,
    /// A stranger on the same link sends malformed and unexpected data
    Hostile,
}

/// Faults of the same kind do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Link,
    Process,
    Traffic,
}

/// A planned fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub fault: Fault,
    /// The affected host, 0 or 1, of a fault that affects one host.
    pub victim: usize,
    /// Time since the beginning of the round.
    pub begin: Duration,
    pub end: Duration,
    /// Random bits for details of the fault.
    pub detail: u64,
}

/// The permitted effects of the faults of a round. Without faults, nothing is permitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// Messages may be lost on their way. If not, each message that is dropped is counted.
    pub loses_messages: bool,
    /// Streams may break. If not, each comes to its planned end.
    pub breaks_streams: bool,
    /// Streams may break while they are being opened.
    pub breaks_opening: bool,
    /// Messages and streams of strangers arrive.
    pub strangers: bool,
    /// The library may refuse peers.
    pub refuses: bool,
    /// The counts of a host start again during the round.
    pub forgets: [bool; 2],
    /// Statuses with which calls of a host may fail.
    pub allowed: [Vec<Status>; 2],
}

/// Ends a fault.
pub type Undo = Box<dyn FnOnce(&mut Testbed) -> Result<(), String>>;

impl Fault {
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The name on the command line.
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

    /// The only host that it may affect, if it is limited to one. Host a runs for the whole soak, so
    /// that growth of its memory shows.
    pub fn only_victim(self) -> Option<usize> {
        matches!(self, Self::Kill | Self::Carrier).then_some(1)
    }
}

impl Planned {
    /// Begins the fault, and returns the closure that ends it.
    pub fn begin(&self, testbed: &mut Testbed) -> Result<Undo, String> {
        let (victim, detail) = (self.victim, self.detail);
        match self.fault {
            Fault::Cable => link::unplug(testbed),
            Fault::Carrier => link::lose_carrier(testbed),
            Fault::Down => link::switch_off(testbed, victim),
            Fault::Rename => link::rename(testbed, victim),
            Fault::Address => link::remove_address(testbed, victim),
            Fault::Mtu => link::change_mtu(testbed, detail),
            Fault::Stop => process::stop(testbed, victim),
            Fault::Kill => process::kill(testbed, victim),
            Fault::Descriptors => process::take_descriptors(testbed, victim, detail),
            Fault::Signals => process::interrupt(testbed, victim),
            Fault::Stall => process::stall(testbed, victim),
            Fault::Reopen => process::reopen(testbed, victim),
            Fault::Hostile => hostile::attack(testbed, victim, detail),
        }
    }

    /// Its permitted effects.
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

/// Statuses of calls while the link is down.
const LINK_LOST: &[Status] = &[
    status::LINK_DOWN,
    status::TIMEOUT,
    status::HOST_UNREACHABLE,
    status::QUEUE_FULL,
];

impl Effect {
    /// The combined effect of the faults of a round.
    pub fn of(faults: &[Planned]) -> Self {
        let mut sum = Self::default();
        for effect in faults.iter().map(Planned::effect) {
            sum.loses_messages |= effect.loses_messages;
            sum.breaks_streams |= effect.breaks_streams;
            sum.breaks_opening |= effect.breaks_opening;
            sum.strangers |= effect.strangers;
            sum.refuses |= effect.refuses;
            for host in 0..2 {
                sum.forgets[host] |= effect.forgets[host];
                sum.allow(host, &effect.allowed[host]);
            }
        }
        sum
    }

    fn allow(&mut self, host: usize, statuses: &[Status]) {
        self.allowed[host].extend(statuses);
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
    fn without_faults_no_effect_is_permitted() {
        assert_eq!(Effect::of(&[]), Effect::default());
    }

    #[test]
    fn two_faults_permit_what_either_permits() {
        let both = Effect::of(&[planned(Fault::Kill, 1), planned(Fault::Hostile, 0)]);
        assert!(both.loses_messages && both.strangers);
        assert_eq!(both.forgets, [false, true]);
        assert!(both.allowed[0].contains(&crate::status::CONNECTION_REFUSED));
        assert!(!both.allowed[1].contains(&crate::status::CONNECTION_REFUSED));
    }
}
