//! Which socket a datagram takes: the only place where that is decided.
//!
//! A busy peer has a connected socket (`connected`); all others share the outbound socket. What the connected socket
//! does not take goes over the outbound socket, which reports the errors and can wait. When the outbound socket is
//! full, one socket is connected for this peer: datagrams to hosts that are gone wait for a neighbour for seconds,
//! those of two such hosts can fill the shared buffer, and that must not stop sends to the others.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::Socket;

use super::channel::Control;
use super::connected::{Purpose, Route, Usage};
use crate::error::{Result, TransportError};
use crate::peer_cache;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::{report, would_block};

/// How long to wait before the next look whether the interface's own queue has room: longer each time.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Where messages go, and the peer's connected socket if there is one.
pub(super) struct Destination {
    pub address: SocketAddrV6,
    pub connected: Option<Arc<Socket>>,
}

impl Control {
    /// The destination of `sends` messages that are about to go to a peer.
    pub(super) fn destination(&self, peer: &str, sends: u32) -> Result<Destination> {
        let context = &*self.context;
        let (epoch, port) = (context.link.epoch(), context.control_port());
        let known = peer_cache::lookup(peer, epoch, port, |cached| {
            (cached.address, cached.usage.route(sends))
        });
        let Some((address, route)) = known else {
            return Ok(Destination {
                address: context.parse_peer(peer, epoch, context.own_control_port())?,
                connected: None,
            });
        };
        let connected = match route {
            Route::Connected(socket) => Some(socket),
            Route::Shared { busy: false } => None,
            Route::Shared { busy: true } => {
                if let Some(socket) = self.connect(&address, Purpose::Messages, epoch) {
                    peer_cache::lookup(peer, epoch, port, |cached| cached.usage.connect(socket));
                }
                None
            }
        };
        Ok(Destination { address, connected })
    }

    /// The connected socket for pongs to this address, whose traffic `usage` counts.
    pub(super) fn pong_socket(&self, to: &SocketAddrV6, usage: &mut Usage) -> Option<Arc<Socket>> {
        match usage.route(1) {
            Route::Connected(socket) => return Some(socket),
            Route::Shared { busy: false } => {}
            Route::Shared { busy: true } => {
                let epoch = self.context.link.epoch();
                if let Some(socket) = self.connect(to, Purpose::Pongs, epoch) {
                    usage.connect(socket);
                }
            }
        }
        None
    }

    pub(super) fn connect(
        &self,
        to: &SocketAddrV6,
        purpose: Purpose,
        epoch: u64,
    ) -> Option<Weak<Socket>> {
        // A group is many peers, and none of them answers for its address.
        if to.ip().is_multicast() {
            return None;
        }
        let interface = self.context.link.name();
        let control = || self.socket();
        self.connected.open(to, purpose, epoch, &interface, control)
    }

    /// Sends one message to a peer. `shared` sends to an address on a socket that is connected to no peer, for up to
    /// `patience` while there is no room.
    #[inline]
    pub(super) fn send_to_peer(
        &self,
        peer: &str,
        patience: Option<Duration>,
        over_connected: impl FnOnce(&Socket) -> io::Result<()>,
        mut shared: impl FnMut(&Socket, &SocketAddrV6) -> io::Result<()>,
    ) -> Result<()> {
        // The common case first: it needs neither the address nor a count.
        let (epoch, port) = (self.context.link.epoch(), self.context.control_port());
        let known = peer_cache::lookup(peer, epoch, port, |cached| cached.usage.socket());
        if let Some(socket) = known.flatten() {
            if self.try_connected(&socket, over_connected).is_some() {
                return Ok(());
            }
        }
        let to = self.destination(peer, 1)?.address;
        self.send_shared(&to, patience, |socket| shared(socket, &to))
    }

    /// Sends a part of a batch, as [`send_to_peer`](Self::send_to_peer) does.
    pub(super) fn send<T>(
        &self,
        to: &Destination,
        patience: Option<Duration>,
        over_connected: impl FnOnce(&Socket) -> io::Result<T>,
        shared: impl FnMut(&Socket) -> io::Result<T>,
    ) -> Result<T> {
        let connected = to.connected.as_ref();
        match connected.and_then(|socket| self.try_connected(socket, over_connected)) {
            Some(sent) => Ok(sent),
            None => self.send_shared(&to.address, patience, shared),
        }
    }

    /// Sends over a connected socket. `None`: it has to go over the outbound socket, which reports the errors.
    #[inline]
    fn try_connected<T>(
        &self,
        socket: &Socket,
        send: impl FnOnce(&Socket) -> io::Result<T>,
    ) -> Option<T> {
        self.check_open().ok()?;
        send(socket).ok()
    }

    /// Makes one attempt to send on the outbound socket, or on one that is connected for it when that is full. Returns
    /// the error of the outbound socket.
    pub(super) fn try_shared<T>(
        &self,
        outbound: &Socket,
        to: &SocketAddrV6,
        purpose: Purpose,
        mut send: impl FnMut(&Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        let error = match send(outbound) {
            Err(error) if would_block(&error) => error,
            sent => return sent,
        };
        let connected = self.connect(to, purpose, self.context.link.epoch());
        match connected.and_then(|socket| socket.upgrade()) {
            Some(socket) => send(&socket).map_err(|_| error),
            None => Err(error),
        }
    }

    /// Fails while nothing can be sent at all.
    fn check_open(&self) -> Result<()> {
        if self.context.is_closing() {
            return Err(TransportError::Shutdown);
        }
        self.context.link.check()
    }

    /// Runs a non-blocking send on the outbound socket, again while the kernel has no room.
    fn send_shared<T>(
        &self,
        to: &SocketAddrV6,
        patience: Option<Duration>,
        mut send: impl FnMut(&Socket) -> io::Result<T>,
    ) -> Result<T> {
        let context = &*self.context;
        let mut deadline = None;
        let mut pause = Duration::ZERO;
        loop {
            self.check_open()?;
            // A reference of our own: waiting for room must not hold up a replug.
            let Some(socket) = self.outbound() else {
                // Closing, or between two incarnations of the interface.
                return match context.is_closing() {
                    true => Err(TransportError::Shutdown),
                    false => Err(context.link.down("its sockets are being replaced")),
                };
            };
            let sent = match deadline {
                None => self.try_shared(&socket, to, Purpose::Messages, &mut send),
                Some(_) => send(&socket),
            };
            let error = match sent {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            let dropped = report::is_drop(&error);
            if dropped {
                self.send_singly();
            }
            if !would_block(&error) && !dropped {
                return Err(context.failed_to("cannot send", to, error));
            }
            let interface = context.link.name();
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(patience));
            let until = match dropped {
                false => deadline,
                // The kernel does not say when the interface's own queue has room again.
                true => {
                    pause = (2 * pause).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    deadline.min(Deadline::after(Some(pause)))
                }
            };
            // The receiver's wake-up also announces a close and a replug.
            let mut interests = [
                Interest::readable(self.wake.as_fd()),
                Interest::writable(socket.as_fd()),
            ];
            let used = if dropped { 1 } else { 2 };
            let waited = wait(&mut interests[..used], until);
            waited
                .map_err(|error| TransportError::from_os("cannot wait for room to send", error))?;
            if interests[1].is_in_error() {
                report::discard(socket.as_fd());
            }
            if deadline.passed() && !interests[1].is_met() {
                return Err(match patience {
                    Some(after) if !after.is_zero() => {
                        context.counters.cold.send_drops.increment();
                        TransportError::QueueFull { interface, after }
                    }
                    _ => TransportError::WouldBlock,
                });
            }
        }
    }
}
