//! Pings that are out, and waiting for their pongs.

use std::collections::HashSet;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::port::Port;
use super::{next_token, Expected, Pong};
use crate::address;
use crate::control::intake::pump;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::handlers::lock;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::{socket, would_block};
use crate::wire::{self, Kind};

/// One thread's pings to one address.
pub(super) struct Session<'a> {
    core: &'a Core,
    /// Always there; an `Option` so that it can be given back at the end.
    port: Option<Port>,
    to: SocketAddrV6,
    /// Connected to `to`; else for discovery.
    connected: bool,
    outstanding: HashSet<u64>,
    /// There may be something in the mailbox.
    unread: bool,
}

impl<'a> Session<'a> {
    pub fn with_peer(core: &'a Arc<Core>, peer: &str) -> Result<Self> {
        if core.is_closing() {
            return Err(TransportError::Shutdown);
        }
        let to = core.resolve(peer, core.control.port())?;
        if to.ip().is_multicast() {
            return Err(TransportError::InvalidAddress {
                address: peer.to_owned(),
                reason: "a round trip is to one peer; use discovery for all".to_owned(),
            });
        }
        core.link.check()?;
        let port = core.rtt.ports.connected(core, &to)?;
        Ok(Self::begin(core, port, to, true))
    }

    /// For pings to everybody on the link, from a socket that hears all answers but not itself.
    pub fn with_everybody(core: &'a Arc<Core>, index: u32) -> Result<Self> {
        let port = Port::new(core, 0)?;
        let failed = |option| {
            move |source: std::io::Error| match source.raw_os_error() {
                Some(libc::ENODEV) => core.link.down("the interface was replaced during the call"),
                _ => TransportError::SocketOption {
                    option,
                    value: index.to_string(),
                    source,
                },
            }
        };
        let socket = &port.socket;
        let chosen = socket.set_multicast_if_v6(index);
        chosen.map_err(failed("IPV6_MULTICAST_IF"))?;
        let silent = socket.set_multicast_loop_v6(false);
        silent.map_err(failed("IPV6_MULTICAST_LOOP"))?;
        // RFC 4291, 2.7.1: all nodes on the link.
        let everybody = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = SocketAddrV6::new(everybody, core.control.port(), 0, index);
        Ok(Self::begin(core, port, to, false))
    }

    fn begin(core: &'a Core, port: Port, to: SocketAddrV6, connected: bool) -> Self {
        let mailbox = Arc::clone(&port.mailbox);
        lock(&core.rtt.waiting).mailboxes.push(mailbox);
        Self {
            core,
            port: Some(port),
            to,
            connected,
            outstanding: HashSet::new(),
            unread: false,
        }
    }

    fn port(&self) -> &Port {
        // Taken in `drop` only.
        self.port.as_ref().unwrap_or_else(|| unreachable!())
    }

    /// Sends a ping; gives its token and when it left.
    pub fn ping(&mut self) -> Result<(u64, Instant)> {
        let token = next_token();
        let expected = Expected {
            from: self.connected.then_some(*self.to.ip()),
            mailbox: Arc::clone(&self.port().mailbox),
        };
        lock(&self.core.rtt.waiting)
            .outstanding
            .insert(token, expected);
        self.outstanding.insert(token);
        let ping = wire::ping(token);
        let sent = Instant::now();
        if let Err(error) = self.send(&ping) {
            self.forget(token);
            return Err(self.core.failed_to("cannot send a ping", &self.to, error));
        }
        self.core.counters.rare.pings_sent.increment();
        Ok((token, sent))
    }

    fn send(&self, ping: &[u8]) -> std::io::Result<()> {
        let socket = self.port().socket.as_fd();
        let send = || match self.connected {
            true => socket::send(socket, ping).map(drop),
            false => socket::send_to(socket, ping, &self.to),
        };
        match send() {
            // What is reported is an earlier ping, to a port where nobody listened yet.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => send(),
            other => other,
        }
    }

    /// A pong of a token that is no longer waited for is not handed out any more.
    pub fn forget(&mut self, token: u64) {
        self.outstanding.remove(&token);
        lock(&self.core.rtt.waiting).outstanding.remove(&token);
    }

