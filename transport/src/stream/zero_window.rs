//! Keeping streams whose peer is alive but does not read.
//!
//! TCP_USER_TIMEOUT ends a connection whose data stay unacknowledged. The kernel also counts the time in which the
//! peer's window is closed, although the peer's kernel answers every probe of it. So a reader that computes, or waits
//! for its disk, for longer than `stream_dead_after` would lose the stream. While data wait for a window, the event
//! loop checks a few times within that time, and raises the timeout for as long as the probes are answered.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use super::connection::{Stream, Streams};
use crate::context::Context;
use crate::settings::MAX_USER_TIMEOUT;
use crate::sys::poll::Deadline;
use crate::sys::tcp_info::{pending, Pending};

/// The checks within the time after which a peer counts as dead.
const CHECKS: u32 = 3;
/// The shortest time between two checks.
const SHORTEST: Duration = Duration::from_millis(20);

/// The least time for the answer to a probe: the peer's kernel sends one in half a second (tcp_invalid_ratelimit), and
/// one may be lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The event loop's watch over streams that have data to send.
#[derive(Default)]
pub(crate) struct ZeroWindowMonitor {
    next_check: Option<Instant>,
    /// Since when the peer of each stream does not read.
    since: HashMap<u64, Instant>,
}

impl ZeroWindowMonitor {
    /// Checks the streams if it is time to. Returns when the next check is due.
    pub fn look(&mut self, context: &Context, streams: &Streams) -> Deadline {
        let dead_after = context.live.shortest_dead_after.get();
        if dead_after.is_zero() || !streams.pending_data.is_watched() {
            return Deadline::Never;
        }
        let now = Instant::now();
        let pause = (dead_after / CHECKS).max(SHORTEST);
        // Data that were written just now have all the time.
        let next = self
            .next_check
            .map_or(now + pause, |next| next.min(now + pause));
        self.next_check = Some(next);
        if now < next {
            return Deadline::At(next);
        }
        if !self.check_all(streams, pause, now) {
            streams.pending_data.set_watched(false);
            // A thread may have written in between, and relied on the watch.
            if !self.check_all(streams, pause, now) {
                self.next_check = None;
                return Deadline::Never;
            }
            streams.pending_data.set_watched(true);
        }
        self.next_check = Some(now + pause);
        Deadline::At(now + pause)
    }

    /// Whether any stream has data to send.
    fn check_all(&mut self, streams: &Streams, pause: Duration, now: Instant) -> bool {
        // Streams that have ended are not visited again.
        let known = mem::take(&mut self.since);
        let mut any = false;
        streams.each(|stream| {
            let known = known.get(&stream.id).copied();
            any |= self.check(stream, known, pause, now);
        });
        any
    }

    fn check(
        &mut self,
        stream: &Stream,
        known: Option<Instant>,
        pause: Duration,
        now: Instant,
    ) -> bool {
        // The system's default decides when its peer is dead.
        if stream.dead_after.is_zero() {
            return false;
        }
        // The query fails only for a stream that has ended.
        let Ok(pending) = pending(&stream.socket) else {
            return false;
        };
        let (since, timeout) = evaluate(&pending, known, stream.dead_after, pause, now);
        if let Some(timeout) = timeout {
            // If it fails, the kernel ends the stream as it would without this.
            let _ = stream.socket.set_tcp_user_timeout(Some(timeout));
        }
        // If there is no memory, the peer gets less time.
        if let (Some(since), Ok(())) = (since, self.since.try_reserve(1)) {
            self.since.insert(stream.id, since);
        }
        pending.any()
    }
}

/// Returns since when the peer has not read, if it does not read, and the new user timeout if it must change.
fn evaluate(
    pending: &Pending,
    known: Option<Instant>,
    dead_after: Duration,
    pause: Duration,
    now: Instant,
) -> (Option<Instant>, Option<Duration>) {
    if !pending.waits_for_window() {
        return (None, known.map(|_| dead_after));
    }
    // At least since the last check, which did not find it.
    let since = known.or_else(|| now.checked_sub(pause)).unwrap_or(now);
    let patience = dead_after.max(PATIENCE);
    let alive = pending.last_answer < patience;
    let timeout = (now - since + patience).min(MAX_USER_TIMEOUT);
    (Some(since), alive.then_some(timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD_AFTER: Duration = Duration::from_secs(9);
    const PAUSE: Duration = Duration::from_secs(3);

    fn stalled(last_answer: u64) -> Pending {
        Pending {
            unsent: 1000,
            in_flight: 0,
            window: 0,
            last_answer: Duration::from_secs(last_answer),
        }
    }

    #[test]
    fn a_peer_that_answers_probes_gets_time() {
        let start = Instant::now() + Duration::from_secs(1000);
        let (since, timeout) = evaluate(&stalled(1), None, DEAD_AFTER, PAUSE, start);
        assert_eq!(timeout, Some(Duration::from_secs(12)));
        let later = start + Duration::from_secs(100);
        let (still, timeout) = evaluate(&stalled(1), since, DEAD_AFTER, PAUSE, later);
        assert_eq!((still, timeout), (since, Some(Duration::from_secs(112))));
    }

    #[test]
    fn the_kernel_is_asked_for_no_more_time_than_it_counts() {
        let start = Instant::now() + Duration::from_secs(1000);
        let later = start + Duration::from_secs(100);
        let (_, timeout) = evaluate(&stalled(1), Some(start), MAX_USER_TIMEOUT, PAUSE, later);
        assert_eq!(timeout, Some(MAX_USER_TIMEOUT));
    }

    #[test]
    fn one_that_does_not_gets_none() {
        let now = Instant::now() + Duration::from_secs(1000);
        let (since, timeout) = evaluate(&stalled(9), Some(now), DEAD_AFTER, PAUSE, now);
        assert_eq!((since, timeout), (Some(now), None));
    }

    #[test]
    fn when_it_reads_again_the_time_is_what_was_configured() {
        let now = Instant::now();
        let flowing = Pending {
            window: 65536,
            in_flight: 3,
            ..stalled(0)
        };
        assert_eq!(
            evaluate(&flowing, Some(now), DEAD_AFTER, PAUSE, now),
            (None, Some(DEAD_AFTER))
        );
        assert_eq!(
            evaluate(&flowing, None, DEAD_AFTER, PAUSE, now),
            (None, None)
        );
    }
}
