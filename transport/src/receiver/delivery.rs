//! Delivering messages: to the handler, or to the queue of `recv` while there is none.

use std::net::SocketAddrV6;

use super::sender_names::SenderNameCache;
use crate::core::{Core, ThunderboltTransport};
use crate::handler_cell::HandlerCall;
use crate::handlers::{MessageHandler, Sender};
use crate::inbox::{Filling, NoRoom};
use crate::message::DropReason;

/// A run of messages on their way to the handler or, while there is none, to the queue.
pub(super) struct Delivery<'a> {
    core: &'a Core,
    transport: &'a ThunderboltTransport,
    names: &'a mut SenderNameCache,
    target: Target<'a>,
    dropped: Dropped,
}

/// Messages for which there was no room.
#[derive(Default)]
struct Dropped {
    full: u64,
    memory: u64,
}

enum Target<'a> {
    Undecided,
    Handler(HandlerCall<'a, MessageHandler>),
    Queue(Filling<'a>),
}

impl<'a> Delivery<'a> {
    pub fn begin(transport: &'a ThunderboltTransport, names: &'a mut SenderNameCache) -> Self {
        let mut delivery = Self {
            core: transport.core(),
            transport,
            names,
            target: Target::Undecided,
            dropped: Dropped::default(),
        };
        delivery.choose_target();
        delivery
    }

    /// Chooses the present handler, after delivering the queued messages to it. Without a handler it chooses the queue.
    fn choose_target(&mut self) {
        'handler: loop {
            self.target = Target::Undecided;
            let Some(call) = self.core.handlers.on_message.enter() else {
                self.target = Target::Queue(self.core.inbox.fill());
                return;
            };
            self.target = Target::Handler(call);
            self.core.reader.suspend_receiver();
            while let Some(message) = self.core.inbox.pop_message() {
                if !self.call(&message.data, message.from) {
                    let name = self.names.of(&self.core.context, message.from).clone();
                    self.core.inbox.put_back(message, name);
                    continue 'handler;
                }
            }
            return;
        }
    }

    /// Passes one message to the present handler, or queues it.
    pub fn give(&mut self, data: &[u8], from: SocketAddrV6) {
        while matches!(self.target, Target::Handler(_)) {
            if self.call(data, from) {
                return;
            }
            self.choose_target();
        }
        if let Target::Queue(queue) = &mut self.target {
            let name = self.names.of(&self.core.context, from);
            match queue.push(data, from, name) {
                Ok(()) => {}
                Err(NoRoom::Full) => self.dropped.full += 1,
                Err(NoRoom::Memory) => self.dropped.memory += 1,
            }
        }
    }

    /// Calls the handler; false if it was replaced.
    fn call(&mut self, data: &[u8], from: SocketAddrV6) -> bool {
        let Target::Handler(call) = &self.target else {
            return false;
        };
        let context = &*self.core.context;
        // The last call may have closed the transport. The remaining messages are dropped.
        if context.is_closing() {
            return true;
        }
        if call.is_retired() {
            return false;
        }
        self.core.reader.count_call();
        let sender = Sender::new(self.names.of(context, from), from, self.transport);
        self.core.call(call, |handler| handler(data, &sender));
        true
    }

    /// Delivers what other threads read meanwhile, and lets the receiver read again.
    pub fn end(mut self) {
        while let Some(message) = self.core.reader.next_or_resume() {
            self.give(&message.data, message.from);
        }
        // No lock is held while the drop is logged.
        drop(self.target);
        for (reason, count) in [
            (DropReason::Full, self.dropped.full),
            (DropReason::Memory, self.dropped.memory),
        ] {
            if count > 0 {
                count_dropped(self.core, reason, count);
            }
        }
    }
}

/// Counts and logs messages that were dropped.
pub(crate) fn count_dropped(core: &Core, reason: DropReason<'_>, count: u64) {
    let (context, dispatch) = (&*core.context, &core.reader.dispatch);
    let cold = &context.counters.cold;
    match reason {
        DropReason::Cut(why) => dispatch.log_dropped(count, why),
        DropReason::Slow(why) => {
            cold.dropped_slow.add(count);
            dispatch.log_dropped(count, why);
        }
        DropReason::Full => {
            let limit = core.inbox.limit();
            let hint = context.settings.hint(" (receive_queue)");
            let why = format_args!("the receive queue of {limit} messages is full{hint}");
            dispatch.log_dropped(count, why);
        }
        DropReason::Memory => {
            cold.dropped_memory.add(count);
            let limit = core.inbox.limit_bytes();
            let hint = context.settings.hint(" (receive_queue_bytes)");
            let why =
                format_args!("no memory for them: the receive queue may have {limit} bytes{hint}");
            dispatch.log_dropped(count, why);
        }
    }
}
