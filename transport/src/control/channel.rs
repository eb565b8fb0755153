//! The sockets of the control port.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::connected::{outbound, ConnectedSockets};
use crate::bind::{cannot_bind_device, cannot_bind_port, enlarge_buffer};
use crate::context::Context;
use crate::error::Result;
use crate::stats::Counter;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::RwLock;
use crate::sys::event::Wake;
use crate::sys::socket;
use crate::sys::socket::BufferOption;
use crate::sys::thread::wait_until;
use crate::wire::MAX_MESSAGE_SIZE;

/// How long messages are sent one by one after the interface's queue was full.
const SINGLY: Duration = Duration::from_secs(10);

/// The sockets of the control port, for the present incarnation of the interface.
pub(crate) struct Control {
    pub context: Arc<Context>,
    sockets: RwLock<Option<Sockets>>,
    pub(super) connected: ConnectedSockets,
    /// The largest size of messages that are passed to the kernel as one packet for it to split (UDP_SEGMENT). It is
    /// just below the smallest size that the kernel refused.
    largest_segment: AtomicUsize,
    begun: Instant,
    /// The end of the time in which messages are sent one by one, in milliseconds since `begun`.
    single_until: AtomicU64,
    /// Wakes the receiver.
    pub wake: Wake,
    /// Granted buffer sizes in bytes, without the kernel's doubling for bookkeeping (socket(7)).
    pub send_buffer: Counter,
    pub receive_buffer: Counter,
}

/// The two sockets of the control port.
#[derive(Clone)]
pub(crate) struct Sockets {
    /// The socket that receives.
    pub control: Arc<Socket>,
    /// The socket that sends.
    pub outbound: Arc<Socket>,
}

impl Control {
    pub fn new(context: &Arc<Context>) -> io::Result<Self> {
        Ok(Self {
            context: Arc::clone(context),
            sockets: RwLock::new(None),
            connected: ConnectedSockets::default(),
            largest_segment: AtomicUsize::new(MAX_MESSAGE_SIZE),
            begun: Instant::now(),
            single_until: AtomicU64::new(0),
            wake: Wake::new()?,
            send_buffer: Counter::default(),
            receive_buffer: Counter::default(),
        })
    }

    /// Both sockets, unless the interface is absent.
    pub fn sockets(&self) -> Option<Sockets> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets.clone()
    }

    /// The socket that receives.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        sockets.as_ref().map(|sockets| Arc::clone(&sockets.control))
    }

    /// The socket that sends.
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

    /// Binds sockets on `interface`, on the port of the sockets before them (0: any free one).
    pub fn bind(&self, interface: &str) -> Result<Sockets> {
        let context = &self.context;
        let buffer_size = context.settings.config.buffer_size;
        let port = context.control_port();
        let socket =
            socket::udp(interface).map_err(|error| cannot_bind_device(interface, error))?;
        socket::bind_port(&socket, port)
            .and_then(|()| socket::local_port(&socket))
            .map(|port| context.set_control_port(port))
            .map_err(|error| cannot_bind_port("UDP control", interface, port, error))?;
        for (option, granted) in [
            (BufferOption::Send, &self.send_buffer),
            (BufferOption::Receive, &self.receive_buffer),
        ] {
            granted.set(enlarge_buffer(&socket, option, buffer_size) as u64);
        }
        // Its send buffer gets the size of the control socket's.
        let port = context.control_port();
        let outbound = outbound(&socket, interface)
            .map_err(|error| cannot_bind_port("UDP control", interface, port, error))?;
        let busy_poll = context.spin.budget();
        if !busy_poll.is_zero() {
            socket::busy_poll(&socket, busy_poll);
        }
        Ok(Sockets {
            control: Arc::new(socket),
            outbound: Arc::new(outbound),
        })
    }

    /// Takes sockets into use. `link_is_up` runs under the lock: until it has run, no thread finds the sockets, and
    /// afterwards every thread does.
    pub fn open(&self, sockets: Sockets, link_is_up: impl FnOnce()) {
        self.replace(Some(sockets), link_is_up);
    }

    /// The interface, and perhaps its MTU, has changed, so every size is tried again.
    pub fn allow_segments(&self) {
        self.largest_segment
            .store(MAX_MESSAGE_SIZE, Ordering::Relaxed);
    }

    /// The interface's queue was full. A rate-limiting queue splits a segmented packet itself, drops some parts and
    /// reports success (tbf_segment of net/sched/sch_tbf.c). So each message is sent alone for some time, and has a
    /// result of its own.
    pub(super) fn send_singly(&self) {
        let now = self.begun.elapsed() + SINGLY;
        let until = now.as_millis() as u64;
        self.single_until.store(until, Ordering::Relaxed);
    }

    /// The largest size of messages that are passed to the kernel as one packet. 0: none.
    pub(super) fn largest_segment(&self) -> usize {
        let until = self.single_until.load(Ordering::Relaxed);
        if until > 0 && (self.begun.elapsed().as_millis() as u64) < until {
            return 0;
        }
        self.largest_segment.load(Ordering::Relaxed)
    }

    /// The kernel does not split a packet into messages of this size: it cannot, or they exceed the MTU.
    pub(super) fn refuse_segments(&self, size: usize) {
        self.largest_segment
            .fetch_min(size.saturating_sub(1), Ordering::Relaxed);
    }

    /// The interface has this many addresses. A peer accepts a pong only from the address that it pinged. With one
    /// address every datagram comes from there; with several the answer must name it, which costs a little.
    pub fn set_addresses(&self, count: usize) {
        if let Some(socket) = self.socket() {
            // Every kernel with IPv6 has the option.
            let _ = socket::tell_destination(&socket, count > 1);
        }
    }

    /// Takes all sockets out of use. Each is closed when the last call that uses it drops it. This wakes such calls
    /// if they wait.
    pub fn close(&self) -> Vec<Arc<Socket>> {
        let drops = self.kernel_drops();
        let old = self.replace(None, || {});
        if old.is_some() {
            self.context.counters.cold.kernel_drops_before.add(drops);
        }
        // The control socket was removed before this. Without it, no thread can make another connected socket.
        let mut closing = self.connected.close();
        if let Some(Sockets { control, outbound }) = old {
            closing.extend([control, outbound]);
        }
        closing
    }

    /// As [`close`](Self::close), and returns when the port is free.
    pub fn close_and_wait(&self) {
        for socket in self.close() {
            wait_until(|| Arc::strong_count(&socket) == 1);
        }
    }

    /// Drops on the present control socket.
    pub fn kernel_drops(&self) -> u64 {
        let socket = self.socket();
        let drops = socket.and_then(|socket| socket::dropped_by_kernel(&socket).ok());
        drops.unwrap_or(0).into()
    }
}

#[cfg(all(loom, test))]
mod models;
