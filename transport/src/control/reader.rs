//! The decision which thread reads the control socket.
//!
//! The receiver reads it, except while the message handler runs. Then other threads read in its place, answer the
//! pings, deliver the pongs, and append the messages to a backlog for the receiver, in order:
//!
//! - a thread that waits for a pong does so at once, so round trips work from inside a handler;
//! - the event loop does so when one call of the handler takes long, so that pings of peers are still answered
//!   ([`ReceiverWatchdog`]).

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{Control, Sockets};
use super::dispatch::Dispatch;
use super::queued::QueuedMessage;
use super::reply_route::ReplyRoute;
use crate::context::Context;
use crate::rtt::PingSocketPool;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::poll::Deadline;
use crate::sys::receive::ReceiveBatch;
use crate::wire::{self, Kind};

/// The most datagrams, or coalesced trains of them, that one system call reads here.
const BATCH: usize = 4;
/// The memory of a message in the backlog, without its bytes.
const OVERHEAD: usize = 128;
/// The messages for which the backlog keeps its room. A handler that blocked for long can leave many more, and their
/// room is freed.
const KEPT: usize = 1024;
/// A handler call that lasts longer than this takes long.
const TICK: Duration = Duration::from_millis(50);

/// Decides which thread reads the control socket. All flags of that decision are here.
pub(crate) struct ControlReader {
    pub dispatch: Dispatch,
    /// Whether the message handler runs, so that the receiver does not read.
    busy: AtomicBool,
    /// The number of handler calls that have begun.
    calls: AtomicU64,
    /// Whether the event loop watches the receiver.
    watched: AtomicBool,
    backlog: Mutex<Backlog>,
}

/// The messages that other threads read in the receiver's place.
#[derive(Default)]
struct Backlog {
    messages: VecDeque<QueuedMessage>,
    /// The memory that they use, in bytes.
    size: usize,
    buffers: Option<ReceiveBatch>,
}

impl ControlReader {
    pub fn new(control: &Arc<Control>, ping_sockets: &Arc<PingSocketPool>) -> Self {
        Self {
            dispatch: Dispatch::new(control, ping_sockets),
            busy: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            backlog: Mutex::default(),
        }
    }

    fn context(&self) -> &Context {
        &self.dispatch.context
    }

    /// Whether the receiver leaves reading to other threads.
    pub fn is_receiver_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst)
    }

    /// The receiver is about to call the handler, and stops reading.
    pub fn suspend_receiver(&self) {
        self.busy.store(true, Ordering::SeqCst);
        self.dispatch.ping_sockets.wake_sleepers();
        // This wakes the event loop once for each burst of traffic, not for each message.
        if !self.watched.load(Ordering::SeqCst) {
            self.watched.store(true, Ordering::SeqCst);
            self.context().event_loop_wake.signal();
        }
    }

    /// Counts a call of the handler. Only the receiver calls this, so it needs no atomic addition.
    pub fn count_call(&self) {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls + 1, Ordering::Release);
    }

    /// The next message of the backlog. `None`: the receiver reads again itself.
    pub fn next_or_resume(&self) -> Option<QueuedMessage> {
        if !self.is_receiver_busy() {
            return None;
        }
        let mut backlog = lock(&self.backlog);
        match backlog.messages.pop_front() {
            Some(message) => {
                backlog.size -= message.data.len() + OVERHEAD;
                Some(message)
            }
            None => {
                if backlog.messages.capacity() > KEPT {
                    backlog.messages = VecDeque::new();
                }
                self.busy.store(false, Ordering::SeqCst);
                None
            }
        }
    }

    /// Reads available datagrams in the receiver's place, if the receiver is busy.
    pub fn drain_for_receiver(&self) {
        let dispatch = &self.dispatch;
        let context = self.context();
        let mut backlog = lock(&self.backlog);
        // The receiver clears the flag under this lock before it reads again, so messages stay in order.
        if !self.is_receiver_busy() {
            return;
        }
        let Some(Sockets { control, outbound }) = dispatch.control.sockets() else {
            return;
        };
        let Backlog {
            messages,
            size,
            buffers,
        } = &mut *backlog;
        if buffers.is_none() {
            // If there is no memory for buffers, the datagrams stay in the socket for the receiver.
            *buffers = ReceiveBatch::new(BATCH).ok();
        }
        let Some(buffers) = buffers else {
            return;
        };
        let Ok(count) = buffers.receive(control.as_fd(), BATCH) else {
            return;
        };
        let now = Instant::now();
        let (mut lost, mut refused) = (0, None);
        let mut route = ReplyRoute::default();
        for slot in 0..count {
            let received = buffers.get(slot);
            let messages_in_it = dispatch.dispatch(&outbound, &received, now, &mut route);
            if messages_in_it.is_none() {
                refused = Some(received.from);
                continue;
            }
            let of_application = |datagram: &&[u8]| wire::classify(datagram) == Kind::Message;
            for datagram in received.datagrams().filter(of_application) {
                let needed = datagram.len() + OVERHEAD;
                // The backlog may be as large as the socket buffer.
                let room = *size + needed <= context.settings.config.buffer_size;
                let room = room && messages.try_reserve(1).is_ok();
                match QueuedMessage::copy(datagram, received.from).filter(|_| room) {
                    Some(message) => {
                        *size += needed;
                        messages.push_back(message);
                    }
                    None => lost += 1,
                }
            }
        }
        // No lock is held while the logger runs.
        drop(backlog);
        dispatch.log_limited(&mut route);
        if lost > 0 {
            context.counters.cold.dropped_memory.add(lost);
            let limit = context.settings.config.buffer_size;
            let hint = context.settings.hint(" (buffer_size)");
            let full = format_args!("{limit} bytes wait for the message handler{hint}");
            dispatch.log_dropped(lost, full);
        }
        if let Some(from) = refused {
            dispatch.log_refused(&from);
        }
    }
}

