//! What has come and waits for the host to ask for it: datagrams and large messages, in one row.
//!
//! Datagrams that find no room are dropped, as UDP is. Large messages wait outside, and TCP makes their
//! senders wait. The memory of those that arrive is taken as they do, and when together they have as much as
//! they may, they wait. Sources take turns: whoever asks on more connections does not get more turns. When the
//! host has drained the queue, the next one goes on *beyond* the limit, so a message always gets through.
//! One that is slow while others wait lets them go first: it keeps what it has, which counts from then on. So
//! all of them together never have more than the limit, and two of the largest messages.

mod arriving;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use thunderbolt_transport::DropReason;

use super::event::Event;
use super::large::LENGTHS;
use super::limit::Limit;
use super::lock;
use super::memory::Buffer;
use super::peer::PeerText;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use arriving::Arriving;
pub(super) use turns::Place;
use turns::{Ask, Beyond, Passed, Source};

/// A message that has come whole.
pub(super) struct Message {
    pub(super) data: Buffer,
    pub(super) sender: PeerText,
}

impl Message {
    /// By its size, as everywhere.
    fn is_large(&self) -> bool {
        self.data.len() >= *LENGTHS.start()
    }
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nothing {
    InTime,
    Closed,
}

/// Why a large message does not go on arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoMore {
    Memory,
    /// It has let others go first, and they need what it has.
    Slow,
    /// The connection has ended.
    Ended,
    Closed,
}

pub(super) struct Queue {
    state: Mutex<State>,
    /// A message came that somebody waits for, or the queue was closed.
    came: Condvar,
    /// A large message left, arrived, or is no longer arriving.
    room: Condvar,
    /// Made when somebody first asks for it.
    event: OnceLock<Event>,
    max_datagrams: usize,
    /// Bytes that datagrams may have together, and as many that large messages may.
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    datagrams: Taken,
    /// What large messages have that wait for the host, and the memory of those that are arriving.
    large: Taken,
    /// Large messages that wait for memory, in the order of their turns.
    starving: BTreeSet<Ask>,
    /// The one that has more than the limit. None of its memory is in `large` until it is whole.
    beyond: Option<Beyond>,
    /// Those that let others go first, in the order in which they did so.
    passed: BTreeMap<u64, Passed>,
    next_passed: u64,
    /// Where large messages come from that are arriving.
    sources: BTreeMap<Ipv6Addr, Source>,
    /// The turn of the last one that waited and got memory.
    turn: u64,
    next_arriving: u64,
    closed: bool,
    /// Threads that wait for a message; telling nobody would cost a system call all the same.
    waiting: usize,
    /// Whether `event` is readable.
    signalled: bool,
}

