//! The messages and streams that wait for `recv` and `accept`, because there is no handler for them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV6;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::control::QueuedMessage;
use crate::error::{Result, TransportError};
use crate::sender_name::SenderName;
use crate::stream::Stream;
use crate::sync::{lock, wait, Condvar, Mutex, MutexGuard};
use crate::sys::event::Readiness;
use crate::sys::poll::Deadline;
use crate::sys::socket;
use crate::wakers::Wakers;

/// Both queues under one lock, so that the event descriptor is readable exactly while one of them
/// has something.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// A message or a stream arrived while a thread waits, or the inbox was closed.
    came: Condvar,
    /// The tasks that wait for the same.
    wakers: Wakers,
    /// Readable while a receive or an accept would not wait.
    event: Readiness,
    /// The most messages that are kept.
    limit: AtomicUsize,
    /// The most bytes of these messages together.
    limit_bytes: AtomicUsize,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Full,
    Memory,
}

#[derive(Default)]
struct State {
    /// Each with its sender's name, which takes longer to format than the message to receive.
    messages: VecDeque<(QueuedMessage, SenderName)>,
    /// Bytes of `messages`.
    bytes: usize,
    streams: VecDeque<Arc<Stream>>,
    closed: bool,
    /// Threads that wait. Without any, the system call that wakes them is saved.
    waiting: usize,
}

impl Inbox {
    pub fn new(limit: usize, limit_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            came: Condvar::new(),
            wakers: Wakers::default(),
            event: Readiness::default(),
            limit: AtomicUsize::new(limit),
            limit_bytes: AtomicUsize::new(limit_bytes),
        }
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub fn set_limit(&self, messages: usize) {
        self.limit.store(messages, Ordering::Relaxed);
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes.load(Ordering::Relaxed)
    }

