//! Sending pings and waiting for their pongs.

use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ping_socket::{Answer, PingSocket, Pong};
use super::round_trips::RoundTrips;
use super::token::next_token;
use crate::address::{self, perhaps_a_port};
use crate::context::Context;
use crate::error::{expired, Result, TransportError};
use crate::link::Attempt;
use crate::spin::Spinning;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::{report, socket, would_block};
use crate::wire::{self, Kind};

/// The datagrams that are read before the clock is checked again.
const AT_ONCE: usize = 64;

/// The pings of one thread, or one task, to one address.
pub(crate) struct Session<'a> {
    round_trips: &'a RoundTrips,
    context: &'a Context,
    socket: Arc<PingSocket>,
    to: SocketAddrV6,
    /// A pong that came to the control port may have been delivered.
    unread: bool,
}

impl<'a> Session<'a> {
    pub fn with_peer(round_trips: &'a RoundTrips, peer: &str) -> Result<Self> {
        let context = &*round_trips.context;
        if context.is_closing() {
            return Err(TransportError::Shutdown);
        }
        let to = context.resolve(peer, context.own_control_port())?;
        if to.ip().is_multicast() {
            return Err(TransportError::invalid_address(
                peer,
                "a round trip is to one peer; use discovery for all",
            ));
        }
        context.link.check()?;
        Self::begin(round_trips, to, Some(&to))
    }

    /// For pings to all hosts on the link, from a socket that receives all answers but not its own pings.
    pub fn with_everybody(round_trips: &'a RoundTrips, index: u32, port: u16) -> Result<Self> {
        // RFC 4291, 2.7.1: all nodes on the link.
        let everybody = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = SocketAddrV6::new(everybody, port, 0, index);
        let session = Self::begin(round_trips, to, None)?;
        let failed = |option| {
            move |source: std::io::Error| match source.raw_os_error() {
                Some(libc::ENODEV | libc::EADDRNOTAVAIL) => {
                    round_trips
                        .context
                        .failed_to("cannot send a ping", &to, source)
                }
                _ => TransportError::socket_option(option, index, &source),
            }
        };
        let socket = &session.socket.socket;
        let chosen = socket.set_multicast_if_v6(index);
        chosen.map_err(failed("IPV6_MULTICAST_IF"))?;
        let silent = socket.set_multicast_loop_v6(false);
        silent.map_err(failed("IPV6_MULTICAST_LOOP"))?;
        Ok(session)
    }

    fn begin(
        round_trips: &'a RoundTrips,
        to: SocketAddrV6,
        peer: Option<&SocketAddrV6>,
    ) -> Result<Self> {
        Ok(Self {
            round_trips,
            context: &round_trips.context,
            socket: round_trips.sockets.acquire(&round_trips.context, peer)?,
            to,
            unread: false,
        })
    }

    /// The peer with its port, and a hint if the port may be a part of the address.
    pub fn peer(&self) -> (String, String) {
        let context = self.context;
        (
            context.endpoint(&self.to),
            perhaps_a_port(&self.to, &context.link.name()),
        )
    }

    /// The socket that a reactor has to watch.
    #[cfg(any(feature = "async", test))]
    pub fn socket(&self) -> &Arc<PingSocket> {
        &self.socket
    }

    /// Sends a ping. Returns its token and when it left.
    pub fn ping(&mut self) -> Result<(u64, Instant)> {
        let token = next_token();
        self.socket.expect(token)?;
        let ping = wire::ping(token);
        let sent = Instant::now();
        if let Err(error) = self.send(&ping) {
            self.socket.forget(token);
            if report::is_drop(&error) || would_block(&error) {
                self.context.counters.cold.send_drops.increment();
                return Err(TransportError::QueueFull {
                    interface: self.context.link.name(),
                    after: Duration::ZERO,
                });
            }
            return Err(self
                .context
                .failed_to("cannot send a ping", &self.to, error));
        }
        self.context.counters.cold.pings_sent.increment();
        Ok((token, sent))
    }

    fn send(&self, ping: &[u8]) -> std::io::Result<()> {
        let socket = self.socket.socket.as_fd();
        // A report concerns an earlier ping, for example to a port on which no program listened yet.
        report::send_after(
            || self.read_reports(),
            || match self.socket.is_connected() {
                true => socket::send(socket, ping).map(drop),
                false => socket::send_to(socket, ping, &self.to),
            },
        )
    }

    /// Stops waiting for the pong with this token.
    pub fn forget(&mut self, token: u64) {
        self.socket.forget(token);
    }

    /// The ping with this token timed out.
    pub fn time_out(&mut self, token: u64) {
        self.socket.time_out(token);
    }

    /// Reads the kernel's reports of pings that did not reach the peer.
    pub fn read_reports(&self) {
        let others = self.socket.read_reports();
        self.context.counters.cold.pongs_ignored.add(others);
    }

    /// Counts a ping that did not reach the peer. Returns the reason.
    pub fn undelivered(&mut self, token: u64, errno: i32) -> TransportError {
        self.forget(token);
        self.context.counters.cold.pings_undelivered.increment();
        self.unreached(errno)
    }

    fn unreached(&self, errno: i32) -> TransportError {
        let action = format!("cannot ping {}", self.context.endpoint(&self.to));
        let source = std::io::Error::from_raw_os_error(errno);
        self.context.failed(Attempt::Ping(&self.to), action, source)
    }

