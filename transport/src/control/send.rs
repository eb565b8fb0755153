//! Sending control messages: one, or many with as few system calls as possible.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::Socket;

use super::bind::cannot_bind_device;
use super::lanes::{Cargo, Route};
use crate::address::{self, OwnPort, Scope};
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::link::Attempt;
use crate::peer_cache;
use crate::progress::Progress;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::report;
use crate::sys::send::{self, Outgoing, SEND_BATCH};
use crate::sys::socket::SocketError;
use crate::sys::{socket, would_block};
use crate::transport::Datagram;
use crate::wire::MAX_MESSAGE_SIZE;

/// How long a send waits for room in the kernel's queue. It is there within microseconds while the
/// link works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before the next look whether the interface's own queue has room: longer each time.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Where messages go, and over which socket: the peer's lane, or else the control socket.
struct Destination {
    address: SocketAddrV6,
    lane: Option<Arc<Socket>>,
}

impl Core {
    /// Reads a peer string, or remembers it.
    pub fn resolve(&self, peer: &str, own_port: OwnPort) -> Result<SocketAddrV6> {
        let epoch = self.link.epoch();
        match peer_cache::lookup(peer, epoch, own_port.number(), |known| known.address) {
            Some(address) => Ok(address),
            None => self.read_peer(peer, epoch, own_port),
        }
    }

    fn read_peer(&self, peer: &str, epoch: u64, own_port: OwnPort) -> Result<SocketAddrV6> {
        let address = self.link.with(|current| {
            let scope = Scope {
                interface: &current.name,
                index: current.index,
                kernel: self.link.kernel(),
            };
            address::parse(peer, scope, own_port)
        })?;
        peer_cache::insert(peer, epoch, own_port.number(), address);
        Ok(address)
    }

    /// The same for a peer that `sends` messages are about to go to.
    fn destination(&self, peer: &str, sends: u32) -> Result<Destination> {
        let (epoch, port) = (self.link.epoch(), self.control.port());
        let known = peer_cache::lookup(peer, epoch, port, |known| {
            (known.address, known.usage.route(sends))
        });
        Ok(match known {
            None => Destination {
                address: self.read_peer(peer, epoch, self.own_control_port())?,
                lane: None,
            },
            Some((address, Route::Lane(lane))) => Destination {
                address,
                lane: Some(lane),
            },
            Some((address, Route::Shared { busy })) => {
                if busy {
                    if let Some(lane) = self.open_lane(&address, Cargo::Messages, epoch) {
                        peer_cache::lookup(peer, epoch, port, |known| known.usage.set_lane(lane));
                    }
                }
                Destination {
                    address,
                    lane: None,
                }
            }
        })
    }

    pub(super) fn open_lane(
        &self,
        to: &SocketAddrV6,
        cargo: Cargo,
        epoch: u64,
    ) -> Option<Weak<Socket>> {
        // A group is many peers, and none of them answers for its address.
        if to.ip().is_multicast() {
            return None;
        }
        let interface = self.link.name();
        let main = || self.control.socket();
        self.control.lanes.open(to, cargo, epoch, &interface, main)
    }

    /// The error of a system call on a socket of the link.
    pub fn failed(&self, attempt: Attempt<'_>, action: String, error: io::Error) -> TransportError {
        let any_source = self.allows_any_source();
        let error = self.link.failed(attempt, action, error, any_source);
        if self.link.is_doubted() {
            self.accept_wake.signal();
        }
        error
    }

    /// The error of a datagram that the kernel did not take.
    pub fn failed_to(&self, action: &str, to: &SocketAddrV6, error: io::Error) -> TransportError {
        let action = format!("{action} to {}", self.endpoint(to));
        self.failed(Attempt::Send(to), action, error)
    }

    /// The error of a socket that a call cannot tie to the interface, although the transport has
    /// done so.
    pub fn cannot_bind_device(&self, interface: &str, error: SocketError) -> TransportError {
        let no_device = |error: &io::Error| error.raw_os_error() == Some(libc::ENODEV);
        match error {
            SocketError::Device(source) if no_device(&source) => {
                let action = format!("cannot bind a socket to \"{interface}\"");
                self.failed(Attempt::Bind(interface), action, source)
            }
            error => cannot_bind_device(interface, error),
        }
    }

    /// An address with its port, as a peer string.
    pub fn endpoint(&self, to: &SocketAddrV6) -> String {
        // 0 is no port of a peer's, so it is always written.
        address::format(to, &self.link.name(), OwnPort::Configured(0))
    }

