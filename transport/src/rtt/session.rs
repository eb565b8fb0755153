//! Pings that are out, and waiting for their pongs.

use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::next_token;
use super::port::{Answer, Pong, Port};
use crate::address::{self, perhaps_a_port};
use crate::control::intake::pump;
use crate::core::Core;
use crate::error::{expired, Result, TransportError};
use crate::link::Attempt;
use crate::spin::Spinning;
use crate::sync::atomic::Ordering;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::{report, socket, would_block};
use crate::wire::{self, Kind};

/// Datagrams that are looked at before the clock is.
const AT_ONCE: usize = 64;

/// One thread's, or one task's, pings to one address.
pub(crate) struct Session<'a> {
    core: &'a Core,
    port: Arc<Port>,
    to: SocketAddrV6,
    /// A pong may have been left for us that came to the control port.
    unread: bool,
}

impl<'a> Session<'a> {
    pub fn with_peer(core: &'a Arc<Core>, peer: &str) -> Result<Self> {
        if core.is_closing() {
            return Err(TransportError::Shutdown);
        }
        let to = core.resolve(peer, core.own_control_port())?;
        if to.ip().is_multicast() {
            return Err(TransportError::invalid_address(
                peer,
                "a round trip is to one peer; use discovery for all",
            ));
        }
        core.link.check()?;
        Self::begin(core, to, Some(&to))
    }

    /// For pings to everybody on the link, from a socket that hears all answers but not itself.
    pub fn with_everybody(core: &'a Arc<Core>, index: u32, port: u16) -> Result<Self> {
        // RFC 4291, 2.7.1: all nodes on the link.
        let everybody = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = SocketAddrV6::new(everybody, port, 0, index);
        let session = Self::begin(core, to, None)?;
        let failed = |option| {
            move |source: std::io::Error| match source.raw_os_error() {
                Some(libc::ENODEV | libc::EADDRNOTAVAIL) => {
                    core.failed_to("cannot send a ping", &to, source)
                }
                _ => TransportError::socket_option(option, index, &source),
            }
        };
        let socket = &session.port.socket;
        let chosen = socket.set_multicast_if_v6(index);
        chosen.map_err(failed("IPV6_MULTICAST_IF"))?;
        let silent = socket.set_multicast_loop_v6(false);
        silent.map_err(failed("IPV6_MULTICAST_LOOP"))?;
        Ok(session)
    }

    fn begin(core: &'a Core, to: SocketAddrV6, peer: Option<&SocketAddrV6>) -> Result<Self> {
        Ok(Self {
            core,
            port: core.rtt.ports.take(core, peer)?,
            to,
            unread: false,
        })
    }

    /// Who is pinged, with the port, and a hint if that may be part of the address.
    pub fn peer(&self) -> (String, String) {
        let core = self.core;
        (
            core.endpoint(&self.to),
            perhaps_a_port(&self.to, &core.link.name()),
        )
    }

    /// What an event loop has to watch.
    #[cfg(any(feature = "async", test))]
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// Sends a ping; gives its token and when it left.
    pub fn ping(&mut self) -> Result<(u64, Instant)> {
        let token = next_token();
        self.port.expect(token)?;
        let ping = wire::ping(token);
        let sent = Instant::now();
        if let Err(error) = self.send(&ping) {
            self.port.forget(token);
            if report::is_drop(&error) || would_block(&error) {
                self.core.counters.cold.send_drops.increment();
                return Err(TransportError::QueueFull {
                    interface: self.core.link.name(),
                    after: Duration::ZERO,
                });
            }
            return Err(self.core.failed_to("cannot send a ping", &self.to, error));
        }
        self.core.counters.cold.pings_sent.increment();
        Ok((token, sent))
    }

    fn send(&self, ping: &[u8]) -> std::io::Result<()> {
        let socket = self.port.socket.as_fd();
        // What is reported is an earlier ping, to a port where nobody listened yet for example.
        report::send_after(
            || self.read_reports(),
            || match self.port.is_connected() {
                true => socket::send(socket, ping).map(drop),
                false => socket::send_to(socket, ping, &self.to),
            },
        )
    }

    /// A pong of a token that is no longer waited for is not handed out any more.
    pub fn forget(&mut self, token: u64) {
        self.port.forget(token);
    }

    /// The same of a ping that was not answered in time.
    pub fn give_up(&mut self, token: u64) {
        self.port.give_up(token);
    }

    /// Reads what the kernel tells of pings that did not reach the peer.
    pub fn read_reports(&self) {
        let others = self.port.read_reports();
        self.core.counters.cold.pongs_ignored.add(others);
    }

    /// Counts a ping that did not reach the peer, and says why.
    pub fn undelivered(&mut self, token: u64, errno: i32) -> TransportError {
        self.forget(token);
        self.core.counters.cold.pings_undelivered.increment();
        self.unreached(errno)
    }

