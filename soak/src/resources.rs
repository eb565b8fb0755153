//! Resources of a host's process: they must be the same after every round, and after the last round
//! as before the first transport.

use testkit::{wait_until, Facts, GENEROUS};

use crate::host_process::HostProcess;
use crate::report::Report;

/// Descriptors that a transport may keep between two rounds: connected sockets to busy peers, and
/// sockets for round trips with their eventfds.
const KEPT_DESCRIPTORS: usize = 8;
/// Rounds that are left out of the check for growth: everything is used for the first time.
const SETTLING: usize = 6;
/// Fewer samples than this are not enough to see growth.
const ENOUGH: usize = 12;
/// The names of the last 4096 senders. Each transient is a new sender, so this grows slowly, and not
/// every run is long enough to reach the bound.
const NAMES: u64 = 4096 * 176;
/// Permitted growth between the first and the last third of a process's life. Memory in use varies
/// because recently ended streams are remembered and queues keep their capacity; resident memory
/// varies with the allocator. An hour has some sixteen million messages and three hundred thousand
/// streams, so even a leak of a few bytes for each of them exceeds this.
const HEAP_ALLOWANCE: u64 = (384 << 10) + NAMES;
const ANONYMOUS_ALLOWANCE: u64 = 4 << 20;
/// Memory that the library may keep after its last transport: handle tables, thread names.
const KEPT_HEAP: u64 = 256 << 10;

/// Memory of one process at the end of each round.
#[derive(Debug, Default)]
pub struct Memory {
    heap: Vec<u64>,
    anonymous: Vec<u64>,
    first: Option<Facts>,
}

impl Memory {
    /// Takes a sample of a process at rest, and checks its threads and descriptors.
    pub fn look(&mut self, host: &HostProcess, report: &Report) -> Result<(), String> {
        let facts = at_rest(host);
        self.heap.push(report.get("heap"));
        self.anonymous.push(facts.anonymous);
        let first = self.first.get_or_insert_with(|| facts.clone());
        let (before, now) = (first.threads.len(), facts.threads.len());
        if before != now {
            let names: Vec<_> = facts.threads.iter().map(|thread| &thread.name).collect();
            return Err(format!(
                "{} had {before} threads at rest, and has {now}: {names:?}",
                host.name()
            ));
        }
        let (before, now) = (first.descriptors, facts.descriptors);
        if now > before + KEPT_DESCRIPTORS {
            return Err(format!(
                "{} had {before} descriptors at rest, and has {now}",
                host.name()
            ));
        }
        Ok(())
    }

    /// Fails if memory grew over time.
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

    /// Memory in use at the last sample.
    pub fn last(&self) -> String {
        let bytes = self.heap.last().copied().unwrap_or(0);
        format!("{} KiB", bytes >> 10)
    }

    /// The first and the last sample of both figures, for the summary.
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

/// Reads the resources once the threads of stream handlers have ended.
fn at_rest(host: &HostProcess) -> Facts {
    let mut facts = host.facts();
    wait_until("threads of stream handlers end", GENEROUS, || {
        facts = host.facts();
        facts.threads_named("dcf-tb-stream").is_empty()
    });
    facts
}

/// The medians of the first and of the last third of the samples, without the settling rounds.
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

/// Checks that closing the transport released everything that opening it had taken.
pub fn check_closed(host: &HostProcess, after: &Report) -> Result<(), String> {
    let (bare, facts) = (host.bare(), host.facts());
    let left: Vec<_> = facts.threads.iter().map(|thread| &thread.name).collect();
    if facts.threads.len() != bare.threads.len() {
        return Err(format!("{}: threads after closing: {left:?}", host.name()));
    }
    if facts.descriptors != bare.descriptors {
        return Err(format!(
            "{}: {} descriptors after closing, and {} before opening",
            host.name(),
            facts.descriptors,
            bare.descriptors
        ));
    }
    let (before, after) = (host.bare_heap(), after.get("heap"));
    if after > before + KEPT_HEAP {
        return Err(format!(
            "{}: {after} bytes in use after closing, and {before} before opening",
            host.name()
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
    fn memory_that_goes_up_and_down_does_not_grow() {
        let noisy = memory((0..300).map(|round| 1_000_000 + round % 7 * HEAP_ALLOWANCE));
        assert_eq!(noisy.check("host"), Ok(()));
    }

    #[test]
    fn a_jump_at_the_beginning_is_no_growth() {
        let settled = memory((0..300).map(|round| if round < 5 { 0 } else { 5_000_000 }));
        assert_eq!(settled.check("host"), Ok(()));
    }

    #[test]
    fn a_little_more_each_round_is_growth() {
        let leaking = memory((0..300).map(|round| 1_000_000 + round * HEAP_ALLOWANCE / 100));
        let error = leaking.check("host").expect_err("it grows");
        assert!(error.contains("memory in use"), "{error}");
    }

    #[test]
    fn a_few_rounds_are_too_few_to_judge() {
        let short = memory((0..10).map(|round| round * HEAP_ALLOWANCE));
        assert_eq!(short.check("host"), Ok(()));
    }
}
