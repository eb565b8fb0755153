//! Silent streams: streams that peers opened and that have not carried data yet. No handshake distinguishes an honest
//! peer from one that only uses up places, so their number is bounded, and new ones evict old ones.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::error::{Result, TransportError};

/// The shortest time between two checks of all silent streams. A check makes a system call for each stream, so a flood
/// of connections must not cause more.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A stream, or a substitute for one in the tests.
pub(crate) trait MayBeSilent {
    /// Whether it is open and has not carried data in either direction.
    fn is_silent(&self) -> bool;
    /// The time since when the stream is watched. `None` for streams that this side opened.
    fn watched_since(&self) -> Option<Instant>;
    /// Sets what `watched_since` returns from now on.
    fn watch_since(&self, now: Instant);
}

/// The accepted streams that were silent when last checked, oldest first.
pub(super) struct SilentStreams<T> {
    streams: VecDeque<(Instant, Weak<T>)>,
    /// The limit. 0: no limit.
    max: usize,
    /// The age from which a stream may be evicted.
    after: Duration,
    /// The time of the last check that found all of them silent.
    all_silent_at: Option<Instant>,
}

impl<T: MayBeSilent> SilentStreams<T> {
    pub fn new(max: u32, after: Duration) -> Self {
        Self {
            streams: VecDeque::new(),
            max: max as usize,
            after,
            all_silent_at: None,
        }
    }

    pub fn limits(&self) -> (u32, Duration) {
        (self.max as u32, self.after)
    }

    pub fn set_after(&mut self, after: Duration) {
        self.after = after;
    }

    /// True if there was no limit, and there is one now. Then the silent streams have to be watched again, oldest
    /// first.
    pub fn set_max(&mut self, max: u32) -> bool {
        let begins = self.max == 0 && max > 0;
        self.max = max as usize;
        if max == 0 {
            self.streams.clear();
        }
        // There may be room now for a stream that was refused a moment ago.
        self.all_silent_at = None;
        begins
    }

    pub fn watch(&mut self, stream: &Arc<T>) {
        let now = Instant::now();
        stream.watch_since(now);
        if self.max > 0 {
            self.streams.push_back((now, Arc::downgrade(stream)));
        }
    }

    /// Watches a stream that was accepted while there was no limit.
    pub fn watch_again(&mut self, stream: &Arc<T>) {
        if let Some(since) = stream.watched_since().filter(|_| stream.is_silent()) {
            self.streams.push_back((since, Arc::downgrade(stream)));
        }
    }

    /// Makes room for one more, if there are few enough, or if the oldest has been silent for so long that it is
    /// evicted. Returns the evicted stream.
    pub fn make_room(&mut self) -> Result<Option<Arc<T>>> {
        self.make_room_at(Instant::now())
    }

