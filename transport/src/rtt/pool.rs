//! The sockets for round trips, kept for the next one.

use std::net::SocketAddrV6;
use std::sync::Arc;
use std::time::Instant;

use super::ping_socket::{PingSocket, Pong};
use crate::context::Context;
use crate::error::Result;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::reserve_alloc;

/// The most idle sockets.
const MAX_IDLE: usize = 8;

/// The sockets for round trips: those in use, and idle ones for the next round trip.
#[derive(Default)]
pub(crate) struct PingSocketPool {
    sockets: Mutex<Sockets>,
    /// Incremented when the interface, its addresses or the settings change. Sockets of an older epoch are not
    /// used again.
    epoch: AtomicU64,
    /// Threads that sleep and do not watch the control socket.
    sleepers: AtomicUsize,
}

#[derive(Default)]
struct Sockets {
    used: Vec<Arc<PingSocket>>,
    idle: Vec<Arc<PingSocket>>,
}

impl PingSocketPool {
    /// A socket for pings to `peer`; `None`: to any address.
    pub fn acquire(
        &self,
        context: &Context,
        peer: Option<&SocketAddrV6>,
    ) -> Result<Arc<PingSocket>> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let mut sockets = lock(&self.sockets);
        let same = |socket: &Arc<PingSocket>| peer.is_some() && socket.peer.as_ref() == peer;
        if let Some(place) = sockets.idle.iter().position(same) {
            let socket = sockets.idle.swap_remove(place);
            sockets.used.push(Arc::clone(&socket));
            return Ok(socket);
        }
        // The lock is not held for the system calls of a new socket.
        drop(sockets);
        reserve_alloc::check("cannot measure round trips")?;
        let socket = Arc::new(PingSocket::new(context, epoch, peer.copied())?);
        lock(&self.sockets).used.push(Arc::clone(&socket));
        Ok(socket)
    }

    /// Returns a socket, which is kept for the next round trip to the same peer.
    pub fn release(&self, socket: &Arc<PingSocket>) {
        socket.reset();
        let mut sockets = lock(&self.sockets);
        if let Some(place) = sockets
            .used
            .iter()
            .position(|used| Arc::ptr_eq(used, socket))
        {
            sockets.used.swap_remove(place);
        }
        if socket.is_connected() && socket.epoch == self.epoch.load(Ordering::Acquire) {
            if sockets.idle.len() >= MAX_IDLE {
                // Approximately the one that has been idle for longest.
                sockets.idle.remove(0);
            }
            sockets.idle.push(Arc::clone(socket));
        }
    }

    /// Delivers a pong that came to the control port. It counts if its ping is outstanding and it came from the
    /// address that was pinged; otherwise the result is false.
    pub fn deliver(&self, token: u64, from: SocketAddrV6, at: Instant) -> bool {
        let pong = Pong { token, from, at };
        lock(&self.sockets)
            .used
            .iter()
            .any(|socket| socket.deliver(pong))
    }

    /// Wakes every waiting thread, to look at the state of the transport again.
    pub fn wake_all(&self) {
        for socket in &lock(&self.sockets).used {
            socket.wake.signal();
        }
    }

    /// As [`wake_all`](Self::wake_all), when the receiver stops reading the control socket: only for threads that rely
    /// on the receiver.
    pub fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake_all();
        }
    }

    /// Runs `sleep` with this thread counted as one that relies on the receiver.
    pub fn while_asleep<T>(&self, sleep: impl FnOnce() -> T) -> T {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let slept = sleep();
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        slept
    }

    /// Closes the idle sockets, and those in use when they are released.
    pub fn close_idle(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        lock(&self.sockets).idle.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::ping_socket::MAX_DELIVERED;
    use super::*;
    use crate::settings::Settings;
    use std::net::Ipv6Addr;

    fn context() -> Context {
        let mut settings = Settings::default();
        settings.config.interface = "lo".to_owned();
        Context::new(settings, None, false).unwrap()
    }

    fn pong(token: u64, n: usize) -> Pong {
        let ip = Ipv6Addr::from((0xfe80 << 112) | n as u128);
        Pong {
            token,
            from: SocketAddrV6::new(ip, 5000, 0, 1),
            at: Instant::now(),
        }
    }

    /// Peers whose applications answer by hand do so at the control port, and several may at once.
    #[test]
    fn pongs_that_are_left_for_a_discovery_are_one_for_each_peer_and_limited() {
        let (context, pool) = (context(), PingSocketPool::default());
        let socket = pool.acquire(&context, None).unwrap();
        socket.expect(7).unwrap();
        assert!(!socket.deliver(pong(8, 1)), "nobody waits for that");
        for n in 0..2 * MAX_DELIVERED {
            assert_eq!(socket.deliver(pong(7, n)), n < MAX_DELIVERED, "{n}");
            assert!(socket.deliver(pong(7, 0)), "it is there already");
        }
        let mut delivered = 0;
        while socket.take_delivered().is_some() {
            delivered += 1;
        }
        assert_eq!(delivered, MAX_DELIVERED);
        pool.release(&socket);
    }

    #[test]
    fn one_peer_leaves_no_more_pongs_than_there_are_pings_out() {
        let (context, pool) = (context(), PingSocketPool::default());
        let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1);
        let socket = pool.acquire(&context, Some(&peer)).unwrap();
        socket.expect(7).unwrap();
        for source in 1..1000 {
            let from = SocketAddrV6::new(Ipv6Addr::LOCALHOST, source, 0, 1);
            assert!(socket.deliver(Pong { from, ..pong(7, 0) }));
        }
        assert!(!socket.deliver(pong(7, 1)), "another address");
        assert!(socket.take_delivered().is_some() && socket.take_delivered().is_none());
        pool.release(&socket);
    }
}
