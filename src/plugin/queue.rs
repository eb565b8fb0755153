//! The receive queue of a plugin: datagrams and large messages that the host has not taken yet, in
//! order of arrival.
//!
//! A datagram that finds no room is dropped, as in UDP. A large message is not dropped: its reader
//! waits for memory, and TCP's flow control makes the sender wait.
//!
//! A large message reserves memory while its bytes arrive. When all large messages together reach
//! the limit, further readers wait. Sources take turns, so that more connections get no more turns.
//! When the host has drained the queue, the next waiting message may go *over the limit*, one at a
//! time, so that a message larger than the limit gets through. If that message is slow while others
//! wait, it yields: others go first, it keeps its memory, and that memory counts from then on. So
//! large messages never have more than the limit plus two messages of the largest size.

mod partial_message;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use thunderbolt_transport::support::{Readiness, TimeLimit};
use thunderbolt_transport::DropReason;

use super::large::LENGTHS;
use super::memory::Buffer;
use super::peer_text::PeerText;
use crate::sync::{lock, wait, Condvar, Mutex};
use partial_message::PartialMessage;
pub(super) use turns::IncomingConnection;
use turns::{OverLimit, Source, Ticket, Yielded};

/// A complete message.
pub(super) struct Message {
    pub(super) data: Buffer,
    pub(super) sender: PeerText,
}

impl Message {
    fn is_large(&self) -> bool {
        self.data.len() >= *LENGTHS.start()
    }
}

/// Why a receive returned no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecvError {
    TimedOut,
    Closed,
}

/// Why a large message gets no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReserveError {
    OutOfMemory,
    /// It yielded to others, and they need its memory.
    TooSlow,
    Disconnected,
    Closed,
}

pub(super) struct Queue {
    state: Mutex<State>,
    /// A message was queued, or the queue was closed.
    message_ready: Condvar,
    /// The memory of large messages changed, or one of them ended.
    memory_changed: Condvar,
    /// Readable while `recv` would not wait.
    event: Readiness,
    max_datagrams: usize,
    /// Applies to datagrams and to large messages separately.
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    datagrams: Usage,
    /// Queued large messages, and the memory of those that are arriving, except `over_limit`.
    large: Usage,
    waiting_for_memory: BTreeSet<Ticket>,
    /// The message that may exceed the limit.
    over_limit: Option<OverLimit>,
    /// Messages that yielded, in the order in which they did.
    yielded: BTreeMap<u64, Yielded>,
    next_yielded: u64,
    /// Sources that have connections on which large messages are arriving.
    sources: BTreeMap<Ipv6Addr, Source>,
    /// The turn of the last waiter that got memory.
    turn: u64,
    next_number: u64,
    closed: bool,
    /// Threads that wait for a message. Without any, there is no system call to wake them.
    waiting_receivers: usize,
}

#[derive(Default)]
struct Usage {
    messages: usize,
    bytes: usize,
}

impl State {
    /// Whether `recv` would not wait. Closed counts: the next call reports it.
    fn is_ready(&self) -> bool {
        self.closed || !self.messages.is_empty()
    }
}

