//! The control channel: one UDP socket, its sending side, and who receives (`receiver`).

pub(crate) mod inbox;
pub(crate) mod intake;
pub(crate) mod receiver;

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use socket2::Socket;

use crate::address::{self, Scope};
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::stats::{Counter, Counters};
use crate::sys::event::Wake;
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::socket::BufferOption;
use crate::sys::thread::wait_until;
use crate::sys::{batch, socket, would_block};
use crate::{recent, Counted, Datagram, MAX_MESSAGE_SIZE};

/// How long a send waits for room in the kernel's queue. It is there within microseconds while the
/// link works.
const SEND_PATIENCE: Duration = Duration::from_secs(1);

/// The control socket of the present incarnation of the interface.
pub(crate) struct Control {
    socket: RwLock<Option<Arc<Socket>>>,
    port: AtomicU16,
    /// Wakes the receiver thread.
    pub wake: Wake,
    /// Bytes that the kernel granted, without its doubling for bookkeeping (socket(7)).
    pub send_buffer: Counter,
    pub receive_buffer: Counter,
}

impl Control {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            socket: RwLock::new(None),
            port: AtomicU16::new(0),
            wake: Wake::new()?,
            send_buffer: Counter::default(),
            receive_buffer: Counter::default(),
        })
    }

    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub fn socket(&self) -> Option<Arc<Socket>> {
        let socket = self.socket.read().unwrap_or_else(PoisonError::into_inner);
        socket.clone()
    }

    fn replace(&self, new: Option<Socket>) -> Option<Arc<Socket>> {
        let mut socket = self.socket.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *socket, new.map(Arc::new));
        drop(socket);
        self.wake.signal();
        old
    }

    /// Binds a socket on `interface`, at the port of the socket before it (0: any free one).
    pub fn bind(&self, interface: &str, buffer_size: usize) -> Result<Socket> {
        let port = self.port();
        let socket =
            socket::udp(interface).map_err(|error| cannot_bind_device(interface, error))?;
        socket::bind_port(&socket, port)
            .and_then(|()| socket::local_port(&socket))
            .map(|port| self.set_port(port))
            .map_err(|error| cannot_bind_port("UDP control", interface, port, error))?;
        for (option, granted) in [
            (BufferOption::Send, &self.send_buffer),
            (BufferOption::Receive, &self.receive_buffer),
        ] {
            granted.set(enlarge_buffer(&socket, option, buffer_size) as u64);
        }
        // Where it is missing, datagrams come singly; nothing else changes.
        socket::enable_gro(&socket);
        Ok(socket)
    }

    /// Takes a socket into use.
    pub fn open(&self, socket: Socket) {
        self.replace(Some(socket));
    }

    /// A peer believes a pong only from the address that it pinged. With one address that is where
    /// all datagrams come from; with several the answer must name it, which costs a little.
    pub fn set_addresses(&self, count: usize) {
        if let Some(socket) = self.socket() {
            // It is known to every kernel that has IPv6.
            let _ = socket::tell_destination(&socket, count > 1);
        }
    }

    /// Takes the socket out of use. It is closed when the last call that uses it has let go of it:
    /// each is woken by this, or does not wait.
    pub fn close(&self, counters: &Counters) -> Option<Arc<Socket>> {
        let drops = self.kernel_drops();
        let old = self.replace(None);
        if old.is_some() {
            counters.rare.kernel_drops_before.add(drops);
        }
        old
    }

    /// The same, and returns when the port is free.
    pub fn close_and_wait(&self, counters: &Counters) {
        if let Some(socket) = self.close(counters) {
            wait_until(|| Arc::strong_count(&socket) == 1);
        }
    }

    /// Drops on the present socket.
    pub fn kernel_drops(&self) -> u64 {
        let socket = self.socket();
        let drops = socket.and_then(|socket| socket::dropped_by_kernel(&socket).ok());
        drops.unwrap_or(0).into()
    }
}

/// The error of a socket that cannot be tied to the interface: starting fails, nothing ever falls
/// back to another network.
pub(crate) fn cannot_bind_device(interface: &str, source: io::Error) -> TransportError {
    match source.raw_os_error() {
        Some(libc::EPERM) => TransportError::PermissionDenied {
            action: format!(
                "cannot bind to interface \"{interface}\" (CAP_NET_RAW before Linux 5.7)"
            ),
            source,
        },
        // ENODEV: the cable was pulled a moment ago.
        Some(libc::ENODEV | libc::EMFILE | libc::ENFILE) => {
            TransportError::from_os("cannot make a socket", interface, source)
        }
        _ => TransportError::SocketOption {
            option: "SO_BINDTODEVICE",
            value: format!("\"{interface}\""),
            source,
        },
    }
}

pub(crate) fn cannot_bind_port(
    protocol: &'static str,
    interface: &str,
    port: u16,
    source: io::Error,
) -> TransportError {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => TransportError::AddressInUse {
            protocol,
            port,
            interface: interface.to_owned(),
            source,
        },
        _ => {
            let action = format!("cannot bind {protocol} port {port} on \"{interface}\"");
            TransportError::from_os(action, interface, source)
        }
    }
}