    pub fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        self.send_message_timeout(data, peer, Some(PATIENCE))
    }

    pub fn send_message_timeout(
        &self,
        data: &[u8],
        peer: &str,
        patience: Option<Duration>,
    ) -> Result<usize> {
        self.count(self.try_send(data, peer, patience))
    }

    fn try_send(&self, data: &[u8], peer: &str, patience: Option<Duration>) -> Result<usize> {
        check_size(data)?;
        if !self.sent_over_lane(data, peer) {
            let to = self.destination(peer, 1)?.address;
            let send = |socket: &Socket| {
                let socket = socket.as_fd();
                report::send_despite(socket, || socket::send_to(socket, data, &to))
            };
            self.send_while_room(&to, patience, send)?;
        }
        let sent = self.counters.sent.shard();
        sent.messages.increment();
        sent.bytes.add(data.len() as u64);
        Ok(data.len())
    }

    /// The short way, if there is one and it is free.
    fn sent_over_lane(&self, data: &[u8], peer: &str) -> bool {
        let (epoch, port) = (self.link.epoch(), self.control.port());
        let lane = peer_cache::lookup(peer, epoch, port, |known| known.usage.lane());
        lane.flatten().is_some_and(|lane| {
            self.check_open().is_ok() && socket::send(lane.as_fd(), data).is_ok()
        })
    }

    /// Sends over the lane, if there is one and it takes it. All else is the control socket's: it
    /// has the errors to report, and it can wait.
    fn send_to<T>(
        &self,
        destination: &Destination,
        over_lane: impl FnOnce(&Socket) -> io::Result<T>,
        shared: impl FnMut(&Socket) -> io::Result<T>,
    ) -> Result<T> {
        if let Some(lane) = &destination.lane {
            self.check_open()?;
            if let Ok(sent) = over_lane(lane) {
                return Ok(sent);
            }
        }
        self.send_while_room(&destination.address, Some(PATIENCE), shared)
    }

    /// Sends over a lane of this peer's own when the control socket has no room. Messages to hosts
    /// that are gone wait there for a neighbour for seconds, and those of two such hosts can fill it:
    /// that is nothing to the others.
    pub(super) fn with_lane<T>(
        &self,
        to: &SocketAddrV6,
        cargo: Cargo,
        send: impl FnOnce(&Socket) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let lane = self.open_lane(to, cargo, self.link.epoch())?.upgrade()?;
        Some(send(&lane))
    }

    /// Fails while nothing can be sent at all.
    fn check_open(&self) -> Result<()> {
        if self.is_closing() {
            return Err(TransportError::Shutdown);
        }
        self.link.check()
    }

    /// Runs a non-blocking send on the control socket, again when the kernel had no room.
    fn send_while_room<T>(
        &self,
        to: &SocketAddrV6,
        patience: Option<Duration>,
        mut send: impl FnMut(&Socket) -> io::Result<T>,
    ) -> Result<T> {
        let mut deadline = None;
        let mut pause = Duration::ZERO;
        loop {
            self.check_open()?;
            // An own reference: waiting for room must not hold up a replug.
            let Some(socket) = self.control.outbound() else {
                // Closing, or between two incarnations of the interface.
                return match self.is_closing() {
                    true => Err(TransportError::Shutdown),
                    false => Err(self.link.down("its sockets are being replaced")),
                };
            };
            let error = match send(&socket) {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            let dropped = report::is_drop(&error);
            if dropped {
                self.control.send_singly();
            }
            if !would_block(&error) && !dropped {
                return Err(self.failed_to("cannot send", to, error));
            }
            if deadline.is_none() && !dropped {
                if let Some(Ok(sent)) = self.with_lane(to, Cargo::Messages, &mut send) {
                    return Ok(sent);
                }
            }
            let interface = self.link.name();
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(patience));
            let until = match dropped {
                false => deadline,
                // The kernel does not say when the interface's own queue has room again.
                true => {
                    pause = (2 * pause).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    deadline.min(Deadline::after(Some(pause)))
                }
            };
            // The receiver's wake-up is that of a close and of a replug, too.
            let mut interests = [
                Interest::readable(self.control.wake.as_fd()),
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
                        self.counters.cold.send_drops.increment();
                        TransportError::QueueFull { interface, after }
                    }
                    _ => TransportError::WouldBlock,
                });
            }
        }
    }

    /// Sends in order until one fails; the count is of those that left.
    pub fn send_batch<'a>(&self, datagrams: impl IntoIterator<Item = Datagram<'a>>) -> Progress {
        let mut datagrams = datagrams.into_iter();
        let mut chunk = Chunk::default();
        let mut count = 0;
        let outcome = loop {
            let addressed = self.fill(&mut chunk, &mut datagrams);
            // A bad one does not keep those before it back.
            let sent = self.send_chunk(&chunk);
            count += sent.count;
            match sent.outcome.and(addressed) {
                Ok(()) if chunk.datagrams.len() == SEND_BATCH => {}
                outcome => break outcome,
            }
        };
        self.count_progress(Progress { count, outcome })
    }

    /// Takes as many datagrams as one system call does, checks them and finds their destinations, up
    /// to the first bad one.
    fn fill<'a>(
        &self,
        chunk: &mut Chunk<'a>,
        datagrams: &mut impl Iterator<Item = Datagram<'a>>,
    ) -> Result<()> {
        let most = datagrams.size_hint().1.unwrap_or(SEND_BATCH);
        let expected = most.clamp(1, SEND_BATCH);
        chunk.peers.clear();
        chunk.datagrams.clear();
        chunk.datagrams.reserve(expected);
        chunk.lane = None;
        let mut last = "";
        for Datagram { peer, data } in datagrams.take(SEND_BATCH) {
            check_size(data)?;
            // The same string again is the common case, and cheaper to see than to look up.
            if chunk.peers.is_empty() || !same(peer, last) {
                let found = self.destination(peer, expected as u32)?;
                last = peer;
                chunk.peers.push(found.address);
                // A lane is of use if all go the same way.
                chunk.lane = found.lane.filter(|_| chunk.peers.len() == 1);
            }
            let peer = chunk.peers.len() - 1;
            chunk.datagrams.push(Outgoing { peer, data });
        }
        Ok(())
    }

    fn send_chunk(&self, chunk: &Chunk<'_>) -> Progress {
        let mut rest = chunk.datagrams.as_slice();
        let mut outcome = Ok(());
        while let Some(first) = rest.first() {
            let destination = Destination {
                address: chunk.peers[first.peer],
                lane: chunk.lane.clone(),
            };
            let over_lane = |lane: &Socket| self.send_some(lane, &[], rest);
            let shared = |socket: &Socket| self.send_some(socket, &chunk.peers, rest);
            match self.send_to(&destination, over_lane, shared) {
                Ok(sent) => {
                    let bytes: usize = rest[..sent].iter().map(|one| one.data.len()).sum();
                    let counters = self.counters.sent.shard();
                    counters.messages.add(sent as u64);
                    counters.bytes.add(bytes as u64);
                    rest = &rest[sent..];
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        Progress {
            count: (chunk.datagrams.len() - rest.len()) as u64,
            outcome,
        }
    }

    /// Sends what one system call takes, many in one packet where the kernel cuts it.
    fn send_some(
        &self,
        socket: &Socket,
        peers: &[SocketAddrV6],
        datagrams: &[Outgoing<'_>],
    ) -> io::Result<usize> {
        let largest = self.control.largest_segment();
        let socket_fd = socket.as_fd();
        let send = || send::send(socket_fd, peers, datagrams, largest);
        match report::send_despite(socket_fd, send) {
            // The first of them is refused as it is, not because there is no room for it.
            Err(error) if send::is_refused(&error) => {
                let size = datagrams[0].data.len();
                if size > largest || size == 0 {
                    return Err(error);
                }
                self.control.refuse_segments(match error.raw_os_error() {
                    // This interface has no checksum offload, whatever the size.
                    Some(libc::EIO) => 1,
                    _ => size,
                });
                self.send_some(socket, peers, datagrams)
            }
            sent => sent,
        }
    }
}

/// A part of a batch that is small enough for one system call.
#[derive(Default)]
struct Chunk<'a> {
    /// To whom, in order; the same one again may come again.
    peers: Vec<SocketAddrV6>,
    datagrams: Vec<Outgoing<'a>>,
    /// If all go to one peer that has one.
    lane: Option<Arc<Socket>>,
}

fn check_size(data: &[u8]) -> Result<()> {
    if data.len() > MAX_MESSAGE_SIZE {
        return Err(TransportError::MessageTooLarge {
            size: data.len(),
            max: MAX_MESSAGE_SIZE,
        });
    }
    Ok(())
}

fn same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}
