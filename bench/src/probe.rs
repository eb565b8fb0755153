//! Detects changes of the machine.
//!
//! Figures are not comparable if the machine changes meanwhile. So two quantities that figures depend on
//! are measured before and after each sample: how near the two hosts' processors are to each other, and
//! how long one takes to wake the other.

use serde::Serialize;

use crate::bounce;
use crate::processors::Halves;
use crate::wakeup;

/// The machine at a moment. `None` could not be measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Probe {
    /// A cache line from one processor to the other and back, in ns.
    pub bounce_ns: Option<f64>,
    /// Waking a sleeping thread on the other processor and being woken by it, in ns.
    pub wakeup_ns: Option<f64>,
}

/// The factor by which bounces may differ on an unchanged machine.
const STEADY_BOUNCE: f64 = 1.3;
/// The same for wake-ups. They scatter, and a relevant change is a factor of ten.
const STEADY_WAKEUP: f64 = 2.5;

impl Probe {
    /// Measures both, in some 7 ms.
    pub fn measure(halves: &Halves) -> Self {
        Self {
            bounce_ns: bounce::measure(halves),
            wakeup_ns: wakeup::measure(halves),
        }
    }
}

/// Whether the machine did not change, by the probes around some samples.
pub fn are_steady<'a>(probes: impl IntoIterator<Item = &'a Probe> + Clone) -> bool {
    let bounces = probes.clone().into_iter().map(|probe| probe.bounce_ns);
    let wakeups = probes.into_iter().map(|probe| probe.wakeup_ns);
    are_within(bounces, STEADY_BOUNCE) && are_within(wakeups, STEADY_WAKEUP)
}

fn are_within(values: impl IntoIterator<Item = Option<f64>>, factor: f64) -> bool {
    let mut range: Option<(f64, f64)> = None;
    for value in values {
        let Some(value) = value else {
            return false;
        };
        let (low, high) = range.unwrap_or((value, value));
        range = Some((low.min(value), high.max(value)));
    }
    range.is_none_or(|(low, high)| high <= low * factor)
}

#[cfg(test)]
mod tests {
    use super::{are_steady, Probe};

    fn probe(bounce: f64, wakeup: f64) -> Probe {
        Probe {
            bounce_ns: Some(bounce),
            wakeup_ns: Some(wakeup),
        }
    }

    #[test]
    fn a_machine_that_changed_is_not_steady() {
        let usual = probe(90.0, 6_000.0);
        assert!(are_steady(&[usual, probe(110.0, 12_000.0)]));
        assert!(!are_steady(&[usual, probe(540.0, 6_000.0), usual]));
        assert!(!are_steady(&[usual, probe(90.0, 60_000.0)]));
    }

    #[test]
    fn what_nobody_knows_is_not_steady() {
        let unknown = Probe {
            bounce_ns: None,
            wakeup_ns: Some(6_000.0),
        };
        assert!(!are_steady(&[unknown]));
        assert!(are_steady(&[]), "not measured at all: one processor");
    }
}