/// Asks for `wanted` bytes of buffer and gives what was granted. Never makes it smaller.
pub(crate) fn enlarge_buffer(socket: &Socket, option: BufferOption, wanted: usize) -> usize {
    let granted = || match option {
        BufferOption::Send => socket.send_buffer_size().unwrap_or(0) / 2,
        BufferOption::Receive => socket.recv_buffer_size().unwrap_or(0) / 2,
    };
    // The kernel doubles the value in an int.
    let wanted = wanted.min((i32::MAX / 2) as usize);
    if granted() >= wanted || socket::force_buffer(socket, option, wanted).is_ok() {
        return granted();
    }
    // Without privilege the kernel caps it at rmem_max or wmem_max, without an error.
    let _ = match option {
        BufferOption::Send => socket.set_send_buffer_size(wanted),
        BufferOption::Receive => socket.set_recv_buffer_size(wanted),
    };
    granted()
}

impl Core {
    /// Reads a peer string, or remembers it.
    pub fn resolve(&self, peer: &str, default_port: u16) -> Result<SocketAddrV6> {
        let epoch = self.link.epoch();
        if let Some(address) = recent::get(peer, epoch, default_port) {
            return Ok(address);
        }
        let address = self.link.with(|current| {
            let scope = Scope {
                interface: &current.name,
                index: current.index,
            };
            address::parse(peer, scope, default_port)
        })?;
        recent::put(peer, epoch, default_port, address);
        Ok(address)
    }

    /// The error of a system call that was given an address of a peer. EINVAL says that the address
    /// and the socket belong to different incarnations of the interface: it was replugged between.
    pub fn failed_to(&self, action: &str, to: &SocketAddrV6, error: io::Error) -> TransportError {
        let interface = self.link.name();
        let replaced = || socket::interface_index(&interface) != Some(to.scope_id());
        if error.raw_os_error() == Some(libc::EINVAL) && replaced() {
            return self.link.down("the interface was replaced during the call");
        }
        TransportError::from_os(format!("{action} to {}", to.ip()), &interface, error)
    }

    pub fn send_message(&self, data: &[u8], peer: &str) -> Result<usize> {
        self.count(self.try_send(data, peer))
    }

    fn try_send(&self, data: &[u8], peer: &str) -> Result<usize> {
        let to = self.addressed(data, peer)?;
        self.send_while_room(&to, |socket| socket::send_to(socket.as_fd(), data, &to))?;
        self.counters.sent.messages.increment();
        self.counters.sent.bytes.add(data.len() as u64);
        Ok(data.len())
    }

    /// Checks a message and gives its destination.
    fn addressed(&self, data: &[u8], peer: &str) -> Result<SocketAddrV6> {
        if data.len() > MAX_MESSAGE_SIZE {
            return Err(TransportError::MessageTooLarge {
                size: data.len(),
                max: MAX_MESSAGE_SIZE,
            });
        }
        self.resolve(peer, self.control.port())
    }

    /// Runs a non-blocking send on the control socket, again when the kernel had no room.
    fn send_while_room<T>(
        &self,
        to: &SocketAddrV6,
        mut send: impl FnMut(&Socket) -> io::Result<T>,
    ) -> Result<T> {
        let mut deadline = None;
        loop {
            if self.is_closing() {
                return Err(TransportError::Shutdown);
            }
            self.link.check()?;
            // An own reference: waiting for room must not hold up a replug.
            let Some(socket) = self.control.socket() else {
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
            if !would_block(&error) {
                return Err(self.failed_to("cannot send", to, error));
            }
            let interface = self.link.name();
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(Some(SEND_PATIENCE)));
            // The receiver's wake-up is that of a close and of a replug, too.
            let mut interests = [
                Interest::writable(socket.as_fd()),
                Interest::readable(self.control.wake.as_fd()),
            ];
            let room = wait(&mut interests, deadline);
            if !room.map_err(|error| TransportError::from_os("cannot wait", &interface, error))? {
                return Err(TransportError::QueueFull {
                    interface,
                    after: SEND_PATIENCE,
                });
            }
        }
    }

    /// Sends in order until one fails; the count is of those that left.
    pub fn send_batch(&self, datagrams: &[Datagram<'_>]) -> Counted {
        let mut count = 0;
        let outcome = datagrams.chunks(batch::SEND_BATCH).try_for_each(|chunk| {
            let sent = self.send_chunk(chunk);
            count += sent.count;
            sent.outcome
        });
        Counted { count, outcome }.counted_in(self)
    }

    /// Sends at most [`batch::SEND_BATCH`] datagrams. A bad one does not keep those before it back.
    fn send_chunk(&self, chunk: &[Datagram<'_>]) -> Counted {
        let mut addressed = Vec::with_capacity(chunk.len());
        let mut outcome = Ok(());
        for datagram in chunk {
            match self.addressed(datagram.data, datagram.peer) {
                Ok(to) => addressed.push((to, datagram.data)),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let mut rest = addressed.as_slice();
        while let Some((to, _)) = rest.first() {
            match self.send_while_room(to, |socket| batch::send(socket.as_fd(), rest)) {
                Ok(sent) => {
                    let bytes: usize = rest[..sent].iter().map(|(_, data)| data.len()).sum();
                    self.counters.sent.messages.add(sent as u64);
                    self.counters.sent.bytes.add(bytes as u64);
                    rest = &rest[sent..];
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        Counted {
            count: (addressed.len() - rest.len()) as u64,
            outcome,
        }
    }
}
