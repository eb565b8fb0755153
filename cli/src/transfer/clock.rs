//! The time that a transfer took, over all attempts, without the time that it waited for the receiver or the cable.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub struct TransferClock(Mutex<State>);

struct State {
    /// The time of earlier attempts.
    earlier: Duration,
    /// When this attempt began, and when it last made progress.
    running: Option<(Instant, Instant)>,
}

impl TransferClock {
    pub fn new() -> Self {
        Self(Mutex::new(State {
            earlier: Duration::ZERO,
            running: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// An attempt begins to transfer.
    pub fn start(&self) {
        let now = Instant::now();
        self.state().running = Some((now, now));
    }

    /// It made progress.
    pub fn moved(&self) {
        if let Some((_, last)) = &mut self.state().running {
            *last = Instant::now();
        }
    }

    /// It broke. No byte has moved since the last progress.
    pub fn stop_at_last_progress(&self) {
        let mut state = self.state();
        if let Some((begin, last)) = state.running.take() {
            state.earlier += last - begin;
        }
    }

    /// The transfer is complete.
    pub fn stop(&self) {
        self.moved();
        self.stop_at_last_progress();
    }

    /// The time until now.
    pub fn time(&self) -> Duration {
        let state = self.state();
        let running = state.running.map(|(begin, _)| begin.elapsed());
        state.earlier + running.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_progress_before_a_break_does_not_count() {
        let clock = TransferClock::new();
        clock.moved();
        clock.stop_at_last_progress();
        assert_eq!(clock.time(), Duration::ZERO, "before the first attempt");
        clock.start();
        let pause = Duration::from_millis(20);
        std::thread::sleep(pause);
        clock.moved();
        let moved = clock.time();
        std::thread::sleep(10 * pause);
        clock.stop_at_last_progress();
        let stopped = clock.time();
        assert!(stopped >= pause && stopped <= moved, "{stopped:?}");
        std::thread::sleep(pause);
        assert_eq!(clock.time(), stopped);
    }
}
