//! Socket options of data streams.

use std::io;
use std::time::Duration;

use socket2::{Domain, Socket, TcpKeepalive, Type};

use crate::bind::enlarge_buffer;
use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::stats::Counter;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::socket::{self, BufferOption};

/// SO_SNDBUF that carries one stream at full speed. More only displaces the cache, and a fixed
/// receive buffer would switch the kernel's better tuning off (tcp(7), docs/TUNING.md).
const BEST_SEND_BUFFER: usize = 4 << 20;

/// The options that are chosen for all streams of a transport when its listener is opened.
#[derive(Default)]
pub(super) struct StreamOptions {
    /// The size of each stream's send buffer in bytes. 0: the kernel tunes it.
    pub send_buffer: Counter,
    /// Whether the system's congestion control paces segments, as for shared paths.
    paced: AtomicBool,
}

impl StreamOptions {
    /// Chooses them for a listener on `interface`.
    pub fn choose(&self, context: &Context, listener: &Socket, interface: &str) {
        self.send_buffer
            .set(choose_send_buffer(context, interface) as u64);
        self.paced.store(is_paced(listener), Ordering::Relaxed);
    }

    /// Sets the options of a data stream before it is connected.
    pub fn configure(&self, socket: &Socket, context: &Context) -> Result<()> {
        let settings = &context.settings;
        let failed =
            |option, value| move |source| TransportError::socket_option(option, value, &source);
        if settings.config.tcp_nodelay {
            let set = socket.set_tcp_nodelay(true);
            set.map_err(failed("TCP_NODELAY", &1))?;
        }
        let dead_after = context.live.stream_dead_after.get();
        if settings.config.tcp_keepalive {
            let set = socket.set_tcp_keepalive(&keepalive(dead_after));
            set.map_err(failed("SO_KEEPALIVE", &1))?;
        }
        if self.paced.load(Ordering::Relaxed) {
            choose_congestion_control(socket);
        }
        let send_buffer = self.send_buffer.get() as usize;
        if send_buffer > 0 {
            // It was granted when the transport started. Without it streams are slower, but work.
            if socket::force_buffer(socket, BufferOption::Send, send_buffer).is_err() {
                let _ = socket.set_send_buffer_size(send_buffer);
            }
        }
        Ok(())
    }
}

/// The send buffer for streams: the requested size, if it is granted in full. Once it is set, the kernel no longer
/// tunes it, so a size below what the kernel would reach by itself is never set.
fn choose_send_buffer(context: &Context, interface: &str) -> usize {
    let wanted = BEST_SEND_BUFFER;
    if context.settings.config.buffer_size < wanted {
        return 0;
    }
    let granted = socket::tcp(interface)
        .map(|probe| enlarge_buffer(&probe, BufferOption::Send, wanted))
        .unwrap_or(0);
    if granted >= wanted {
        wanted
    } else {
        0
    }
}

/// Congestion controls that fit a cable, best first. BBR, the default of some systems, paces its
/// segments to share a path with strangers: on a cable that only costs throughput (docs/TUNING.md).
const UNPACED: [&str; 2] = ["cubic", "reno"];

/// Whether streams need another congestion control than the default of this socket.
fn is_paced(socket: &Socket) -> bool {
    socket
        .tcp_congestion()
        .is_ok_and(|name| name.starts_with(b"bbr"))
}

fn choose_congestion_control(socket: &Socket) {
    for name in UNPACED {
        // It fails if the kernel does not have it, or does not allow it to this user.
        if socket.set_tcp_congestion(name.as_bytes()).is_ok() {
            return;
        }
    }
}

/// The longest TCP_KEEPIDLE and TCP_KEEPINTVL that the kernel accepts, in seconds (MAX_TCP_KEEPIDLE in
/// include/net/tcp.h).
const MAX_KEEPALIVE: u64 = 32_767;

/// Lets the kernel end the connection when the peer leaves data unacknowledged for this time. 0 keeps the system's
/// default.
pub(super) fn set_user_timeout(socket: &Socket, dead_after: Duration) -> Result<()> {
    if dead_after.is_zero() {
        return Ok(());
    }
    socket
        .set_tcp_user_timeout(Some(dead_after))
        .map_err(|source| {
            TransportError::socket_option("TCP_USER_TIMEOUT", dead_after.as_millis(), &source)
        })
}

/// Replaces the limit that an accepted connection inherited from its listener. An option that cannot be set keeps its
/// value.
pub(super) fn change_user_timeout(socket: &Socket, dead_after: Duration, keep_alive: bool) {
    let limit = Some(dead_after).filter(|time| !time.is_zero());
    let _ = socket.set_tcp_user_timeout(limit);
    if !keep_alive {
        return;
    }
    let times = match limit {
        Some(_) => Ok(keepalive(dead_after)),
        None => system_keepalive(),
    };
    let _ = times.and_then(|times| socket.set_tcp_keepalive(&times));
}

/// The keepalive times of the system, which a new socket has.
fn system_keepalive() -> io::Result<TcpKeepalive> {
    let new = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    Ok(TcpKeepalive::new()
        .with_time(new.tcp_keepalive_time()?)
        .with_interval(new.tcp_keepalive_interval()?))
}

/// Probes that begin early enough to notice a dead peer within `dead_after`. With a user timeout set, the timeout
/// decides and not the number of probes (tcp(7)).
fn keepalive(dead_after: Duration) -> TcpKeepalive {
    if dead_after.is_zero() {
        return TcpKeepalive::new();
    }
    let seconds = |part: Duration| Duration::from_secs(part.as_secs().clamp(1, MAX_KEEPALIVE));
    TcpKeepalive::new()
        .with_time(seconds(dead_after / 2))
        .with_interval(seconds(dead_after / 10))
}
