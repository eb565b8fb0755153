//! The handling of datagrams that arrive on the control port: pings are answered, pongs are delivered, messages are
//! counted.

use std::fmt;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use socket2::Socket;

use super::admission::Admission;
use super::channel::Control;
use super::connected::Purpose;
use super::reply_route::ReplyRoute;
use crate::context::Context;
use crate::log::log;
use crate::rtt::PingSocketPool;
use crate::sys::receive::Received;
use crate::sys::{report, send, socket, would_block};
use crate::throttle::Throttle;
use crate::wire::{self, Kind, PING_SIZE};

/// Where the datagrams of the control port go.
pub(crate) struct Dispatch {
    pub context: Arc<Context>,
    pub control: Arc<Control>,
    pub ping_sockets: Arc<PingSocketPool>,
    pub admission: Admission,
    refused: Throttle,
    dropped: Throttle,
}

impl Dispatch {
    pub fn new(control: &Arc<Control>, ping_sockets: &Arc<PingSocketPool>) -> Self {
        Self {
            context: Arc::clone(&control.context),
            control: Arc::clone(control),
            ping_sockets: Arc::clone(ping_sockets),
            admission: Admission::default(),
            refused: Throttle::default(),
            dropped: Throttle::default(),
        }
    }

    /// Answers the pings in what was received, delivers the pongs, and counts. Returns the number of messages, or
    /// `None` if the source is not served. It calls no handler, so the lock of the backlog may be held.
    pub fn dispatch(
        &self,
        outbound: &Socket,
        received: &Received<'_>,
        now: Instant,
        route: &mut ReplyRoute,
    ) -> Option<u64> {
        let context = &*self.context;
        if !context.serves(received.from.ip()) {
            let count = received.datagrams().len() as u64;
            context.counters.cold.rejected.source.add(count);
            return None;
        }
        context.record_seen(received.from.ip(), || now);
        let (mut messages, mut bytes) = (0, 0);
        if !received.has_size(PING_SIZE) {
            messages = received.datagrams().len() as u64;
            bytes = received.data.len() as u64;
        } else {
            for datagram in received.datagrams() {
                match wire::classify(datagram) {
                    Kind::Ping(token) if self.admits(&received.from, now, route) => {
                        self.answer(outbound, token, received, route);
                    }
                    Kind::Ping(_) => context.counters.cold.pings_limited.increment(),
                    Kind::Pong(token) => {
                        if !self.ping_sockets.deliver(token, received.from, now) {
                            context.counters.cold.pongs_ignored.increment();
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
            context.counters.received.messages.add(messages);
            context.counters.received.bytes.add(bytes);
        }
        Some(messages)
    }

    #[inline]
    fn admits(&self, from: &SocketAddrV6, now: Instant, route: &mut ReplyRoute) -> bool {
        let admitted = self.admission.admit(from.ip(), now, &mut route.admitted);
        if !admitted {
            route.limited = Some(*from);
        }
        admitted
    }

    fn answer(&self, outbound: &Socket, token: u64, ping: &Received<'_>, route: &mut ReplyRoute) {
        let cold = &self.context.counters.cold;
        // Count it first: a program that sees the pong may read these statistics at once.
        cold.pings_answered.increment();
        let pong = wire::pong(token);
        let own = ping.to.filter(|address| !address.is_multicast());
        let send = |socket: &Socket| {
            let socket = socket.as_fd();
            report::send_despite(socket, || match own {
                Some(own) => send::send_from(socket, &pong, own, &ping.from),
                None => socket::send_to(socket, &pong, &ping.from),
            })
        };
        let connected = match own {
            None => route.socket(&self.control, &ping.from),
            // A connected socket has one source address.
            Some(_) => None,
        };
        let sent = match connected {
            // If the socket has no room, the pong is lost: pings of a stranger must not fill the shared buffer.
            Some(socket) => socket::send(socket.as_fd(), &pong).map(drop),
            None => self
                .control
                .try_shared(outbound, &ping.from, Purpose::Pongs, send),
        };
        if let Err(error) = sent {
            cold.pings_answered.decrement();
            // If there was no room, the pong is lost, like one that the network loses.
            if would_block(&error) || report::is_drop(&error) {
                cold.send_drops.increment();
            } else {
                cold.errors.increment();
            }
        }
    }

    /// Logs a source whose ping was not answered. No lock may be held.
    pub fn log_limited(&self, route: &mut ReplyRoute) {
        let Some(from) = route.limited.take() else {
            return;
        };
        if let Some(suppressed) = self.admission.limited.pass() {
            log!(
                self.context.log,
                Warn,
                "did not answer a ping of {from}: too many new addresses pinged within the last \
                 minute, and each takes a place in the kernel's neighbour table{suppressed}"
            );
        }
    }

    /// Logs a source that is not served. No lock may be held.
    pub fn log_refused(&self, from: &SocketAddrV6) {
        if let Some(suppressed) = self.refused.pass() {
            log!(
                self.context.log,
                Warn,
                "refused a datagram from {from}: neither link-local nor loopback{}{suppressed}",
                self.context.settings.hint(" (allow_any_source serves all)")
            );
        }
    }

    /// Counts and logs messages that were dropped. No lock may be held.
    pub fn log_dropped(&self, count: u64, why: fmt::Arguments<'_>) {
        self.context.counters.cold.messages_dropped.add(count);
        if let Some(suppressed) = self.dropped.pass() {
            log!(
                self.context.log,
                Warn,
                "dropped {count} message(s): {why}{suppressed}"
            );
        }
    }
}
