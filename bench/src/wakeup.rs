//! Measures how long it takes to wake a thread on the other host's processors at the moment.
//!
//! An idle processor sleeps, and an idle virtual processor is given back to its host. The time until it
//! runs again depends on that host and its other guests: 3 µs now, 40 µs a minute later. Every thread
//! that sleeps until a message comes waits for that as well.

use std::io::{self, pipe, PipeReader, PipeWriter, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::bounce::pin;
use crate::processors::Halves;
use crate::statistics::median;

/// The duration of one measurement.
const LENGTH: Duration = Duration::from_millis(4);
/// The least number of wake-ups, however long they take.
const FEWEST: usize = 20;

/// The time in nanoseconds until a sleeping thread was woken and has woken the first one, as the median
/// of many. `None` if the processors cannot be used.
pub fn measure(halves: &Halves) -> Option<f64> {
    let (asked, ask) = pipe().ok()?;
    let (answered, answer) = pipe().ok()?;
    thread::scope(|scope| {
        // Each thread owns its ends, so when one thread ends, the other's next call fails.
        scope.spawn(move || pin(halves.b.first()) && echo(asked, answer).is_ok());
        let asking = scope.spawn(move || {
            let times = pin(halves.a.first()).then(|| times(ask, answered))?;
            median(times.ok()?)
        });
        asking.join().expect("it does not panic")
    })
}

fn echo(mut asked: PipeReader, mut answer: PipeWriter) -> io::Result<()> {
    let mut byte = [0];
    loop {
        asked.read_exact(&mut byte)?;
        answer.write_all(&byte)?;
    }
}

fn times(mut ask: PipeWriter, mut answered: PipeReader) -> io::Result<Vec<f64>> {
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < LENGTH || times.len() < FEWEST {
        let asked = Instant::now();
        ask.write_all(&[0])?;
        answered.read_exact(&mut [0])?;
        times.push(asked.elapsed().as_nanos() as f64);
    }
    Ok(times)
}