    /// Counts a pong and gives its round trip.
    pub fn accept(&mut self, pong: &Pong, sent: Instant) -> Duration {
        self.forget(pong.token);
        let time = pong.at.saturating_duration_since(sent);
        let rare = &self.core.counters.rare;
        rare.pongs_received.increment();
        rare.last_rtt_ns.set(time.as_nanos() as u64);
        time
    }

    /// Waits for the next pong of a token that is outstanding; `None` when the time is up.
    pub fn pong(&mut self, deadline: Deadline) -> Result<Option<Pong>> {
        let core = self.core;
        let start = Instant::now();
        // An answer may be there in microseconds; the time of the next ping is not.
        let budget = match self.outstanding.is_empty() {
            true => Duration::ZERO,
            false => core.spin.budget(start),
        };
        let mut spinning = !budget.is_zero();
        loop {
            // Cleared before anything is looked at that a signal may be about.
            if self.port().mailbox.wake.is_pending() {
                self.port().mailbox.wake.clear();
                self.unread = true;
            }
            if core.is_closing() {
                return Err(TransportError::Shutdown);
            }
            core.link.check()?;
            if let Some(pong) = self.take() {
                return Ok(Some(pong));
            }
            let now = Instant::now();
            if matches!(deadline, Deadline::At(end) if now >= end) || deadline == Deadline::Now {
                return Ok(None);
            }
            if spinning {
                let after = core.spin.turn(now);
                spinning = after.is_some_and(|after| after.duration_since(start) < budget);
            } else {
                self.sleep(deadline);
            }
        }
    }

    /// A pong that has come, on our own socket or by way of the control port.
    fn take(&mut self) -> Option<Pong> {
        let mut buf = [0; wire::PING_SIZE + 1];
        loop {
            match socket::receive_from(self.port().socket.as_fd(), &mut buf) {
                Ok((size, from)) => {
                    let at = Instant::now();
                    let Kind::Pong(token) = wire::classify(&buf[..size]) else {
                        continue;
                    };
                    if self.outstanding.contains(&token) && self.core.serves(from.ip()) {
                        return Some(Pong { token, from, at });
                    }
                }
                Err(error) if would_block(&error) => break,
                // Nobody listens there (yet), which is the same as no answer.
                Err(_) => break,
            }
        }
        if self.core.intake.is_busy() {
            pump(self.core);
        }
        if !self.unread {
            return None;
        }
        let mailbox = Arc::clone(&self.port().mailbox);
        let mut pongs = lock(&mailbox.pongs);
        while let Some(pong) = pongs.pop() {
            if self.outstanding.contains(&pong.token) {
                return Some(pong);
            }
        }
        self.unread = false;
        None
    }

    fn sleep(&mut self, deadline: Deadline) {
        let (core, port) = (self.core, self.port());
        core.rtt.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut interests = vec![
            Interest::readable(port.socket.as_fd()),
            Interest::readable(port.mailbox.wake.as_fd()),
        ];
        // Counted as a sleeper before this look: who becomes busy after it wakes us.
        let control = match core.intake.is_busy() {
            true => core.control.socket(),
            false => None,
        };
        interests.extend(
            control
                .as_ref()
                .map(|socket| Interest::readable(socket.as_fd())),
        );
        // It could fail for lack of memory only; then the loop tries again.
        let _ = wait(&mut interests, deadline);
        let woken = interests[1].is_ready();
        core.rtt.sleepers.fetch_sub(1, Ordering::SeqCst);
        if woken {
            port.mailbox.wake.clear();
            self.unread = true;
        }
    }

    /// The peer string of whoever sent a pong.
    pub fn sender(&self, pong: &Pong) -> String {
        address::format(&pong.from, &self.core.link.name(), self.core.control.port())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.core.rtt.waiting);
        for token in &self.outstanding {
            waiting.outstanding.remove(token);
        }
        if let Some(port) = self.port.take() {
            waiting
                .mailboxes
                .retain(|mailbox| !Arc::ptr_eq(mailbox, &port.mailbox));
            drop(waiting);
            lock(&port.mailbox.pongs).clear();
            port.mailbox.wake.clear();
            self.core.rtt.ports.give_back(port);
        }
    }
}
