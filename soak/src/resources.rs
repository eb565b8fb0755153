//! What a host's process holds: the same after every round, and after the last one what it had
//! before it began.

use testkit::{wait_until, Facts, GENEROUS};

use crate::report::Report;
use crate::side::Side;

/// Descriptors that a transport keeps for later, and so may have or not have between two rounds:
/// lanes to busy peers, and sockets for round trips with the events beside them.
const KEPT_DESCRIPTORS: usize = 8;
/// Rounds that tell nothing of growth: first uses of everything.
const SETTLING: usize = 6;
/// Fewer samples than this tell nothing either.
const ENOUGH: usize = 12;
/// What grows with the time that a transport is open, to a bound that it does not reach in every run:
/// the names of the last 4096 senders, of which each guest is a new one.
const NAMES: u64 = 4096 * 176;
/// Growth that is none, between the first and the last third of a process's life: of memory in use,
/// where streams that ended lately are still remembered and queues keep some room, and of resident
/// memory, of which the allocator keeps some. An hour has some sixteen million messages and three
/// hundred thousand streams: a few bytes that each of them leaves behind are more.
const HEAP_ALLOWANCE: u64 = (384 << 10) + NAMES;
const ANONYMOUS_ALLOWANCE: u64 = 4 << 20;
/// What the library may keep for ever, once it was used: registers of handles, names of threads.
const KEPT_HEAP: u64 = 256 << 10;

/// Memory of one process at the ends of its rounds.
#[derive(Debug, Default)]
pub struct Memory {
    heap: Vec<u64>,
    anonymous: Vec<u64>,
    first: Option<Facts>,
}

impl Memory {
    /// Looks at a process at rest.
    pub fn look(&mut self, side: &Side, report: &Report) -> Result<(), String> {
        let facts = at_rest(side);
        self.heap.push(report.get("heap"));
        self.anonymous.push(facts.anonymous);
        let first = self.first.get_or_insert_with(|| facts.clone());
        let (before, now) = (first.threads.len(), facts.threads.len());
        if before != now {
            let names: Vec<_> = facts.threads.iter().map(|thread| &thread.name).collect();
            return Err(format!(
                "{} had {before} threads at rest, and has {now}: {names:?}",
                side.name()
            ));
        }
        let (before, now) = (first.descriptors, facts.descriptors);
        if now > before + KEPT_DESCRIPTORS {
            return Err(format!(
                "{} had {before} descriptors at rest, and has {now}",
                side.name()
            ));
        }
        Ok(())
    }

    /// Whether it grew with time.
    pub fn check(&self, name: &str) -> Result<(), String> {
        for (what, samples, allowance) in [
            ("memory in use", &self.heap, HEAP_ALLOWANCE),
            ("anonymous memory", &self.anonymous, ANONYMOUS_ALLOWANCE),
        ] {
            if let Some((before, now)) = thirds(samples) {
                if now > before + allowance {
                    return Err(format!(
                        "{name}: {what} grew from {before} to {now} bytes in {} rounds",
                        samples.len()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Memory in use when it was last at rest.
    pub fn last(&self) -> String {
        let bytes = self.heap.last().copied().unwrap_or(0);
        format!("{} KiB", bytes >> 10)
    }

    /// The first and the last sample of both, for the summary.
    pub fn describe(&self) -> String {
        let kib = |samples: &[u64]| match (
            samples.get(SETTLING.min(samples.len() - 1)),
            samples.last(),
        ) {
            (Some(first), Some(last)) => format!("{} -> {} KiB", first >> 10, last >> 10),
            _ => String::new(),
        };
        if self.heap.is_empty() {
            return "never at rest".to_owned();
        }
        format!(
            "in use {}, anonymous {}",
            kib(&self.heap),
            kib(&self.anonymous)
        )
    }
}

/// What a process holds when its last stream handler has ended: a thread takes a moment for that.
fn at_rest(side: &Side) -> Facts {
    let mut facts = side.facts();
    wait_until("threads of stream handlers end", GENEROUS, || {
        facts = side.facts();
        facts.threads_named("dcf-tb-stream").is_empty()
    });
    facts
}

/// The medians of the first and of the last third of the samples, without those before it settled.
fn thirds(samples: &[u64]) -> Option<(u64, u64)> {
    let samples = samples.get(SETTLING..)?;
    if samples.len() < ENOUGH {
        return None;
    }
    let third = samples.len() / 3;
    Some((
        median(&samples[..third]),
        median(&samples[samples.len() - third..]),
    ))
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// After its transport was closed a process has what it had before there was one.
pub fn check_closed(side: &Side, after: &Report) -> Result<(), String> {
    let (bare, facts) = (side.bare(), side.facts());
    let left: Vec<_> = facts.threads.iter().map(|thread| &thread.name).collect();
    if facts.threads.len() != bare.threads.len() {
        return Err(format!("{}: threads after closing: {left:?}", side.name()));
    }
    if facts.descriptors != bare.descriptors {
        return Err(format!(
            "{}: {} descriptors after closing, and {} before opening",
            side.name(),
            facts.descriptors,
            bare.descriptors
        ));
    }
    let (before, after) = (side.bare_heap(), after.get("heap"));
    if after > before + KEPT_HEAP {
        return Err(format!(
            "{}: {after} bytes in use after closing, and {before} before opening",
            side.name()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Memory, HEAP_ALLOWANCE};

    fn memory(heap: impl Iterator<Item = u64>) -> Memory {
        Memory {
            heap: heap.collect(),
            ..Memory::default()
        }
    }

    #[test]
    fn what_goes_up_and_down_does_not_grow() {
        let noisy = memory((0..300).map(|round| 1_000_000 + round % 7 * HEAP_ALLOWANCE));
        assert_eq!(noisy.check("host"), Ok(()));
    }

    #[test]
    fn a_jump_at_the_beginning_is_no_growth() {
        let settled = memory((0..300).map(|round| if round < 5 { 0 } else { 5_000_000 }));
        assert_eq!(settled.check("host"), Ok(()));
    }

    #[test]
    fn a_little_more_each_round_is() {
        let leaking = memory((0..300).map(|round| 1_000_000 + round * HEAP_ALLOWANCE / 100));
        let error = leaking.check("host").expect_err("it grows");
        assert!(error.contains("memory in use"), "{error}");
    }

    #[test]
    fn a_few_rounds_tell_nothing() {
        let short = memory((0..10).map(|round| round * HEAP_ALLOWANCE));
        assert_eq!(short.check("host"), Ok(()));
    }
}
