//! Reading the control socket in the receiver's place.
//!
//! While the message handler runs, the receiver does not read. Then others do, answer the pings, hand
//! over the pongs, and leave the messages behind for the receiver, in order (`pump`):
//!
//! - a thread that waits for a pong, at once: so round trips work from inside a handler;
//! - the accepting thread, when one call of the handler takes long: so that peers' pings are answered
//!   all the same ([`StandIn`]).

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::inbox::Queued;
use super::receiver::{log_dropped, log_refused, triage, Pinger};
use super::Sockets;
use crate::core::Core;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::poll::Deadline;
use crate::sys::receive::ReceiveBatch;
use crate::throttle::Throttle;
use crate::wire::{self, Kind};

/// Datagrams, or trains of them, that one system call takes here.
const BATCH: usize = 4;
/// What a message that is left behind costs besides its bytes.
const OVERHEAD: usize = 128;
/// Messages for which there is room all the time. A handler that stood still for long can have left many
/// more behind; the room that they took is given back.
const KEPT: usize = 1024;
/// A handler call that outlasts this is one that takes long.
const TICK: Duration = Duration::from_millis(50);

/// What passes between the receiver and those who read in its place.
#[derive(Default)]
pub(crate) struct Intake {
    /// The message handler runs, so the receiver does not read.
    busy: AtomicBool,
    /// Calls of the handler that have begun.
    calls: AtomicU64,
    /// The accepting thread looks after the receiver.
    watched: AtomicBool,
    pumped: Mutex<Pumped>,
    pub refused: Throttle,
    pub dropped: Throttle,
}

#[derive(Default)]
struct Pumped {
    messages: VecDeque<Queued>,
    /// Memory that they take.
    size: usize,
    buffers: Option<ReceiveBatch>,
}

impl Intake {
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst)
    }

    /// The receiver is about to call the handler.
    pub fn begin(&self, core: &Core) {
        self.busy.store(true, Ordering::SeqCst);
        core.rtt.wake_sleepers();
        // Once for each time that there is traffic, not for each message.
        if !self.watched.load(Ordering::SeqCst) {
            self.watched.store(true, Ordering::SeqCst);
            core.accept_wake.signal();
        }
    }

    /// Only the receiver counts, so this needs no atomic addition.
    pub fn count_call(&self) {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls + 1, Ordering::Release);
    }

    /// The next message that was left behind; or `None`, and the receiver reads again itself.
    pub fn next_or_end(&self) -> Option<Queued> {
        if !self.is_busy() {
            return None;
        }
        let mut pumped = lock(&self.pumped);
        match pumped.messages.pop_front() {
            Some(message) => {
                pumped.size -= message.data.len() + OVERHEAD;
                Some(message)
            }
            None => {
                if pumped.messages.capacity() > KEPT {
                    pumped.messages = VecDeque::new();
                }
                self.busy.store(false, Ordering::SeqCst);
                None
            }
        }
    }
}

/// Reads what is there in the receiver's place, if that is inside the message handler.
pub(crate) fn pump(core: &Core) {
    let mut pumped = lock(&core.intake.pumped);
    // The receiver clears it under this lock before it reads again: the order stays.
    if !core.intake.is_busy() {
        return;
    }
    let Some(Sockets { main, outbound }) = core.control.sockets() else {
        return;
    };
    let Pumped {
        messages,
        size,
        buffers,
    } = &mut *pumped;
    if buffers.is_none() {
        // Without memory for it the receiver reads when it is back.
        *buffers = ReceiveBatch::new(BATCH).ok();
    }
    let Some(buffers) = buffers else {
        return;
    };
    let Ok(count) = buffers.receive(main.as_fd(), BATCH) else {
        return;
    };
    let now = Instant::now();
    let (mut lost, mut refused) = (0, None);
    let mut pinger = Pinger::default();
    for slot in 0..count {
        let received = buffers.get(slot);
        if triage(core, &outbound, &received, now, &mut pinger).is_none() {
            refused = Some(received.from);
            continue;
        }
        let of_application = |datagram: &&[u8]| wire::classify(datagram) == Kind::Message;
        for datagram in received.datagrams().filter(of_application) {
            let needed = datagram.len() + OVERHEAD;
            // As much as the kernel was asked to keep in our absence.
            let room = *size + needed <= core.settings.config.buffer_size;
            let room = room && messages.try_reserve(1).is_ok();
            match Queued::copy(datagram, received.from).filter(|_| room) {
                Some(message) => {
                    *size += needed;
                    messages.push_back(message);
                }
                None => lost += 1,
            }
        }
    }
    // No lock is held while something is logged.
    drop(pumped);
    pinger.log_limited(core);
    if lost > 0 {
        core.counters.cold.dropped_memory.add(lost);
        let limit = core.settings.config.buffer_size;
        let hint = core.settings.hint(" (buffer_size)");
        let full = format_args!("{limit} bytes wait for the message handler{hint}");
        log_dropped(core, lost, full);
    }
    if let Some(from) = refused {
        log_refused(core, &from);
    }
}

