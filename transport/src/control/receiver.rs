//! The receiver thread: answers pings, hands pongs to their waiters, calls the message handler.
//!
//! While the handler runs, nobody reads the socket here; `intake` says who does it instead.

use std::fmt;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use socket2::Socket;

use super::answers::Admitted;
use super::inbox::{Filling, NoRoom};
use super::lanes::{Cargo, Route, Usage};
use super::Sockets;
use crate::address;
use crate::clock_cache::ClockCache;
use crate::core::Core;
use crate::handler_cell::HandlerCall;
use crate::handlers::{MessageHandler, Sender, SenderName};
use crate::log::log;
use crate::message::DropReason;
use crate::spin::Spinning;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::receive::{ReceiveBatch, Received};
use crate::sys::reserve_alloc;
use crate::sys::{report, send};
use crate::sys::{socket, would_block};
use crate::transport::ThunderboltTransport;
use crate::wire::{self, Kind, PING_SIZE};

/// Datagrams (or trains of them, joined by UDP_GRO) that one system call takes.
const BATCH: usize = 32;
/// How many times more are asked for after a call that found as many as it asked for.
const MORE: usize = 4;

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
        names: Names::default(),
        pinger: Pinger::default(),
        joining: Joining::default(),
        lively: false,
    };
    while !core.is_closing() {
        receiver.step();
    }
}

struct Receiver<'a> {
    core: &'a Arc<Core>,
    /// As handlers are lent it.
    transport: &'a ThunderboltTransport,
    batch: ReceiveBatch,
    names: Names,
    pinger: Pinger,
    joining: Joining,
    /// What came last came so soon after the wait for it began that the next is worth spinning for.
    lively: bool,
}