    fn unreached(&self, errno: i32) -> TransportError {
        let action = format!("cannot ping {}", self.core.endpoint(&self.to));
        let source = std::io::Error::from_raw_os_error(errno);
        self.core.failed(Attempt::Ping(&self.to), action, source)
    }

    /// The error of a wait that was in vain: if the kernel told lately that the peer cannot be reached,
    /// that is why.
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

    /// Why pings did not reach the peer lately.
    pub fn unreachable(&self) -> Option<TransportError> {
        self.port.unreachable().map(|errno| self.unreached(errno))
    }

    /// Counts a pong and gives its round trip.
    pub fn accept(&mut self, pong: &Pong, sent: Instant) -> Duration {
        self.forget(pong.token);
        self.port.reached();
        self.core.heard_from(pong.from.ip(), || pong.at);
        let time = pong.at.saturating_duration_since(sent);
        let cold = &self.core.counters.cold;
        cold.pongs_received.increment();
        cold.last_rtt_ns.set(time.as_nanos() as u64);
        time
    }

    /// Waits for the next answer to a ping that is outstanding; `None` when the time is up.
    pub fn answer(&mut self, deadline: Deadline) -> Result<Option<Answer>> {
        let core = self.core;
        // An answer may be there in microseconds; the time of the next ping is not.
        let mut spinning = self.port.expects_any().then(|| core.spin.begin(deadline));
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

    /// An answer that has come by now; fails when none can come any more.
    pub fn look(&mut self) -> Result<Option<Answer>> {
        // Cleared before anything is looked at that a signal may be about.
        if self.port.wake.is_pending() {
            self.woken();
        }
        if self.core.is_closing() {
            return Err(TransportError::Shutdown);
        }
        self.core.link.check()?;
        Ok(self.take())
    }

    /// The port's wake-up descriptor was readable.
    pub fn woken(&mut self) {
        self.port.wake.clear();
        self.unread = true;
    }

    /// An answer that has come, on our own socket or by way of the control port.
    fn take(&mut self) -> Option<Answer> {
        self.take_pong()
            .map(Answer::Pong)
            .or_else(|| self.port.take_undelivered())
    }

    fn take_pong(&mut self) -> Option<Pong> {
        let mut buf = [0; wire::PING_SIZE + 1];
        // A peer that floods this port must not keep us from looking at the time.
        for _ in 0..AT_ONCE {
            let (size, from) = match self.receive(&mut buf) {
                Ok(received) => received,
                Err(error) if would_block(&error) => break,
                // News of a ping: nobody listens there (yet), for example.
                Err(_) => {
                    self.read_reports();
                    continue;
                }
            };
            let at = Instant::now();
            if let Kind::Pong(token) = wire::classify(&buf[..size]) {
                if self.port.expects(token) && self.core.serves(from.ip()) {
                    return Some(Pong { token, from, at });
                }
            }
            self.core.counters.cold.pongs_ignored.increment();
        }
        if self.core.intake.is_busy() {
            pump(self.core);
        }
        if !self.unread {
            return None;
        }
        let pong = self.port.take_delivered();
        self.unread = pong.is_some();
        pong
    }

    fn receive(&self, buf: &mut [u8]) -> std::io::Result<(usize, SocketAddrV6)> {
        let socket = self.port.socket.as_fd();
        match self.port.is_connected() {
            true => Ok((socket::receive(socket, buf)?, self.to)),
            false => socket::receive_from(socket, buf),
        }
    }

    fn sleep(&mut self, deadline: Deadline) {
        let (core, port) = (self.core, &self.port);
        core.rtt.sleepers.fetch_add(1, Ordering::SeqCst);
        // Counted as a sleeper before this look: who becomes busy after it wakes us.
        let control = match core.intake.is_busy() {
            true => core.control.socket(),
            false => None,
        };
        let mut interests = [
            Interest::readable(port.socket.as_fd()),
            Interest::readable(port.wake.as_fd()),
            Interest::readable(control.as_deref().unwrap_or(&port.socket).as_fd()),
        ];
        // It could fail for lack of memory only; then the loop tries again.
        let _ = wait(&mut interests, deadline);
        if interests[0].is_in_error() {
            self.read_reports();
        }
        let woken = interests[1].is_ready();
        core.rtt.sleepers.fetch_sub(1, Ordering::SeqCst);
        if woken {
            self.woken();
        }
    }

    /// The peer string of whoever sent a pong.
    pub fn peer_string(&self, from: &SocketAddrV6) -> String {
        address::format(from, &self.core.link.name(), self.core.own_control_port())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Else the next session would wake for nothing.
        if self.port.wake.is_pending() {
            self.port.wake.clear();
        }
        self.core.rtt.ports.give_back(&self.port);
    }
}

#[cfg(all(loom, test))]
mod models;