impl Queue {
    pub(super) fn new(max_datagrams: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            message_ready: Condvar::new(),
            memory_changed: Condvar::new(),
            event: Readiness::default(),
            max_datagrams,
            max_bytes,
        })
    }

    /// Queues a copy of a datagram.
    pub(super) fn push(&self, data: &[u8], sender: PeerText) -> Result<(), DropReason<'static>> {
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
        self.append(&mut state, Message { data, sender });
        Ok(())
    }

    /// The caller has reserved an entry in `messages`, because growth can fail.
    fn append(&self, state: &mut State, message: Message) {
        state.messages.push_back(message);
        if state.waiting_receivers > 0 {
            self.message_ready.notify_one();
        }
        self.event.update(state.is_ready());
    }

    /// Takes the oldest message.
    pub(super) fn recv(&self, limit: TimeLimit) -> Result<Message, RecvError> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Err(RecvError::Closed);
            }
            if let Some(message) = state.messages.pop_front() {
                self.account_taken(&mut state, &message);
                return Ok(message);
            }
            if limit.has_passed() {
                return Err(RecvError::TimedOut);
            }
            state.waiting_receivers += 1;
            state = wait(&self.message_ready, state, limit.remaining());
            state.waiting_receivers -= 1;
        }
    }

    fn account_taken(&self, state: &mut State, message: &Message) {
        let kind = match message.is_large() {
            true => &mut state.large,
            false => &mut state.datagrams,
        };
        kind.messages -= 1;
        kind.bytes -= message.data.len();
        if message.is_large() {
            self.memory_changed.notify_all();
        }
        self.event.update(state.is_ready());
    }

    /// A large message begins to arrive on `connection`.
    pub(super) fn begin_large(
        self: &Arc<Self>,
        connection: &Arc<IncomingConnection>,
    ) -> PartialMessage {
        let mut state = lock(&self.state);
        let number = state.next_number;
        state.next_number += 1;
        let source = state.sources.entry(connection.source).or_default();
        source.arriving += 1;
        connection.message.store(number, Ordering::Relaxed);
        connection.over_limit.store(false, Ordering::Relaxed);
        connection.evicted.store(false, Ordering::Relaxed);
        PartialMessage {
            queue: Arc::clone(self),
            connection: Arc::clone(connection),
            number,
            reserved: 0,
            data: None,
        }
    }

    /// Reserves `more` bytes for a message that has `has` bytes. Waits until it may have them.
    fn reserve(
        &self,
        connection: &IncomingConnection,
        number: u64,
        has: usize,
        more: usize,
    ) -> Result<(), ReserveError> {
        let mut state = lock(&self.state);
        let mut ticket = None;
        let outcome = loop {
            if state.closed {
                break Err(ReserveError::Closed);
            }
            if connection.disconnected.load(Ordering::Relaxed) {
                break Err(ReserveError::Disconnected);
            }
            if connection.is_evicted() {
                break Err(ReserveError::TooSlow);
            }
            let over_limit = state.over_limit.as_mut();
            if let Some(own) = over_limit.filter(|message| message.number == number) {
                own.has = has + more;
                return Ok(());
            }
            let first = state
                .waiting_for_memory
                .first()
                .is_none_or(|first| ticket == Some(*first));
            // Others may overtake while a message is over the limit, but not while the first waiter
            // only waits for the host.
            let turn = first || state.over_limit.is_some();
            if turn && state.large.bytes + more <= self.max_bytes {
                state.large.bytes += more;
                break Ok(());
            }
            if first && state.over_limit.is_none() && state.large.messages == 0 {
                state.large.bytes -= has;
                state.yielded.retain(|_, yielded| yielded.number != number);
                let has = has + more;
                state.over_limit = Some(OverLimit { number, has });
                connection.over_limit.store(true, Ordering::Relaxed);
                break Ok(());
            }
            if ticket.is_none() {
                let new = state.next_ticket(connection.source, number);
                state.waiting_for_memory.insert(new);
                ticket = Some(new);
            }
            state = wait(&self.memory_changed, state, None);
        };
        if let Some(ticket) = ticket {
            state.waiting_for_memory.remove(&ticket);
            if outcome.is_ok() {
                state.turn = state.turn.max(ticket.turn);
            }
            // Another waiter may be first now.
            self.memory_changed.notify_all();
        }
        outcome
    }

    /// The connection has ended. If its message waits for memory, the wait ends.
    pub(super) fn disconnect(&self, connection: &IncomingConnection) {
        // The lock ensures that a waiter either sees the flag or gets the notification.
        let _state = lock(&self.state);
        connection.disconnected.store(true, Ordering::Relaxed);
        self.memory_changed.notify_all();
    }

    /// Whether a message waits for memory that other arriving messages have.
    pub(super) fn memory_is_short(&self) -> bool {
        lock(&self.state).memory_is_short()
    }

    /// If the message of `connection` is over the limit and others wait, lets them go first. The
    /// message keeps its memory, which now counts as `large`.
    ///
    /// The total of yielded memory is bounded. Above the bound, the messages that yielded first are
    /// evicted, and this one stays over the limit until they are gone.
    pub(super) fn yield_turn(&self, connection: &Arc<IncomingConnection>) {
        let number = connection.message.load(Ordering::Relaxed);
        let mut state = lock(&self.state);
        let Some(own) = state.over_limit.filter(|message| message.number == number) else {
            return;
        };
        if !state.memory_is_short() {
            return;
        }
        let most = self.max_bytes.saturating_add(*LENGTHS.end());
        if state.large.bytes + own.has > most {
            state.evict_yielded();
            self.memory_changed.notify_all();
            return;
        }
        state.over_limit = None;
        state.large.bytes += own.has;
        connection.over_limit.store(false, Ordering::Relaxed);
        let yielded = Yielded {
            number,
            has: own.has,
            connection: Arc::clone(connection),
        };
        let order = state.next_yielded;
        state.next_yielded += 1;
        state.yielded.insert(order, yielded);
        self.memory_changed.notify_all();
    }

    /// Releases the `reserved` bytes of a message that is complete or no longer arrives.
    fn release(&self, state: &mut State, number: u64, reserved: usize) {
        match state.over_limit.is_some_and(|own| own.number == number) {
            true => state.over_limit = None,
            false => state.large.bytes -= reserved,
        }
        state.yielded.retain(|_, yielded| yielded.number != number);
        self.memory_changed.notify_all();
    }

    /// A descriptor that is readable exactly while `recv` would not wait.
    pub(super) fn event_fd(&self) -> io::Result<RawFd> {
        let state = lock(&self.state);
        let event = self.event.descriptor(state.is_ready())?;
        Ok(event.as_raw_fd())
    }

    /// Wakes all waiting threads, and drops the queued messages.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.messages.clear();
        self.message_ready.notify_all();
        self.memory_changed.notify_all();
        self.event.update(state.is_ready());
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(test)]
mod tests;