/// The event loop's watch over a receiver whose handler takes long. It costs a wake-up every [`TICK`] while messages
/// come, and none otherwise.
pub(crate) struct ReceiverWatchdog {
    seen_calls: u64,
    next_check: Instant,
    /// Whether one call has lasted longer than a tick.
    is_long_call: bool,
}

impl ReceiverWatchdog {
    pub fn new() -> Self {
        Self {
            seen_calls: 0,
            next_check: Instant::now(),
            is_long_call: false,
        }
    }

    /// Whether to read in the receiver's place, and when to call this again.
    pub fn look(&mut self, reader: &ControlReader, now: Instant) -> (bool, Deadline) {
        if !reader.watched.load(Ordering::SeqCst) {
            return (false, Deadline::Never);
        }
        if now >= self.next_check && !self.check(reader, now) {
            return (false, Deadline::Never);
        }
        (
            self.is_long_call && reader.is_receiver_busy(),
            Deadline::At(self.next_check),
        )
    }

    /// False if there is no receiver to watch any more.
    fn check(&mut self, reader: &ControlReader, now: Instant) -> bool {
        let busy = reader.is_receiver_busy();
        let calls = reader.calls.load(Ordering::SeqCst);
        let same_call = calls == self.seen_calls;
        self.is_long_call = busy && same_call;
        self.seen_calls = calls;
        self.next_check = now + TICK;
        if busy || !same_call {
            return true;
        }
        reader.watched.store(false, Ordering::SeqCst);
        // The receiver may have begun a call before the flag was cleared, and then did not wake the event loop.
        let begun = reader.is_receiver_busy() || reader.calls.load(Ordering::SeqCst) != calls;
        if begun {
            reader.watched.store(true, Ordering::SeqCst);
        }
        begun
    }
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtt::PingSocketPool;
    use crate::settings::Settings;
    use std::net::{Ipv6Addr, SocketAddrV6};

    fn reader() -> ControlReader {
        let context = Context::new(Settings::default(), None, false).unwrap();
        let control = Arc::new(Control::new(&Arc::new(context)).unwrap());
        ControlReader::new(&control, &Arc::new(PingSocketPool::default()))
    }

    #[test]
    fn the_room_of_many_messages_is_given_back_when_they_are_delivered() {
        let reader = reader();
        let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1);
        let leave_behind = |count: usize| {
            reader.busy.store(true, Ordering::SeqCst);
            let mut backlog = lock(&reader.backlog);
            for _ in 0..count {
                let message = QueuedMessage::copy(b"left behind", from).unwrap();
                backlog.size += message.data.len() + OVERHEAD;
                backlog.messages.push_back(message);
            }
            backlog.messages.capacity()
        };
        let deliver = || {
            while reader.next_or_resume().is_some() {}
            let backlog = lock(&reader.backlog);
            assert_eq!(backlog.size, 0);
            backlog.messages.capacity()
        };
        let usual = leave_behind(KEPT / 2);
        assert_eq!(deliver(), usual, "a little room is kept");
        assert!(leave_behind(10 * KEPT) > KEPT);
        assert_eq!(deliver(), 0);
    }

    #[test]
    fn the_watchdog_reads_when_one_call_outlasts_a_tick() {
        let reader = reader();
        let mut watchdog = ReceiverWatchdog::new();
        let start = watchdog.next_check;
        assert_eq!(watchdog.look(&reader, start), (false, Deadline::Never));

        reader.watched.store(true, Ordering::SeqCst);
        reader.busy.store(true, Ordering::SeqCst);
        reader.count_call();
        assert!(watchdog.check(&reader, start));
        assert!(!watchdog.is_long_call, "the call may have just begun");
        assert!(watchdog.check(&reader, start + TICK));
        assert!(watchdog.is_long_call, "it is still the same call");
        reader.count_call();
        assert!(watchdog.check(&reader, start + 2 * TICK));
        assert!(!watchdog.is_long_call, "many short calls need nobody");

        assert!(reader.next_or_resume().is_none());
        assert!(!watchdog.check(&reader, start + 3 * TICK));
        assert!(
            !reader.watched.load(Ordering::SeqCst),
            "no traffic, no wake-ups"
        );
    }
}