    /// The error of a wait without an answer. If the kernel reported lately that the peer cannot be reached, that is the
    /// reason.
    pub fn unanswered(&self, timeout: Option<Duration>) -> TransportError {
        match self.unreachable() {
            Some(error) if timeout != Some(Duration::ZERO) => error,
            _ => {
                let (peer, hint) = self.peer();
                expired(
                    format_args!("no answer from {peer} to a ping"),
                    timeout,
                    hint,
                )
            }
        }
    }

    /// The error if the kernel reported recently that the peer is unreachable.
    pub fn unreachable(&self) -> Option<TransportError> {
        self.socket.unreachable().map(|errno| self.unreached(errno))
    }

    /// Counts a pong and returns its round trip.
    pub fn accept(&mut self, pong: &Pong, sent: Instant) -> Duration {
        self.forget(pong.token);
        self.socket.reached();
        self.context.record_seen(pong.from.ip(), || pong.at);
        let time = pong.at.saturating_duration_since(sent);
        let cold = &self.context.counters.cold;
        cold.pongs_received.increment();
        cold.last_rtt_ns.set(time.as_nanos() as u64);
        time
    }

    /// Waits for the next answer to an outstanding ping. `None` if the deadline passes first.
    pub fn answer(&mut self, deadline: Deadline) -> Result<Option<Answer>> {
        let context = self.context;
        // An answer may arrive within microseconds, so spinning pays; waiting for the time of the next ping does not.
        let mut spinning = self
            .socket
            .expects_any()
            .then(|| context.spin.begin(deadline));
        loop {
            if let Some(answer) = self.look()? {
                if let (Some(spinning), Answer::Pong(pong)) = (spinning, &answer) {
                    spinning.found(pong.at);
                }
                return Ok(Some(answer));
            }
            if deadline == Deadline::Now {
                return Ok(None);
            }
            if spinning.as_mut().is_some_and(Spinning::again) {
                continue;
            }
            if deadline.passed() {
                return Ok(None);
            }
            self.sleep(deadline);
        }
    }

    /// An answer that has arrived by now. Fails if none can arrive any more.
    pub fn look(&mut self) -> Result<Option<Answer>> {
        // Cleared before reading anything that a signal announces.
        if self.socket.wake.is_pending() {
            self.woken();
        }
        if self.context.is_closing() {
            return Err(TransportError::Shutdown);
        }
        self.context.link.check()?;
        Ok(self.take())
    }

    /// The wake-up descriptor of the socket was readable.
    pub fn woken(&mut self) {
        self.socket.wake.clear();
        self.unread = true;
    }

    /// An answer that has arrived, on the own socket or through the control port.
    fn take(&mut self) -> Option<Answer> {
        self.take_pong()
            .map(Answer::Pong)
            .or_else(|| self.socket.take_undelivered())
    }

    fn take_pong(&mut self) -> Option<Pong> {
        let mut buf = [0; wire::PING_SIZE + 1];
        // A peer that floods this port must not keep the caller from checking the time.
        for _ in 0..AT_ONCE {
            let (size, from) = match self.receive(&mut buf) {
                Ok(received) => received,
                Err(error) if would_block(&error) => break,
                // A report about a ping, for example that no program listens there yet.
                Err(_) => {
                    self.read_reports();
                    continue;
                }
            };
            let at = Instant::now();
            if let Kind::Pong(token) = wire::classify(&buf[..size]) {
                if self.socket.expects(token) && self.context.serves(from.ip()) {
                    return Some(Pong { token, from, at });
                }
            }
            self.context.counters.cold.pongs_ignored.increment();
        }
        if self.round_trips.reader.is_receiver_busy() {
            self.round_trips.reader.drain_for_receiver();
        }
        if !self.unread {
            return None;
        }
        let pong = self.socket.take_delivered();
        self.unread = pong.is_some();
        pong
    }

    fn receive(&self, buf: &mut [u8]) -> std::io::Result<(usize, SocketAddrV6)> {
        let socket = self.socket.socket.as_fd();
        match self.socket.is_connected() {
            true => Ok((socket::receive(socket, buf)?, self.to)),
            false => socket::receive_from(socket, buf),
        }
    }

    fn sleep(&mut self, deadline: Deadline) {
        let (reader, socket) = (&self.round_trips.reader, &self.socket);
        let (in_error, woken) = self.round_trips.sockets.while_asleep(|| {
            // This thread counts as a sleeper before it reads the flag: a receiver that becomes busy later wakes it.
            let control = match reader.is_receiver_busy() {
                true => reader.dispatch.control.socket(),
                false => None,
            };
            let mut interests = [
                Interest::readable(socket.socket.as_fd()),
                Interest::readable(socket.wake.as_fd()),
                Interest::readable(control.as_deref().unwrap_or(&socket.socket).as_fd()),
            ];
            // It fails only if there is no memory, and the loop tries again.
            let _ = wait(&mut interests, deadline);
            (interests[0].is_in_error(), interests[1].is_ready())
        });
        if in_error {
            self.read_reports();
        }
        if woken {
            self.woken();
        }
    }

    /// The peer string of the sender of a pong.
    pub fn peer_string(&self, from: &SocketAddrV6) -> String {
        address::format(
            from,
            &self.context.link.name(),
            self.context.own_control_port(),
        )
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Otherwise the next session would wake without a reason.
        if self.socket.wake.is_pending() {
            self.socket.wake.clear();
        }
        self.round_trips.sockets.release(&self.socket);
    }
}

#[cfg(all(loom, test))]
mod models;
