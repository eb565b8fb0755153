//! Which processor a thread runs on.

use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::unistd::Pid;
use std::sync::LazyLock;

/// Those that this process may use.
static ALLOWED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let set = sched_getaffinity(Pid::this()).expect("the processors of this process");
    (0..CpuSet::count())
        .filter(|processor| set.is_set(*processor) == Ok(true))
        .collect()
});

/// Moves the calling thread to the next of the processors that this process may use, and keeps it there.
///
/// For tests of what the kernel does once per processor.
pub fn move_to_next_processor() {
    let this_thread = Pid::from_raw(0);
    let now = nix::sched::sched_getcpu().expect("the processor of this thread");
    let next = ALLOWED
        .iter()
        .find(|processor| **processor > now)
        .unwrap_or(&ALLOWED[0]);
    let mut set = CpuSet::new();
    set.set(*next).expect("a processor of this machine");
    sched_setaffinity(this_thread, &set).expect("the process may use it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_to_every_processor() {
        let mut seen: Vec<_> = (0..ALLOWED.len())
            .map(|_| {
                move_to_next_processor();
                nix::sched::sched_getcpu().expect("a number")
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, *ALLOWED);
    }
}