/// What messages of one kind take.
#[derive(Default)]
struct Taken {
    messages: usize,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(max_datagrams: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            came: Condvar::new(),
            room: Condvar::new(),
            event: OnceLock::new(),
            max_datagrams,
            max_bytes,
        })
    }

    /// Queues a copy of a datagram.
    pub(super) fn push(
        &self,
        data: &[u8],
        sender: PeerText,
    ) -> std::result::Result<(), DropReason<'static>> {
        let mut state = lock(&self.state);
        if state.closed || state.datagrams.messages >= self.max_datagrams {
            return Err(DropReason::Full);
        }
        if state.datagrams.bytes + data.len() > self.max_bytes {
            return Err(DropReason::Memory);
        }
        if state.messages.try_reserve(1).is_err() {
            return Err(DropReason::Memory);
        }
        let data = Buffer::copy_of(data).ok_or(DropReason::Memory)?;
        state.datagrams.messages += 1;
        state.datagrams.bytes += data.len();
        self.add(&mut state, Message { data, sender });
        Ok(())
    }

    /// There is room in the row already: its growth may fail.
    fn add(&self, state: &mut State, message: Message) {
        state.messages.push_back(message);
        if state.waiting > 0 {
            self.came.notify_one();
        }
        self.update_event(state);
    }

    /// Takes the oldest message.
    pub(super) fn take(&self, limit: Limit) -> Result<Message, Nothing> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Err(Nothing::Closed);
            }
            if let Some(message) = state.messages.pop_front() {
                self.taken(&mut state, &message);
                return Ok(message);
            }
            let left = limit.left();
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Nothing::InTime);
            }
            state.waiting += 1;
            state = match left {
                None => wait(&self.came, state),
                Some(left) => {
                    let waited = self.came.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.waiting -= 1;
        }
    }

    fn taken(&self, state: &mut State, message: &Message) {
        let kind = match message.is_large() {
            true => &mut state.large,
            false => &mut state.datagrams,
        };
        kind.messages -= 1;
        kind.bytes -= message.data.len();
        if message.is_large() {
            self.room.notify_all();
        }
        self.update_event(state);
    }

    /// A large message begins to arrive.
    pub(super) fn arriving(self: &Arc<Self>, place: &Arc<Place>) -> Arriving {
        let mut state = lock(&self.state);
        let number = state.next_arriving;
        state.next_arriving += 1;
        state.sources.entry(place.source).or_default().arriving += 1;
        place.number.store(number, Ordering::Relaxed);
        place.beyond.store(false, Ordering::Relaxed);
        place.condemned.store(false, Ordering::Relaxed);
        Arriving {
            queue: Arc::clone(self),
            place: Arc::clone(place),
            number,
            reserved: 0,
            data: None,
        }
    }

    /// Takes memory for a message that is arriving and has some; waits until it may.
    fn reserve(&self, place: &Place, number: u64, has: usize, more: usize) -> Result<(), NoMore> {
        let mut state = lock(&self.state);
        let mut ask = None;
        let outcome = loop {
            if state.closed {
                break Err(NoMore::Closed);
            }
            if place.ended.load(Ordering::Relaxed) {
                break Err(NoMore::Ended);
            }
            if place.is_condemned() {
                break Err(NoMore::Slow);
            }
            if let Some(beyond) = state.beyond.as_mut().filter(|one| one.number == number) {
                beyond.has = has + more;
                return Ok(());
            }
            let first = state
                .starving
                .first()
                .is_none_or(|first| ask == Some(*first));
            // Nobody is overtaken who waits for the host only.
            let turn = first || state.beyond.is_some();
            if turn && state.large.bytes + more <= self.max_bytes {
                state.large.bytes += more;
                break Ok(());
            }
            if first && state.beyond.is_none() && state.large.messages == 0 {
                state.large.bytes -= has;
                state.passed.retain(|_, passed| passed.number != number);
                let has = has + more;
                state.beyond = Some(Beyond { number, has });
                place.beyond.store(true, Ordering::Relaxed);
                break Ok(());
            }
            if ask.is_none() {
                let new = state.ask(place.source, number);
                state.starving.insert(new);
                ask = Some(new);
            }
            state = wait(&self.room, state);
        };
        if let Some(ask) = ask {
            state.starving.remove(&ask);
            if outcome.is_ok() {
                state.turn = state.turn.max(ask.turn);
            }
            // The next turn may be that of a waiter now.
            self.room.notify_all();
        }
        outcome
    }

    /// The connection of `place` has ended: its message does not wait for memory any more.
    pub(super) fn end(&self, place: &Place) {
        // Under the lock, so that a waiter either sees it or is woken.
        let _state = lock(&self.state);
        place.ended.store(true, Ordering::Relaxed);
        self.room.notify_all();
    }

    /// Whether messages wait for what others have that are arriving.
    pub(super) fn is_short(&self) -> bool {
        lock(&self.state).is_short()
    }

    /// Lets others go beyond the limit before the message of `place`, if somebody waits for that. What the
    /// message has stays its own, and is counted.
    ///
    /// What such messages have is bounded. When there is too much of it, those are dropped that had their
    /// turn longest ago; until they have gone, this one stays beyond the limit.
    pub(super) fn pass_on(&self, place: &Arc<Place>) {
        let number = place.number.load(Ordering::Relaxed);
        let mut state = lock(&self.state);
        let Some(beyond) = state.beyond.filter(|beyond| beyond.number == number) else {
            return;
        };
        if !state.is_short() {
            return;
        }
        let most = self.max_bytes.saturating_add(*LENGTHS.end());
        if state.large.bytes + beyond.has > most {
            state.condemn();
            self.room.notify_all();
            return;
        }
        state.beyond = None;
        state.large.bytes += beyond.has;
        place.beyond.store(false, Ordering::Relaxed);
        let passed = Passed {
            number,
            has: beyond.has,
            place: Arc::clone(place),
        };
        let order = state.next_passed;
        state.next_passed += 1;
        state.passed.insert(order, passed);
        self.room.notify_all();
    }

    /// A message no longer arrives that has taken `reserved` bytes.
    fn give_back(&self, state: &mut State, number: u64, reserved: usize) {
        match state.beyond.is_some_and(|beyond| beyond.number == number) {
            true => state.beyond = None,
            false => state.large.bytes -= reserved,
        }
        state.passed.retain(|_, passed| passed.number != number);
        self.room.notify_all();
    }

    /// A descriptor that is readable exactly while `take` would not wait; `None`: there is none left.
    pub(super) fn descriptor(&self) -> Option<i32> {
        if self.event.get().is_none() {
            // Under the lock, so that two threads do not make two.
            let mut state = lock(&self.state);
            if self.event.get().is_none() {
                let _ = self.event.set(Event::new()?);
                self.update_event(&mut state);
            }
        }
        self.event.get().map(Event::number)
    }

    fn update_event(&self, state: &mut State) {
        let Some(event) = self.event.get() else {
            return;
        };
        // Closed counts as ready: who polls learns it from the next call.
        let ready = state.closed || !state.messages.is_empty();
        if ready != state.signalled {
            state.signalled = ready;
            match ready {
                true => event.signal(),
                false => event.clear(),
            }
        }
    }

    /// Wakes everybody who waits, and drops what is queued.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.messages.clear();
        self.came.notify_all();
        self.room.notify_all();
        self.update_event(&mut state);
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, loom))]
mod models;
#[cfg(test)]
mod tests;