    pub fn set_limit_bytes(&self, bytes: usize) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Room for a batch of messages: one lock and one wake-up for all of them.
    pub fn fill(&self) -> Filling<'_> {
        Filling {
            inbox: self,
            state: lock(&self.state),
            added: Added {
                any: false,
                wakers: &self.wakers,
            },
        }
    }

    /// Queues a stream. Without memory it is reset.
    pub fn push_stream(&self, stream: Arc<Stream>) {
        let mut state = lock(&self.state);
        if state.streams.try_reserve(1).is_err() {
            socket::reset_on_close(&stream.socket);
        } else if !state.closed {
            state.streams.push_back(stream);
            self.announce(&state);
            drop(state);
            return self.wakers.wake();
        }
        // A stream takes other locks when it closes.
        drop(state);
        drop(stream);
    }

    /// Drops streams that ended while they waited. The application may never accept them, and others need their places.
    pub fn drop_ended_streams(&self) {
        loop {
            let mut state = lock(&self.state);
            let Some(place) = state.streams.iter().position(|stream| stream.has_ended()) else {
                return;
            };
            let ended = state.streams.remove(place);
            self.update_event(&state);
            // A stream takes other locks when it closes.
            drop(state);
            drop(ended);
        }
    }

    /// Takes the oldest message for a handler.
    pub fn pop_message(&self) -> Option<QueuedMessage> {
        let mut state = lock(&self.state);
        let message = state.pop_message();
        self.update_event(&state);
        message
    }

    /// Returns a message that `pop_message` took.
    pub fn put_back(&self, message: QueuedMessage, sender: SenderName) {
        let mut state = lock(&self.state);
        if !state.closed {
            state.bytes += message.data.len();
            state.messages.push_front((message, sender));
            self.announce(&state);
            drop(state);
            self.wakers.wake();
        }
    }

    /// Takes the oldest stream for a handler.
    pub fn pop_stream(&self) -> Option<Arc<Stream>> {
        let mut state = lock(&self.state);
        let stream = state.streams.pop_front();
        self.update_event(&state);
        stream
    }

    /// Waits for a message, lends it to `take`, and removes it unless that fails.
    pub fn receive<T>(
        &self,
        deadline: Deadline,
        take: impl FnOnce(&[u8], &SenderName, SocketAddrV6) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.wait(deadline, |state| !state.messages.is_empty())?;
        let first = state.messages.front();
        let (message, sender) = first.ok_or(TransportError::WouldBlock)?;
        let taken = take(&message.data, sender, message.from)?;
        state.pop_message();
        self.update_event(&state);
        Ok(taken)
    }

    /// Waits for a message and lends the oldest `most` ones to `take`, under one lock. The batch ends at
    /// the first that `take` refuses: that one stays, and its error is returned if it is the first.
    pub fn receive_batch(
        &self,
        deadline: Deadline,
        most: usize,
        mut take: impl FnMut(&[u8], &SenderName, SocketAddrV6) -> Result<()>,
    ) -> Result<usize> {
        let mut state = self.wait(deadline, |state| !state.messages.is_empty())?;
        let mut taken = 0;
        let mut outcome = Ok(());
        while taken < most {
            let Some((message, sender)) = state.messages.front() else {
                break;
            };
            outcome = take(&message.data, sender, message.from);
            if outcome.is_err() {
                break;
            }
            state.pop_message();
            taken += 1;
        }
        self.update_event(&state);
        match outcome {
            Err(error) if taken == 0 => Err(error),
            _ => Ok(taken),
        }
    }

    /// Waits for a stream.
    pub fn accept(&self, deadline: Deadline) -> Result<Arc<Stream>> {
        let mut state = self.wait(deadline, |state| !state.streams.is_empty())?;
        let stream = state
            .streams
            .pop_front()
            .ok_or(TransportError::WouldBlock)?;
        self.update_event(&state);
        Ok(stream)
    }

    /// Waits in a task: calls `look`, which does not wait, until it finds something.
    #[cfg(feature = "async")]
    pub async fn until<T>(&self, mut look: impl FnMut() -> Result<T>) -> Result<T> {
        let found = || match look() {
            Err(TransportError::WouldBlock) => None,
            found => Some(found),
        };
        self.wakers.until(found).await
    }

    fn wait(
        &self,
        deadline: Deadline,
        ready: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Err(TransportError::Shutdown);
            }
            if ready(&state) {
                return Ok(state);
            }
            let remaining = deadline.remaining();
            if remaining.is_some_and(|time| time.is_zero()) {
                return Err(TransportError::WouldBlock);
            }
            state.waiting += 1;
            state = wait(&self.came, state, remaining);
            state.waiting -= 1;
        }
    }

    /// Wakes the waiting threads and updates the event descriptor. Tasks are woken after the lock is released.
    fn announce(&self, state: &State) {
        if state.waiting > 0 {
            self.came.notify_all();
        }
        self.update_event(state);
    }

    /// A descriptor that is readable exactly while `receive` or `accept` would not wait.
    pub fn event(&self) -> io::Result<BorrowedFd<'_>> {
        let state = lock(&self.state);
        self.event.descriptor(state.is_ready())
    }

    fn update_event(&self, state: &State) {
        self.event.update(state.is_ready());
    }

    /// Wakes all waiting threads and tasks, and drops the queues.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.messages.clear();
        state.bytes = 0;
        let streams = std::mem::take(&mut state.streams);
        self.announce(&state);
        // Streams take other locks when they close.
        drop(state);
        drop(streams);
        self.wakers.wake();
    }
}

impl State {
    /// Whether a receive or an accept would not wait. Closed counts: the next call reports it.
    fn is_ready(&self) -> bool {
        self.closed || !self.messages.is_empty() || !self.streams.is_empty()
    }

    fn pop_message(&mut self) -> Option<QueuedMessage> {
        let (message, _) = self.messages.pop_front()?;
        self.bytes -= message.data.len();
        Some(message)
    }
}

/// The inbox, open for a batch of messages.
pub(crate) struct Filling<'a> {
    inbox: &'a Inbox,
    // Fields are dropped in order: the lock is released, then tasks are woken.
    state: MutexGuard<'a, State>,
    added: Added<'a>,
}

