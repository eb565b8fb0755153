//! The opener's paths: the ways to the peer, one rail each, and when to connect again.

use std::time::{Duration, Instant};

/// A connection that is refused or breaks is tried again after this time, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// The same where the peer said that it does not want another rail.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// The opener gives up a connection without a valid reply after this time.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Before the session exists at the peer, paths are tried one after the other, this far apart.
const STAGGER: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The link is down.
    Down,
    /// To be connected then.
    Waiting(Instant),
    /// Given up then.
    Connecting(Instant),
    Connected,
}

#[derive(Debug)]
struct Path {
    state: State,
    pause: Duration,
}

#[derive(Debug)]
pub(super) struct Paths(Vec<Path>);

/// The next step for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Connect(usize),
    GiveUp(usize),
}

impl Paths {
    pub fn new(count: usize, now: Instant) -> Self {
        let path = |index| Path {
            state: State::Waiting(now + STAGGER * index),
            pause: FIRST_PAUSE,
        };
        Self((0..).take(count).map(path).collect())
    }

    /// Whether a connection over this path is being made.
    pub fn is_connecting(&self, path: usize) -> bool {
        matches!(self.0[path].state, State::Connecting(_))
    }

    pub fn up(&mut self, path: usize, now: Instant) {
        let path = &mut self.0[path];
        path.pause = FIRST_PAUSE;
        if matches!(path.state, State::Down | State::Waiting(_)) {
            path.state = State::Waiting(now);
        }
    }

    pub fn down(&mut self, path: usize) {
        self.0[path].state = State::Down;
    }

    /// The rail is there. The others need not wait any more to see whether the peer is.
    pub fn connected(&mut self, path: usize, is_first: bool, now: Instant) {
        self.0[path].state = State::Connected;
        if is_first {
            for other in &mut self.0 {
                if let State::Waiting(at) = &mut other.state {
                    *at = now.min(*at);
                }
            }
        }
    }

    /// The rail that used this path failed or was closed.
    pub fn lost(&mut self, path: usize, now: Instant) {
        let path = &mut self.0[path];
        if path.state == State::Connected {
            path.state = State::Waiting(now + path.pause);
            path.pause = (path.pause * 2).min(LAST_PAUSE);
        }
    }

    /// Acknowledgements come over this path, so the next loss is a new one.
    pub fn works(&mut self, path: usize) {
        self.0[path].pause = FIRST_PAUSE;
    }

    /// No rail came of it.
    pub fn failed(&mut self, path: usize, now: Instant, is_refused: bool) {
        let path = &mut self.0[path];
        if path.state != State::Down {
            let pause = if is_refused {
                REFUSED_PAUSE
            } else {
                path.pause
            };
            path.state = State::Waiting(now + pause);
            path.pause = (path.pause * 2).min(LAST_PAUSE);
        }
    }

    /// The next step that is due. Call it until there is none.
    pub fn due(&mut self, now: Instant) -> Option<Need> {
        for (index, path) in self.0.iter_mut().enumerate() {
            match path.state {
                State::Waiting(at) if at <= now => {
                    path.state = State::Connecting(now + REPLY_TIMEOUT);
                    return Some(Need::Connect(index));
                }
                State::Connecting(until) if until <= now => {
                    self.failed(index, now, false);
                    return Some(Need::GiveUp(index));
                }
                _ => {}
            }
        }
        None
    }

    /// The paths with a connection that is not a rail yet.
    pub fn connecting(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(|path| self.is_connecting(*path))
    }

    pub fn deadline(&self) -> Option<Instant> {
        let times = self.0.iter().filter_map(|path| match path.state {
            State::Waiting(at) | State::Connecting(at) => Some(at),
            State::Down | State::Connected => None,
        });
        times.min()
    }
}
