//! Scheduling of threads: context switches of this one, and waiting for others.

use std::mem::MaybeUninit;
use std::time::Duration;

use crate::sync::thread;

/// How often the scheduler ran another thread on this processor although this thread could go on:
/// by preemption, or for a sched_yield (`ru_nivcsw`, getrusage(2)).
pub(crate) fn context_switches() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills the struct, for which all bytes zero are valid too.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_nivcsw as u64
}

/// Waits for work of other threads that takes microseconds once they run. It yields first, which lets
/// them run, and then sleeps, which also lets threads of lower real-time priority run.
pub fn wait_until(done: impl Fn() -> bool) {
    let mut rounds = 0;
    while !done() {
        rounds += 1;
        if rounds < 100 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(100));
        }
    }
}