/// The accepting thread's care for a receiver whose handler takes long. It costs a wake-up every
/// [`TICK`] while messages come, and none when no more do.
pub(crate) struct StandIn {
    seen_calls: u64,
    next_look: Instant,
    needed: bool,
}

impl StandIn {
    pub fn new() -> Self {
        Self {
            seen_calls: 0,
            next_look: Instant::now(),
            needed: false,
        }
    }

    /// Whether to read in the receiver's place, and until when that holds.
    pub fn look(&mut self, intake: &Intake, now: Instant) -> (bool, Deadline) {
        if !intake.watched.load(Ordering::SeqCst) {
            return (false, Deadline::Never);
        }
        if now >= self.next_look && !self.look_again(intake, now) {
            return (false, Deadline::Never);
        }
        (
            self.needed && intake.is_busy(),
            Deadline::At(self.next_look),
        )
    }

    /// False when there is nothing to look after any more.
    fn look_again(&mut self, intake: &Intake, now: Instant) -> bool {
        let (busy, calls) = (intake.is_busy(), intake.calls.load(Ordering::SeqCst));
        let same_call = calls == self.seen_calls;
        self.needed = busy && same_call;
        self.seen_calls = calls;
        self.next_look = now + TICK;
        if busy || !same_call {
            return true;
        }
        intake.watched.store(false, Ordering::SeqCst);
        // The receiver may have begun in between, and relied on being watched.
        let begun = intake.is_busy() || intake.calls.load(Ordering::SeqCst) != calls;
        if begun {
            intake.watched.store(true, Ordering::SeqCst);
        }
        begun
    }
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, SocketAddrV6};

    #[test]
    fn the_room_of_many_messages_is_given_back_when_they_are_delivered() {
        let intake = Intake::default();
        let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1);
        let leave_behind = |count: usize| {
            intake.busy.store(true, Ordering::SeqCst);
            let mut pumped = lock(&intake.pumped);
            for _ in 0..count {
                let message = Queued::copy(b"left behind", from).unwrap();
                pumped.size += message.data.len() + OVERHEAD;
                pumped.messages.push_back(message);
            }
            pumped.messages.capacity()
        };
        let deliver = || {
            while intake.next_or_end().is_some() {}
            let pumped = lock(&intake.pumped);
            assert_eq!(pumped.size, 0);
            pumped.messages.capacity()
        };
        let usual = leave_behind(KEPT / 2);
        assert_eq!(deliver(), usual, "a little room is kept");
        assert!(leave_behind(10 * KEPT) > KEPT);
        assert_eq!(deliver(), 0);
    }

    #[test]
    fn the_stand_in_is_needed_when_one_call_outlasts_a_tick() {
        let intake = Intake::default();
        let mut stand_in = StandIn::new();
        let start = stand_in.next_look;
        assert_eq!(stand_in.look(&intake, start), (false, Deadline::Never));

        intake.watched.store(true, Ordering::SeqCst);
        intake.busy.store(true, Ordering::SeqCst);
        intake.count_call();
        assert!(stand_in.look_again(&intake, start));
        assert!(!stand_in.needed, "the call may have just begun");
        assert!(stand_in.look_again(&intake, start + TICK));
        assert!(stand_in.needed, "it is still the same call");
        intake.count_call();
        assert!(stand_in.look_again(&intake, start + 2 * TICK));
        assert!(!stand_in.needed, "many short calls need nobody");

        assert!(intake.next_or_end().is_none());
        assert!(!stand_in.look_again(&intake, start + 3 * TICK));
        assert!(
            !intake.watched.load(Ordering::SeqCst),
            "no traffic, no wake-ups"
        );
    }
}
