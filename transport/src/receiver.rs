//! The receiver thread: it reads the control socket and calls the message handler.
//!
//! While the handler runs it does not read; [`ControlReader`](crate::control::ControlReader) lets other threads read then.

mod delivery;
mod sender_names;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use socket2::Socket;

use crate::control::{GroState, ReplyRoute, Sockets};
use crate::core::{Core, ThunderboltTransport};
use crate::spin::Spinning;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::receive::ReceiveBatch;
use crate::sys::would_block;
use crate::wire::{self, Kind, PING_SIZE};
pub(crate) use delivery::count_dropped;
use delivery::Delivery;
use sender_names::SenderNameCache;

/// The datagrams (or trains of them, coalesced by UDP_GRO) that one system call takes.
const BATCH: usize = 32;
/// After a call that found as many as it asked for, the next one asks for this many times more.
const GROWTH: usize = 4;

/// Buffers for the receiver thread.
pub(crate) fn buffers() -> std::io::Result<ReceiveBatch> {
    ReceiveBatch::new(BATCH)
}

/// Body of the receiver thread.
pub(crate) fn run(core: &Arc<Core>, batch: ReceiveBatch) {
    let mut receiver = Receiver {
        core,
        transport: &ThunderboltTransport::lend(core),
        batch,
        names: SenderNameCache::default(),
        route: ReplyRoute::default(),
        gro: GroState::default(),
        spin_next: false,
    };
    while !core.context.is_closing() {
        receiver.step();
    }
}

struct Receiver<'a> {
    core: &'a Arc<Core>,
    /// Lent to the handlers.
    transport: &'a ThunderboltTransport,
    batch: ReceiveBatch,
    names: SenderNameCache,
    route: ReplyRoute,
    gro: GroState,
    /// The last datagram came so soon after the wait for it began that the next wait should spin.
    spin_next: bool,
}

impl Receiver<'_> {
    /// Receives until the socket is empty and nothing is expected, then sleeps.
    fn step(&mut self) {
        let core = self.core;
        let context = &*core.context;
        core.control.wake.clear();
        // Read after clearing, like everything that a signal announces.
        if context.is_closing() {
            return;
        }
        // The interface may have been renamed or replaced.
        self.names.forget_last();
        self.route = ReplyRoute::default();
        self.drain_queue();
        // After each wake-up the socket may be another one, or none while the interface is absent.
        let Some(Sockets {
            control: socket,
            outbound,
        }) = core.control.sockets()
        else {
            sleep(&mut [Interest::readable(core.control.wake.as_fd())]);
            return;
        };
        // One at first: looking for a second datagram would delay the answer to a ping.
        let mut most = 1;
        let mut waiting: Option<Spinning<'_>> = None;
        while !core.control.wake.is_pending() {
            match self.batch.receive(socket.as_fd(), most) {
                Ok(count) => {
                    let now = Instant::now();
                    self.spin_next = waiting.take().is_none_or(|wait| wait.found(now));
                    self.process(&outbound, count, now);
                    if count == BATCH {
                        self.gro.enable(&socket);
                    }
                    most = (most * GROWTH).min(BATCH);
                }
                Err(error) if would_block(&error) => {
                    most = 1;
                    let wait = waiting.get_or_insert_with(|| context.spin.begin(Deadline::Never));
                    if self.spin_next && wait.again() {
                        continue;
                    }
                    self.spin_next = false;
                    let mut interests = [
                        Interest::readable(core.control.wake.as_fd()),
                        Interest::readable(socket.as_fd()),
                    ];
                    sleep(&mut interests);
                    if interests[0].is_ready() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // This socket sends nothing, so no ICMP errors are reported on it; the cause is local.
                Err(_) => context.counters.cold.errors.increment(),
            }
        }
    }

    /// Answers the pings first, because an answer must not wait for a handler.
    #[inline(never)] // The benchmarks count instructions in this function.
    fn process(&mut self, outbound: &Socket, count: usize, now: Instant) {
        let dispatch = &self.core.reader.dispatch;
        let mut messages = 0;
        for slot in 0..count {
            let received = self.batch.get(slot);
            match dispatch.dispatch(outbound, &received, now, &mut self.route) {
                Some(found) => messages += found,
                None => dispatch.log_refused(&received.from),
            }
        }
        dispatch.log_limited(&mut self.route);
        if messages > 0 {
            self.deliver(count);
        }
    }

    /// Passes the messages of the batch to the handler, or queues them.
    fn deliver(&mut self, count: usize) {
        let context = &*self.core.context;
        let mut delivery = Delivery::begin(self.transport, &mut self.names);
        for slot in 0..count {
            let received = self.batch.get(slot);
            if !context.serves(received.from.ip()) {
                continue;
            }
            let only_messages = !received.has_size(PING_SIZE);
            for datagram in received.datagrams() {
                if only_messages || wire::classify(datagram) == Kind::Message {
                    delivery.give(datagram, received.from);
                }
            }
        }
        delivery.end();
    }

    /// Passes the messages that were queued before there was a handler to it.
    fn drain_queue(&mut self) {
        if self.core.handlers.on_message.is_set() {
            Delivery::begin(self.transport, &mut self.names).end();
        }
    }
}

fn sleep(interests: &mut [Interest<'_>]) {
    // It can fail for lack of memory only; then the loop tries again.
    let _ = wait(interests, Deadline::Never);
}
