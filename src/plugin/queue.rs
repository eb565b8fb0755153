//! What has come and waits for the host to ask for it: datagrams and large messages, in one row.
//!
//! Datagrams that find no room are dropped, as UDP is. Large messages wait outside, and TCP makes their
//! senders wait. The memory of those that arrive is taken as they do: when together they have
//! as much as they may, they wait. The one that waits longest goes on alone, *beyond* the limit, as soon as the
//! host leaves nothing lying: so a message always gets through, and all of them together never have
//! more than the limit and one message. What goes on beyond it is not counted, so if its sender
//! stalls it is in nobody's way.

mod arriving;

use std::collections::{BTreeSet, VecDeque};
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
    /// Large messages that wait for memory, by age.
    starving: BTreeSet<u64>,
    /// The one that has more than the limit. None of its memory is in `large` until it is whole.
    beyond: Option<u64>,
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
    pub(super) fn arriving(self: &Arc<Self>) -> Arriving {
        let mut state = lock(&self.state);
        let number = state.next_arriving;
        state.next_arriving += 1;
        Arriving {
            queue: Arc::clone(self),
            number,
            reserved: 0,
            data: None,
        }
    }

    /// Takes memory for a message that is arriving and has some; waits until it may.
    fn reserve(&self, number: u64, has: usize, more: usize) -> Result<(), NoMore> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Err(NoMore::Closed);
            }
            if state.beyond == Some(number) {
                return Ok(());
            }
            let longest = state.starving.first().is_none_or(|first| *first >= number);
            // Nobody is overtaken who waits for the host only.
            let turn = longest || state.beyond.is_some();
            if turn && state.large.bytes + more <= self.max_bytes {
                state.large.bytes += more;
                break;
            }
            if longest && state.beyond.is_none() && state.large.messages == 0 {
                state.beyond = Some(number);
                state.large.bytes -= has;
                break;
            }
            state.starving.insert(number);
            state = wait(&self.room, state);
        }
        if state.starving.remove(&number) {
            // The next one may be who has waited longest now.
            self.room.notify_all();
        }
        Ok(())
    }

    /// A message no longer arrives that has taken `reserved` bytes.
    fn give_back(&self, state: &mut State, number: u64, reserved: usize) {
        state.starving.remove(&number);
        match state.beyond == Some(number) {
            true => state.beyond = None,
            false => state.large.bytes -= reserved,
        }
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