/// Whether there is something new.
struct Added<'a> {
    any: bool,
    wakers: &'a Wakers,
}

impl Drop for Added<'_> {
    fn drop(&mut self) {
        if self.any {
            self.wakers.wake();
        }
    }
}

impl Filling<'_> {
    /// Queues a copy.
    #[inline(never)] // as large as it is, it would keep the way to a handler from being inlined
    pub fn push(
        &mut self,
        data: &[u8],
        from: SocketAddrV6,
        sender: &SenderName,
    ) -> std::result::Result<(), NoRoom> {
        if self.state.closed || self.state.messages.len() >= self.inbox.limit() {
            return Err(NoRoom::Full);
        }
        if self.state.bytes + data.len() > self.inbox.limit_bytes()
            || self.state.messages.try_reserve(1).is_err()
        {
            return Err(NoRoom::Memory);
        }
        let message = QueuedMessage::copy(data, from).ok_or(NoRoom::Memory)?;
        let sender = SenderName::clone(sender);
        self.state.bytes += data.len();
        self.state.messages.push_back((message, sender));
        self.added.any = true;
        Ok(())
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        if self.added.any {
            self.inbox.announce(&self.state);
        }
    }
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::{wait, Interest};
    use std::net::Ipv6Addr;

    fn from() -> SocketAddrV6 {
        SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1)
    }

    fn inbox(limit: usize) -> Inbox {
        Inbox::new(limit, 1000)
    }

    fn push(inbox: &Inbox, data: &[u8]) -> std::result::Result<(), NoRoom> {
        inbox.fill().push(data, from(), &SenderName::new("::1%lo"))
    }

    fn readable(inbox: &Inbox) -> bool {
        let event = inbox.event().unwrap();
        wait(&mut [Interest::readable(event)], Deadline::Now).unwrap()
    }

    #[test]
    fn the_newest_goes_when_the_queue_is_full_and_order_is_kept() {
        let inbox = inbox(2);
        let kept = [b"1", b"2", b"3"].map(|data| push(&inbox, data));
        assert_eq!(kept, [Ok(()), Ok(()), Err(NoRoom::Full)]);
        let next = || inbox.receive(Deadline::Now, |data, _, _| Ok(data.to_vec()));
        assert_eq!(next().unwrap(), b"1");
        assert_eq!(next().unwrap(), b"2");
        assert!(matches!(next(), Err(TransportError::WouldBlock)));
    }

    #[test]
    fn bytes_are_bounded_too_and_come_back_when_messages_go() {
        let inbox = inbox(8);
        assert_eq!(push(&inbox, &[0; 600]), Ok(()));
        assert_eq!(push(&inbox, &[0; 401]), Err(NoRoom::Memory));
        assert_eq!(push(&inbox, &[0; 400]), Ok(()));
        let taken = inbox.pop_message().unwrap();
        assert_eq!(push(&inbox, &[0; 600]), Ok(()));
        inbox.put_back(taken, SenderName::new("::1%lo"));
        for _ in 0..3 {
            inbox.receive(Deadline::Now, |_, _, _| Ok(())).unwrap();
        }
        assert_eq!(push(&inbox, &[0; 1000]), Ok(()));
    }

    #[test]
    fn a_message_that_is_not_taken_stays() {
        let inbox = inbox(8);
        push(&inbox, b"kept").unwrap();
        let refused: Result<()> =
            inbox.receive(Deadline::Now, |_, _, _| Err(TransportError::WouldBlock));
        assert!(refused.is_err());
        assert_eq!(inbox.pop_message().unwrap().data, b"kept");
    }

    #[test]
    fn the_event_is_readable_exactly_while_something_waits() {
        let inbox = inbox(8);
        push(&inbox, b"before anybody asked").unwrap();
        assert!(readable(&inbox));
        inbox.pop_message();
        assert!(!readable(&inbox));
        push(&inbox, b"after").unwrap();
        assert!(readable(&inbox));
        inbox.pop_message();
        inbox.close();
        assert!(readable(&inbox), "pollers must learn that it is closed");
    }
}
