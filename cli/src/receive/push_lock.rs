//! Admits a single push, and gives waiting sources their turn.

use std::cell::Cell;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, Receiver, Sender};

use super::session::Session;
use crate::event::{event, Event, Trigger};
use crate::interrupt;
use crate::service;
use crate::transfer::SessionId;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

/// Admits a single push.
pub struct PushLock {
    state: Mutex<State>,
    /// Has a message once a push has finished.
    finished: (Sender<()>, Receiver<()>),
    /// Happens when no stream is served any more, after [`PushLock::close`].
    idle: Event,
}

#[derive(Default)]
struct State {
    taken: bool,
    session: Option<Arc<Session>>,
    has_finished: bool,
    /// A push was in progress when the program was interrupted.
    cut: bool,
    /// Each served stream holds a clone. `None` after [`PushLock::close`].
    serving: Option<Trigger>,
    /// Sources that were refused as busy, the first one first, and when each asked last.
    waiting: Vec<(Ipv6Addr, Instant)>,
}

/// The most waiting sources that are remembered.
const WAITING: usize = 64;
/// A waiting source that has not retried in this time has given up. Pushers retry four times a second.
const ASKING: Duration = Duration::from_secs(2);

/// Holds the lock until it is dropped.
pub struct PushGuard<'a> {
    push_lock: &'a PushLock,
    is_finished: Cell<bool>,
}

impl PushLock {
    pub fn new() -> Self {
        let (serving, idle) = event();
        let state = State {
            serving: Some(serving),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            finished: bounded(1),
            idle,
        }
    }

    /// Takes the lock, if it is free and no other source has waited longer.
    pub fn take(&self, source: Ipv6Addr) -> Option<PushGuard<'_>> {
        let mut state = lock(&self.state);
        let is_turn = turn(&mut state.waiting, source, Instant::now());
        if state.taken || !is_turn {
            return None;
        }
        state.taken = true;
        state.waiting.retain(|(other, _)| *other != source);
        Some(PushGuard {
            push_lock: self,
            is_finished: Cell::new(false),
        })
    }

    /// Returns the push with this identifier, if it is in progress.
    pub fn session(&self, id: &SessionId) -> Option<Arc<Session>> {
        let state = lock(&self.state);
        state.session.clone().filter(|session| session.id == *id)
    }

    /// Serves a stream, unless [`PushLock::close`] was called before.
    pub fn serve(&self, serve: impl FnOnce()) {
        let serving = lock(&self.state).serving.clone();
        if serving.is_some() {
            serve();
        }
    }

    /// Becomes ready when a push has finished.
    pub fn finished(&self) -> &Receiver<()> {
        &self.finished.1
    }

    /// Whether a signal ended a push early.
    pub fn is_cut(&self) -> bool {
        lock(&self.state).cut
    }

    pub fn has_finished(&self) -> bool {
        lock(&self.state).has_finished
    }

    /// Refuses further streams, and waits until those that are served have ended.
    pub fn close(&self, limit: Duration) {
        drop(lock(&self.state).serving.take());
        let _ = self.idle.recv_timeout(limit);
    }
}

/// Whether a source is the first in the queue. It joins the queue if it is not in it.
fn turn(waiting: &mut Vec<(Ipv6Addr, Instant)>, source: Ipv6Addr, now: Instant) -> bool {
    waiting.retain(|(other, asked)| *other == source || now.duration_since(*asked) < ASKING);
    let known = waiting.iter().position(|(other, _)| *other == source);
    match known {
        Some(at) => waiting[at].1 = now,
        None if waiting.len() < WAITING => waiting.push((source, now)),
        None => return false,
    }
    waiting[0].0 == source
}

impl PushGuard<'_> {
    /// Lets more streams join the push.
    pub fn open(&self, session: &Arc<Session>) {
        service::status(&format!("receiving from {}", session.peer));
        lock(&self.push_lock.state).session = Some(Arc::clone(session));
    }

    pub fn finished(&self) {
        self.is_finished.set(true);
        lock(&self.push_lock.state).has_finished = true;
        // The channel is full if an earlier push finished.
        let _ = self.push_lock.finished.0.try_send(());
    }
}

impl Drop for PushGuard<'_> {
    fn drop(&mut self) {
        let is_interrupted = interrupt::is_interrupted();
        let session = {
            let mut state = lock(&self.push_lock.state);
            state.taken = false;
            state.cut |= is_interrupted && !self.is_finished.get();
            state.session.take()
        };
        if let Some(session) = session {
            session.dismiss_helpers();
            if !is_interrupted {
                service::status("waiting for a push");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_take_turns() {
        let [first, second, third] = [1, 2, 3].map(|last| Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last));
        let push_lock = PushLock::new();
        let held = push_lock.take(first).unwrap();
        assert!(push_lock.take(second).is_none() && push_lock.take(first).is_none());
        drop(held);
        // The previous holder does not get it before one that waits.
        assert!(push_lock.take(first).is_none());
        let held = push_lock.take(second).unwrap();
        drop(held);
        assert!(push_lock.take(first).is_some());

        let (mut waiting, now) = (Vec::new(), Instant::now());
        assert!(turn(&mut waiting, first, now));
        assert!(!turn(&mut waiting, second, now));
        // A source that gave up does not block others.
        assert!(turn(&mut waiting, second, now + ASKING));
        for number in 0..2 * WAITING as u16 {
            let source = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 1, number);
            assert!(!turn(&mut waiting, source, now + ASKING));
        }
        assert_eq!(waiting.len(), WAITING);
        assert!(!turn(&mut waiting, third, now + ASKING));
    }
}
