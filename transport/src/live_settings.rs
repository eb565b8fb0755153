//! Settings that change while the transport runs, and that have no other place.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A time that changes. More than 584 years are 584 years. Who sees a new one sees what was changed before it.
#[derive(Debug)]
pub(crate) struct LiveDuration(AtomicU64);

impl LiveDuration {
    pub fn new(time: Duration) -> Self {
        Self(AtomicU64::new(nanoseconds(time)))
    }

    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }

    pub fn set(&self, time: Duration) {
        self.0.store(nanoseconds(time), Ordering::Release);
    }

    /// Makes it `time` if that is shorter, or if it was 0. A `time` of 0 changes nothing.
    pub fn shorten(&self, time: Duration) {
        let time = nanoseconds(time);
        let shorter = |now: u64| (time > 0 && (now == 0 || time < now)).then_some(time);
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Those that have no other place.
pub(crate) struct LiveSettings {
    pub allow_any_source: AtomicBool,
    pub connect_timeout: LiveDuration,
    /// Of streams that are opened or accepted next; 0: the system's.
    pub stream_dead_after: LiveDuration,
    /// The shortest one that any stream may have, but 0; 0: none has one.
    pub shortest_dead_after: LiveDuration,
    /// It was changed: connections do not have from their listener what they are to have.
    pub dead_after_changed: AtomicBool,
}

impl LiveSettings {
    pub fn new(
        allow_any_source: bool,
        connect_timeout: Duration,
        stream_dead_after: Duration,
    ) -> Self {
        Self {
            allow_any_source: AtomicBool::new(allow_any_source),
            connect_timeout: LiveDuration::new(connect_timeout),
            stream_dead_after: LiveDuration::new(stream_dead_after),
            shortest_dead_after: LiveDuration::new(stream_dead_after),
            dead_after_changed: AtomicBool::new(false),
        }
    }
}
