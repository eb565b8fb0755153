//! The control channel: one UDP port, its sending side, and who receives (`receiver`).
//!
//! The port has two sockets. The *control socket* receives. The *outbound socket* sends, and asks the
//! kernel to tell what the interface's own queue drops (IPV6_RECVERR, ipv6(7)): without that a send
//! succeeds whether or not there was room. The same option has the kernel tell of ICMP errors, which
//! anybody on the link can make up: on a socket that receives they would fill the room of datagrams,
//! wake those that wait, and fail sends to other peers. The outbound socket is bound to an address that
//! no datagram comes from or goes to (`lanes`), so they are not its own.

pub(crate) mod answers;
pub(crate) mod bind;
pub(crate) mod inbox;
pub(crate) mod intake;
pub(crate) mod lanes;
pub(crate) mod receiver;
pub(crate) mod send;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::error::Result;
use crate::stats::{Counter, Counters};
use crate::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use crate::sync::RwLock;
use crate::sys::event::Wake;
use crate::sys::socket;
use crate::sys::socket::BufferOption;
use crate::sys::thread::wait_until;
use crate::wire::MAX_MESSAGE_SIZE;
use bind::{cannot_bind_device, cannot_bind_port, enlarge_buffer};
use lanes::Lanes;

/// For how long messages leave singly after the interface's own queue had no room.
const SINGLY: Duration = Duration::from_secs(10);

/// The control socket of the present incarnation of the interface.
pub(crate) struct Control {
    sockets: RwLock<Option<Sockets>>,
    port: AtomicU16,
    pub lanes: Lanes,
    /// Messages of up to this size may be handed to the kernel many at a time, for it to cut
    /// (UDP_SEGMENT): as large as was not refused.
    largest_segment: AtomicUsize,
    begun: Instant,
    /// Until when messages leave singly, in milliseconds since `begun`.
    single_until: AtomicU64,
    /// Wakes the receiver thread.
    pub wake: Wake,
    /// Bytes that the kernel granted, without its doubling for bookkeeping (socket(7)).
    pub send_buffer: Counter,
    pub receive_buffer: Counter,
}

/// The two sockets of the control port.
#[derive(Clone)]
pub(crate) struct Sockets {
    /// Receives.
    pub main: Arc<Socket>,
    /// Sends.
    pub outbound: Arc<Socket>,
}

impl Control {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            sockets: RwLock::new(None),
            port: AtomicU16::new(0),
            lanes: Lanes::default(),
            largest_segment: AtomicUsize::new(MAX_MESSAGE_SIZE),
            begun: Instant::now(),
            single_until: AtomicU64::new(0),
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

    pub fn sockets(&self) -> Option<Sockets> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets.clone()
    }

    /// The one that receives.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets.as_ref().map(|sockets| Arc::clone(&sockets.main))
    }

    /// The one that sends.
    pub fn outbound(&self) -> Option<Arc<Socket>> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets
            .as_ref()
            .map(|sockets| Arc::clone(&sockets.outbound))
    }

    fn replace(&self, new: Option<Sockets>, before: impl FnOnce()) -> Option<Sockets> {
        let mut sockets = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        before();
        let old = std::mem::replace(&mut *sockets, new);
        drop(sockets);
        self.wake.signal();
        old
    }

    /// Binds sockets on `interface`, at the port of those before them (0: any free one).
    pub fn bind(
        &self,
        interface: &str,
        buffer_size: usize,
        busy_poll: Duration,
    ) -> Result<Sockets> {
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
        // It takes its send buffer's size from the control socket's.
        let outbound = lanes::outbound(&socket, interface)
            .map_err(|error| cannot_bind_port("UDP control", interface, self.port(), error))?;
        if !busy_poll.is_zero() {
            socket::busy_poll(&socket, busy_poll);
        }
        Ok(Sockets {
            main: Arc::new(socket),
            outbound: Arc::new(outbound),
        })
    }

    /// Takes sockets into use. Nobody finds them before `link_is_up` has run, nor finds none after that.
    pub fn open(&self, sockets: Sockets, link_is_up: impl FnOnce()) {
        self.replace(Some(sockets), link_is_up);
    }

    /// The interface changed, and perhaps its MTU did.
    pub fn allow_segments(&self) {
        self.largest_segment
            .store(MAX_MESSAGE_SIZE, Ordering::Relaxed);
    }

    /// The interface's own queue had no room. A queue that limits the rate cuts what the kernel was to
    /// cut itself, drops a part, and calls it sent (tbf_segment of net/sched/sch_tbf.c): for a
    /// while each message has to be told of by itself.
    fn send_singly(&self) {
        let now = self.begun.elapsed() + SINGLY;
        let until = now.as_millis() as u64;
        self.single_until.store(until, Ordering::Relaxed);
    }

    /// The largest messages that may be handed over many at a time; 0: none.
    fn largest_segment(&self) -> usize {
        let until = self.single_until.load(Ordering::Relaxed);
        if until > 0 && (self.begun.elapsed().as_millis() as u64) < until {
            return 0;
        }
        self.largest_segment.load(Ordering::Relaxed)
    }

    /// The kernel does not cut messages of this size: it can't, or they do not fit in a packet.
    fn refuse_segments(&self, size: usize) {
        self.largest_segment
            .fetch_min(size.saturating_sub(1), Ordering::Relaxed);
    }

    /// A peer believes a pong only from the address that it pinged. With one address that is where
    /// all datagrams come from; with several the answer must name it, which costs a little.
    pub fn set_addresses(&self, count: usize) {
        if let Some(socket) = self.socket() {
            // It is known to every kernel that has IPv6.
            let _ = socket::tell_destination(&socket, count > 1);
        }
    }

    /// Takes the sockets and the lanes out of use. Each is closed when the last call that uses it has let go of it:
    /// each is woken by this, or does not wait.
    pub fn close(&self, counters: &Counters) -> Vec<Arc<Socket>> {
        let drops = self.kernel_drops();
        let old = self.replace(None, || {});
        if old.is_some() {
            counters.cold.kernel_drops_before.add(drops);
        }
        // After the sockets were taken away: no lane is made without them.
        let mut closing = self.lanes.close();
        if let Some(Sockets { main, outbound }) = old {
            closing.extend([main, outbound]);
        }
        closing
    }

    /// The same, and returns when the port is free.
    pub fn close_and_wait(&self, counters: &Counters) {
        for socket in self.close(counters) {
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

#[cfg(all(loom, test))]
mod models;