    fn make_room_at(&mut self, now: Instant) -> Result<Option<Arc<T>>> {
        if self.max == 0 || self.streams.len() < self.max {
            return Ok(None);
        }
        if self
            .all_silent_at
            .is_none_or(|then| now >= then + CHECK_AGAIN_AFTER)
        {
            self.streams
                .retain(|(_, stream)| stream.upgrade().is_some_and(|stream| stream.is_silent()));
            if self.streams.len() < self.max {
                return Ok(None);
            }
            self.all_silent_at = Some(now);
        }
        match self.streams.front() {
            Some((since, _)) if now.duration_since(*since) >= self.after => {
                let oldest = self
                    .streams
                    .pop_front()
                    .and_then(|(_, stream)| stream.upgrade());
                // A stream that has carried data or has ended also makes room, and is not evicted.
                Ok(oldest.filter(|stream| stream.is_silent()))
            }
            _ => Err(TransportError::TooManySilentStreams {
                max: self.max as u32,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::OnceLock;

    #[derive(Default)]
    struct Stream(AtomicBool, OnceLock<Instant>);

    impl MayBeSilent for Stream {
        fn is_silent(&self) -> bool {
            !self.0.load(Ordering::Relaxed)
        }

        fn watched_since(&self) -> Option<Instant> {
            self.1.get().copied()
        }

        fn watch_since(&self, now: Instant) {
            let _ = self.1.set(now);
        }
    }

    const AFTER: Duration = Duration::from_secs(10);

    /// Three silent streams where three may be.
    fn full() -> (SilentStreams<Stream>, Vec<Arc<Stream>>) {
        let mut silent = SilentStreams::new(3, AFTER);
        let streams: Vec<_> = (0..3).map(|_| Arc::new(Stream::default())).collect();
        for stream in &streams {
            assert!(silent.make_room().unwrap().is_none());
            silent.watch(stream);
        }
        (silent, streams)
    }

    fn is_full(result: &Result<Option<Arc<Stream>>>) -> bool {
        matches!(result, Err(TransportError::TooManySilentStreams { max: 3 }))
    }

    #[test]
    fn young_ones_stay_and_the_newcomer_goes() {
        let (mut silent, _streams) = full();
        assert!(is_full(&silent.make_room()));
    }

    #[test]
    fn the_oldest_is_evicted_when_it_was_silent_for_long() {
        let (mut silent, streams) = full();
        let evicted = silent.make_room_at(Instant::now() + AFTER).unwrap();
        assert!(Arc::ptr_eq(&evicted.unwrap(), &streams[0]));
    }

    #[test]
    fn streams_that_spoke_or_are_gone_make_room() {
        let (mut silent, mut streams) = full();
        streams[1].0.store(true, Ordering::Relaxed);
        assert!(silent.make_room().unwrap().is_none());
        assert_eq!(silent.streams.len(), 2);
        streams.pop();
        silent.watch(&streams[0]);
        assert!(silent.make_room().unwrap().is_none());
    }

    #[test]
    fn a_flood_does_not_make_us_look_at_all_of_them_each_time() {
        let (mut silent, streams) = full();
        assert!(is_full(&silent.make_room()));
        streams[1].0.store(true, Ordering::Relaxed);
        assert!(is_full(&silent.make_room()));
        let later = Instant::now() + CHECK_AGAIN_AFTER;
        assert!(silent.make_room_at(later).unwrap().is_none());
    }

    #[test]
    fn a_limit_that_is_lowered_leaves_those_that_are_there() {
        let (mut silent, streams) = full();
        assert!(!silent.set_max(1));
        let refused = silent.make_room();
        assert!(matches!(
            refused,
            Err(TransportError::TooManySilentStreams { max: 1 })
        ));
        assert_eq!(silent.streams.len(), 3);
        silent.set_after(Duration::ZERO);
        let evicted = silent.make_room().unwrap().unwrap();
        assert!(Arc::ptr_eq(&evicted, &streams[0]));
        assert!(!silent.set_max(4));
        assert!(silent.make_room().unwrap().is_none());
    }

    #[test]
    fn after_no_limit_those_that_are_silent_count_again() {
        let (mut silent, streams) = full();
        assert!(!silent.set_max(0));
        let later = Arc::new(Stream::default());
        silent.watch(&later);
        streams[1].0.store(true, Ordering::Relaxed);
        // A stream that was never watched, because this side opened it.
        let own = Arc::new(Stream::default());
        assert!(silent.set_max(3));
        for stream in streams.iter().chain([&own, &later]) {
            silent.watch_again(stream);
        }
        assert!(is_full(&silent.make_room()));
        let evicted = silent.make_room_at(Instant::now() + AFTER).unwrap();
        assert!(Arc::ptr_eq(&evicted.unwrap(), &streams[0]));
    }

    #[test]
    fn no_limit_watches_nothing() {
        let mut silent = SilentStreams::new(0, AFTER);
        let stream = Arc::new(Stream::default());
        silent.watch(&stream);
        assert!(silent.make_room().unwrap().is_none());
        assert!(silent.streams.is_empty());
    }
}