impl Receiver<'_> {
    /// Receives until the socket is empty and nothing is expected, then sleeps.
    fn step(&mut self) {
        let core = self.core;
        core.control.wake.clear();
        // Looked at after clearing, as everything that a signal is about.
        if core.is_closing() {
            return;
        }
        // The interface may have been renamed, or be another one.
        self.names.last = None;
        self.pinger = Pinger::default();
        self.drain_queue();
        // The socket may be another one after each wake-up, or none while the interface is absent.
        let Some(Sockets {
            main: socket,
            outbound,
        }) = core.control.sockets()
        else {
            sleep(&mut [Interest::readable(core.control.wake.as_fd())]);
            return;
        };
        // One at first: looking for a second datagram would hold up the answer to a ping.
        let mut most = 1;
        let mut waiting: Option<Spinning<'_>> = None;
        while !core.control.wake.is_pending() {
            match self.batch.receive(socket.as_fd(), most) {
                Ok(count) => {
                    let now = Instant::now();
                    self.lively = waiting.take().is_none_or(|wait| wait.found(now));
                    self.process(&outbound, count, now);
                    if count == BATCH {
                        self.joining.begin(&socket);
                    }
                    most = (most * MORE).min(BATCH);
                }
                Err(error) if would_block(&error) => {
                    most = 1;
                    let wait = waiting.get_or_insert_with(|| core.spin.begin(Deadline::Never));
                    if self.lively && wait.again() {
                        continue;
                    }
                    self.lively = false;
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
                // This socket sends nothing, so it is told of no ICMP errors; it is something of our own.
                Err(_) => core.counters.cold.errors.increment(),
            }
        }
    }

    /// Pings first: an answer must not wait for a handler.
    #[inline(never)] // a name to count instructions in
    fn process(&mut self, outbound: &Socket, count: usize, now: Instant) {
        let mut messages = 0;
        for slot in 0..count {
            let received = self.batch.get(slot);
            match triage(self.core, outbound, &received, now, &mut self.pinger) {
                Some(found) => messages += found,
                None => log_refused(self.core, &received.from),
            }
        }
        self.pinger.log_limited(self.core);
        if messages > 0 {
            self.deliver(count);
        }
    }

    /// Gives the messages of the batch to the handler, or queues them.
    fn deliver(&mut self, count: usize) {
        let core = self.core;
        let mut delivery = Delivery::begin(self.transport, &mut self.names);
        for slot in 0..count {
            let received = self.batch.get(slot);
            if !core.serves(received.from.ip()) {
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

    /// Messages that were queued before there was a handler go to it first.
    fn drain_queue(&mut self) {
        if self.core.on_message.is_set() {
            Delivery::begin(self.transport, &mut self.names).end();
        }
    }
}

fn sleep(interests: &mut [Interest<'_>]) {
    // It could fail for lack of memory only; then the loop tries again.
    let _ = wait(interests, Deadline::Never);
}

/// Answers the pings in what was received, hands over the pongs, and counts. Gives the number of
/// messages, or `None` when the source is not served. Calls no handler: `pump` holds a lock.
pub(super) fn triage(
    core: &Core,
    outbound: &Socket,
    received: &Received<'_>,
    now: Instant,
    pinger: &mut Pinger,
) -> Option<u64> {
    if !core.serves(received.from.ip()) {
        let count = received.datagrams().len() as u64;
        core.counters.cold.rejected.source.add(count);
        return None;
    }
    core.heard_from(received.from.ip(), || now);
    let (mut messages, mut bytes) = (0, 0);
    if !received.has_size(PING_SIZE) {
        messages = received.datagrams().len() as u64;
        bytes = received.data.len() as u64;
    } else {
        for datagram in received.datagrams() {
            match wire::classify(datagram) {
                Kind::Ping(token) if pinger.is_admitted(core, &received.from, now) => {
                    answer(core, outbound, token, received, pinger);
                }
                Kind::Ping(_) => core.counters.cold.pings_limited.increment(),
                Kind::Pong(token) => {
                    if !core.rtt.deliver(token, received.from, now) {
                        core.counters.cold.pongs_ignored.increment();
                    }
                }
                Kind::Message => {
                    messages += 1;
                    bytes += datagram.len() as u64;
                }
            }
        }
    }
    if messages > 0 {
        core.counters.received.messages.add(messages);
        core.counters.received.bytes.add(bytes);
    }
    Some(messages)
}

/// Whether the kernel is to join datagrams of one sender (UDP_GRO). What a sender handed to its own
/// kernel in one piece then comes through in one piece, many times as fast. But a socket that asks
/// for it makes each single datagram cost its sender a tenth more where both are on one machine, so it
/// is asked for when messages come in crowds.
///
/// And for good: what was joined while it was on comes without a word about it once it is off, as one
/// datagram, and nobody can know what is on its way into the socket at that moment.
#[derive(Default)]
struct Joining {
    /// The socket for which it is on. The next incarnation of the interface has another one.
    socket: Weak<Socket>,
}

impl Joining {
    /// After a call that found as many as it can take.
    fn begin(&mut self, socket: &Arc<Socket>) {
        if !std::ptr::eq(self.socket.as_ptr(), Arc::as_ptr(socket)) {
            self.socket = Arc::downgrade(socket);
            // Where the kernel does not know it, datagrams come singly; nothing else changes.
            socket::join_datagrams(socket);
        }
    }
}

/// Whose ping was answered last: more of them are likely.
#[derive(Default)]
pub(super) struct Pinger {
    address: Option<SocketAddrV6>,
    usage: Usage,
    admitted: Admitted,
    /// A source that was not answered, to be logged when no lock is held.
    limited: Option<SocketAddrV6>,
}

impl Pinger {
    #[inline]
    fn is_admitted(&mut self, core: &Core, from: &SocketAddrV6, now: Instant) -> bool {
        let admitted = core.answers.admit(from.ip(), now, &mut self.admitted);
        if !admitted {
            self.limited = Some(*from);
        }
        admitted
    }

    /// No lock may be held.
    pub fn log_limited(&mut self, core: &Core) {
        let Some(from) = self.limited.take() else {
            return;
        };
        if let Some(suppressed) = core.answers.limited.pass() {
            log!(
                core.log,
                Warn,
                "did not answer a ping of {from}: too many new addresses pinged within the last \
                 minute, and each takes a place in the kernel's neighbour table{suppressed}"
            );
        }
    }

    fn route(&mut self, core: &Core, to: &SocketAddrV6) -> Route {
        if self.address.as_ref() != Some(to) {
            self.address = Some(*to);
            self.usage = Usage::default();
        }
        let route = self.usage.route(1);
        if matches!(route, Route::Shared { busy: true }) {
            if let Some(lane) = core.open_lane(to, Cargo::Pongs, core.link.epoch()) {
                self.usage.set_lane(lane);
            }
        }
        route
    }
}

fn answer(core: &Core, outbound: &Socket, token: u64, ping: &Received<'_>, pinger: &mut Pinger) {
    // Counted first: who has the pong may look at our statistics.
    core.counters.cold.pings_answered.increment();
    let pong = wire::pong(token);
    let own = ping.to.filter(|address| !address.is_multicast());
    let send = |socket: &Socket| {
        let socket = socket.as_fd();
        report::send_despite(socket, || match own {
            Some(own) => send::send_from(socket, &pong, own, &ping.from),
            None => socket::send_to(socket, &pong, &ping.from),
        })
    };
    let route = match own {
        None => pinger.route(core, &ping.from),
        Some(_) => Route::Shared { busy: false },
    };
    let sent = match route {
        Route::Lane(lane) => socket::send(lane.as_fd(), &pong).map(drop),
        Route::Shared { .. } => match send(outbound) {
            Err(error) if would_block(&error) => core
                .with_lane(&ping.from, Cargo::Pongs, send)
                .unwrap_or(Err(error)),
            sent => sent,
        },
    };
    if let Err(error) = sent {
        core.counters.cold.pings_answered.decrement();
        // No room is a lost pong, as the network may lose one.
        if would_block(&error) || report::is_drop(&error) {
            core.counters.cold.send_drops.increment();
        } else {
            core.counters.cold.errors.increment();
        }
    }
}

pub(super) fn log_refused(core: &Core, from: &SocketAddrV6) {
    if let Some(suppressed) = core.intake.refused.pass() {
        log!(
            core.log,
            Warn,
            "refused a datagram from {from}: neither link-local nor loopback{}{suppressed}",
            core.settings.hint(" (allow_any_source serves all)")
        );
    }
}

pub(super) fn log_dropped(core: &Core, count: u64, why: fmt::Arguments<'_>) {
    core.counters.cold.messages_dropped.add(count);
    if let Some(suppressed) = core.intake.dropped.pass() {
        log!(
            core.log,
            Warn,
            "dropped {count} message(s): {why}{suppressed}"
        );
    }
}

/// Counts and logs messages that were dropped.
pub(crate) fn count_dropped(core: &Core, reason: DropReason<'_>, count: u64) {
    match reason {
        DropReason::Cut(why) => log_dropped(core, count, why),
        DropReason::Slow(why) => {
            core.counters.cold.dropped_slow.add(count);
            log_dropped(core, count, why);
        }
        DropReason::Full => {
            let limit = core.inbox.limit();
            let hint = core.settings.hint(" (receive_queue)");
            let why = format_args!("the receive queue of {limit} messages is full{hint}");
            log_dropped(core, count, why);
        }
        DropReason::Memory => {
            core.counters.cold.dropped_memory.add(count);
            let limit = core.inbox.limit_bytes();
            let hint = core.settings.hint(" (receive_queue_bytes)");
            let why =
                format_args!("no memory for them: the receive queue may have {limit} bytes{hint}");
            log_dropped(core, count, why);
        }
    }
}

/// A run of messages on their way to the handler or, while there is none, to the queue.
struct Delivery<'a> {
    core: &'a Core,
    transport: &'a ThunderboltTransport,
    names: &'a mut Names,
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
    fn begin(transport: &'a ThunderboltTransport, names: &'a mut Names) -> Self {
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

    /// The handler of the moment, after it was given what is in the queue; else the queue.
    fn choose_target(&mut self) {
        'handler: loop {
            self.target = Target::Undecided;
            let Some(running) = self.core.on_message.enter() else {
                self.target = Target::Queue(self.core.inbox.fill());
                return;
            };
            self.target = Target::Handler(running);
            self.core.intake.begin(self.core);
            while let Some(message) = self.core.inbox.pop_message() {
                if !self.call(&message.data, message.from) {
                    let name = self.names.of(self.core, message.from).clone();
                    self.core.inbox.put_back(message, name);
                    continue 'handler;
                }
            }
            return;
        }
    }

    /// Gives one message to the handler of the moment, or queues it.
    fn give(&mut self, data: &[u8], from: SocketAddrV6) {
        while matches!(self.target, Target::Handler(_)) {
            if self.call(data, from) {
                return;
            }
            self.choose_target();
        }
        if let Target::Queue(queue) = &mut self.target {
            let name = self.names.of(self.core, from);
            match queue.push(data, from, name) {
                Ok(()) => {}
                Err(NoRoom::Full) => self.dropped.full += 1,
                Err(NoRoom::Memory) => self.dropped.memory += 1,
            }
        }
    }

    /// Calls the handler; false when it was replaced.
    fn call(&mut self, data: &[u8], from: SocketAddrV6) -> bool {
        let Target::Handler(running) = &self.target else {
            return false;
        };
        // The last call may have closed the transport: what is left is nobody's.
        if self.core.is_closing() {
            return true;
        }
        if running.is_retired() {
            return false;
        }
        self.core.intake.count_call();
        let sender = Sender::new(self.names.of(self.core, from), from, self.transport);
        self.core.call(running, |handler| handler(data, &sender));
        true
    }

    /// Delivers what other threads read meanwhile, and lets the receiver read again.
    fn end(mut self) {
        while let Some(message) = self.core.intake.next_or_end() {
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

/// Peer strings of the last senders: making one anew costs more than receiving the message.
struct Names {
    /// The interface's name that they end in.
    interface: String,
    known: ClockCache<SocketAddrV6, SenderName>,
    last: Option<(SocketAddrV6, SenderName)>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            interface: String::new(),
            known: ClockCache::new(Self::LIMIT),
            last: None,
        }
    }
}

impl Names {
    /// Senders that are remembered; more than a mesh has.
    const LIMIT: usize = 4096;

    fn of(&mut self, core: &Core, from: SocketAddrV6) -> &SenderName {
        let last = match self.last.take() {
            Some(last) if last.0 == from => last,
            _ => (from, self.look_up(core, from)),
        };
        &self.last.insert(last).1
    }

    fn look_up(&mut self, core: &Core, from: SocketAddrV6) -> SenderName {
        let interface = core.link.name();
        if self.interface != interface || reserve_alloc::is_short() {
            self.known.clear();
            self.interface = interface;
        }
        if let Some(name) = self.known.get(&from) {
            return name.clone();
        }
        let text = address::format(&from, &self.interface, core.own_control_port());
        let name = SenderName::new(&text);
        self.known.insert(from, name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::send::Outgoing;
    use std::net::{Ipv6Addr, UdpSocket};

    /// Once datagrams come joined to a socket, nothing makes the kernel forget to say so.
    #[test]
    fn what_is_joined_comes_apart_again() {
        let socket = socket::udp("lo").unwrap();
        socket::bind_port(&socket, 0).unwrap();
        let port = socket::local_port(&socket).unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        sender.connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        let socket = Arc::new(socket);
        let mut joining = Joining::default();
        joining.begin(&socket);
        let train = [Outgoing {
            peer: 0,
            data: b"ten bytes.",
        }; 3];
        assert_eq!(send::send(sender.as_fd(), &[], &train, 1000).unwrap(), 3);

        joining.begin(&Arc::new(socket::udp("lo").unwrap()));
        joining.begin(&socket);
        let mut batch = buffers().unwrap();
        assert_eq!(batch.receive(socket.as_fd(), BATCH).unwrap(), 1);
        let all: Vec<_> = batch.get(0).datagrams().collect();
        assert_eq!(all, [b"ten bytes."; 3]);
    }

    #[test]
    fn made_up_senders_do_not_replace_the_name_of_one_that_sends_again() {
        let core = Core::new(crate::ThunderboltTransportBuilder::new()).unwrap();
        let mut names = Names::default();
        let mut name_of = |n: u32| {
            let ip = Ipv6Addr::from((0xfe80 << 112) | u128::from(n));
            let from = SocketAddrV6::new(ip, 5000, 0, 1);
            names.of(&core, from).as_str().as_ptr()
        };
        let once = name_of(0);
        name_of(1);
        assert_eq!(name_of(0), once);
        for made_up in 0..3 * Names::LIMIT as u32 {
            name_of(1000 + made_up);
        }
        assert_eq!(name_of(0), once);
        assert!(names.known.len() <= Names::LIMIT);
    }
}
