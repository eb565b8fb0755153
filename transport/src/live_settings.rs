//! Settings that can change while the transport runs and that no other module owns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A duration that can change, of at most 584 years. A thread that reads a new value also sees all
/// writes before it.
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

    /// Sets it to `time` if that is shorter or if the value was 0. A `time` of 0 has no effect.
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

/// The settings of a running transport.
pub(crate) struct LiveSettings {
    pub allow_any_source: AtomicBool,
    pub connect_timeout: LiveDuration,
    /// For streams that are opened or accepted from now on. 0 selects the system's default.
    pub stream_dead_after: LiveDuration,
    /// The shortest `stream_dead_after` other than 0 that any stream may have. 0: no stream has one.
    pub shortest_dead_after: LiveDuration,
    /// Whether `stream_dead_after` was changed. Connections then do not inherit the right value from
    /// their listener.
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
