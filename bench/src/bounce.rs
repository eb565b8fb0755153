//! Measures how near the two hosts' processors are to each other at the moment.
//!
//! The host of a virtual machine moves its virtual processors around. Two of them may share a cache now
//! and be on different sockets a minute later, and every figure that depends on both changes by a
//! factor of 1.5 to 3. The time that a cache line takes from one to the other shows this, so it is
//! measured before and after each sample.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;

use crate::processors::Halves;
use crate::statistics::median;

/// The duration of one measurement.
const LENGTH: Duration = Duration::from_millis(3);
/// Its time limit on a busy machine, where the two threads rarely run at once.
const LIMIT: Duration = Duration::from_millis(100);
/// Round trips between two readings of the clock.
const BATCH: u32 = 32;
/// Fewer batches are not enough, because some were interrupted.
const FEWEST: usize = 10;
/// Both threads write it in turn. It has a cache line of its own.
#[repr(align(256))]
struct Line(AtomicU32);

/// The time for the line there and back in nanoseconds, as the median of many. `None` if the two
/// processors hardly ran at the same time, or cannot be used.
pub fn measure(halves: &Halves) -> Option<f64> {
    let line = Line(AtomicU32::new(0));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            if pin(halves.b.first()) {
                answer(&line, &over);
            }
        });
        let asking = scope.spawn(|| {
            let batches = if pin(halves.a.first()) {
                ask(&line)
            } else {
                Vec::new()
            };
            over.store(true, Ordering::Relaxed);
            batches
        });
        let batches = asking.join().expect("it does not panic");
        median((batches.len() >= FEWEST).then_some(batches)?)
    })
}

/// Binds the calling thread to a processor.
pub fn pin(processor: usize) -> bool {
    let mut set = CpuSet::new();
    set.set(processor).is_ok() && sched_setaffinity(Pid::from_raw(0), &set).is_ok()
}

/// Makes each odd number even.
fn answer(line: &Line, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let value = line.0.load(Ordering::Acquire);
        if value % 2 == 1 {
            line.0.store(value + 1, Ordering::Release);
        }
        hint::spin_loop();
    }
}

fn ask(line: &Line) -> Vec<f64> {
    let started = Instant::now();
    let mut batches = Vec::new();
    let mut value = 0;
    let mut last = started;
    loop {
        for _ in 0..BATCH {
            line.0.store(value + 1, Ordering::Release);
            value += 2;
            let mut turns = 0_u32;
            while line.0.load(Ordering::Acquire) != value {
                hint::spin_loop();
                turns = turns.wrapping_add(1);
                if turns.is_multiple_of(65_536) && started.elapsed() > LIMIT {
                    return batches;
                }
            }
        }
        let now = Instant::now();
        batches.push((now - last).as_nanos() as f64 / f64::from(BATCH));
        last = now;
        if now - started > LENGTH && batches.len() >= FEWEST || now - started > LIMIT {
            return batches;
        }
    }
}
