//! A peer that is alive and does not read is not dead.
//!
//! TCP_USER_TIMEOUT ends a connection whose data stay unacknowledged, and the kernel counts the time
//! in which the peer's window is closed as well, although the peer's kernel answers every probe of
//! it. So a reader that computes, or waits for its disk, for longer than `stream_dead_after` would
//! cost the stream. While data wait for a window, the accepting thread looks a few times within
//! that time, and puts the end off for as long as probes are answered.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::core::Core;
use crate::settings::MAX_USER_TIMEOUT;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::poll::Deadline;
use crate::sys::tcp_info::{pending, Pending};

/// Looks within the time after which a silent peer is dead.
const LOOKS: u32 = 3;
/// However short that is.
const SHORTEST: Duration = Duration::from_millis(20);

/// How long the answer to a probe may take in any case: the peer's kernel gives one in half a second
/// (tcp_invalid_ratelimit), and one may be lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the accepting thread looks after streams that have data to send.
#[derive(Default)]
pub(crate) struct Watched(AtomicBool);

impl Watched {
    /// Data were just written. Called afterwards, so that a last look sees them or we see its end.
    pub fn written(&self, core: &Core) {
        if !self.0.load(Ordering::SeqCst) && !self.0.swap(true, Ordering::SeqCst) {
            core.accept_wake.signal();
        }
    }
}

/// What the accepting thread knows of streams that have data to send.
#[derive(Default)]
pub(crate) struct Stalls {
    next_look: Option<Instant>,
    /// When each stream whose peer does not read was last seen to get something across.
    since: HashMap<u64, Instant>,
}

impl Stalls {
    /// Looks, when it is time to, and says when the next time is.
    pub fn look(&mut self, core: &Core) -> Deadline {
        let dead_after = core.live.shortest_dead_after.get();
        if dead_after.is_zero() || !core.streams.watched.0.load(Ordering::SeqCst) {
            return Deadline::Never;
        }
        let now = Instant::now();
        let pause = (dead_after / LOOKS).max(SHORTEST);
        // What was written just now has all the time.
        let next = self
            .next_look
            .map_or(now + pause, |next| next.min(now + pause));
        self.next_look = Some(next);
        if now < next {
            return Deadline::At(next);
        }
        if !self.look_at_all(core, pause, now) {
            core.streams.watched.0.store(false, Ordering::SeqCst);
            // Something may have been written in between by who relied on being watched.
            if !self.look_at_all(core, pause, now) {
                self.next_look = None;
                return Deadline::Never;
            }
            core.streams.watched.0.store(true, Ordering::SeqCst);
        }
        self.next_look = Some(now + pause);
        Deadline::At(now + pause)
    }

    /// Whether any stream has data to send.
    fn look_at_all(&mut self, core: &Core, pause: Duration, now: Instant) -> bool {
        // Those that have ended are not met again.
        let known = mem::take(&mut self.since);
        let mut any = false;
        core.streams.each(|stream| {
            let known = known.get(&stream.id()).copied();
            any |= self.look_at(stream, known, pause, now);
        });
        any
    }

    fn look_at(
        &mut self,
        stream: &Shared,
        known: Option<Instant>,
        pause: Duration,
        now: Instant,
    ) -> bool {
        // The system decides.
        if stream.dead_after.is_zero() {
            return false;
        }
        // What cannot be asked has ended.
        let Ok(pending) = pending(&stream.socket) else {
            return false;
        };
        let (since, timeout) = judge(&pending, known, stream.dead_after, pause, now);
        if let Some(timeout) = timeout {
            // Should it fail, the kernel ends the stream as it would have without us.
            let _ = stream.socket.set_tcp_user_timeout(Some(timeout));
        }
        // Without memory the peer gets less time than it could.
        if let (Some(since), Ok(())) = (since, self.since.try_reserve(1)) {
            self.since.insert(stream.id(), since);
        }
        pending.any()
    }
}

/// Since when the peer does not read, if it doesn't, and the user timeout that the connection is to
/// have from now on, if it is another one.
fn judge(
    pending: &Pending,
    known: Option<Instant>,
    dead_after: Duration,
    pause: Duration,
    now: Instant,
) -> (Option<Instant>, Option<Duration>) {
    if !pending.waits_for_window() {
        return (None, known.map(|_| dead_after));
    }
    // At least so long ago: the last look found it otherwise.
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
        let (since, timeout) = judge(&stalled(1), None, DEAD_AFTER, PAUSE, start);
        assert_eq!(timeout, Some(Duration::from_secs(12)));
        let later = start + Duration::from_secs(100);
        let (still, timeout) = judge(&stalled(1), since, DEAD_AFTER, PAUSE, later);
        assert_eq!((still, timeout), (since, Some(Duration::from_secs(112))));
    }

    #[test]
    fn the_kernel_is_asked_for_no_more_time_than_it_counts() {
        let start = Instant::now() + Duration::from_secs(1000);
        let later = start + Duration::from_secs(100);
        let (_, timeout) = judge(&stalled(1), Some(start), MAX_USER_TIMEOUT, PAUSE, later);
        assert_eq!(timeout, Some(MAX_USER_TIMEOUT));
    }

    #[test]
    fn one_that_does_not_gets_none() {
        let now = Instant::now() + Duration::from_secs(1000);
        let (since, timeout) = judge(&stalled(9), Some(now), DEAD_AFTER, PAUSE, now);
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
            judge(&flowing, Some(now), DEAD_AFTER, PAUSE, now),
            (None, Some(DEAD_AFTER))
        );
        assert_eq!(judge(&flowing, None, DEAD_AFTER, PAUSE, now), (None, None));
    }
}
