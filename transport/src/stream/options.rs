//! Socket options of data streams.

use std::io;
use std::time::Duration;

use socket2::{Domain, Socket, TcpKeepalive, Type};

use crate::control::bind::enlarge_buffer;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::sys::socket::{self, BufferOption};

/// SO_SNDBUF that carries one stream at full speed. More only displaces the cache, and a fixed
/// receive buffer would switch the kernel's better tuning off (tcp(7), docs/TUNING.md).
const BEST_SEND_BUFFER: usize = 4 << 20;

/// The send buffer for streams: what is asked for, where it is granted in full. Once set, the
/// kernel does not tune it any more, so less than it would reach by itself is never set.
pub(super) fn choose_send_buffer(core: &Core, interface: &str) -> usize {
    let wanted = BEST_SEND_BUFFER;
    if core.settings.config.buffer_size < wanted {
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

/// Whether streams need another congestion control than they would have.
pub(super) fn is_paced(socket: &Socket) -> bool {
    socket
        .tcp_congestion()
        .is_ok_and(|name| name.starts_with(b"bbr"))
}

fn choose_congestion_control(socket: &Socket) {
    for name in UNPACED {
        // What this kernel does not have, or does not allow to this user, stays as it is.
        if socket.set_tcp_congestion(name.as_bytes()).is_ok() {
            return;
        }
    }
}

/// The kernel takes no longer TCP_KEEPIDLE and TCP_KEEPINTVL, in seconds (MAX_TCP_KEEPIDLE in include/net/tcp.h).
const LONGEST_KEEPALIVE: u64 = 32_767;

/// Ends the stream when the peer leaves data unacknowledged for as long as is configured.
pub(super) fn limit_silence(socket: &Socket, dead_after: Duration) -> Result<()> {
    if dead_after.is_zero() {
        return Ok(());
    }
    socket
        .set_tcp_user_timeout(Some(dead_after))
        .map_err(|source| {
            TransportError::socket_option("TCP_USER_TIMEOUT", dead_after.as_millis(), &source)
        })
}

/// Gives an accepted connection this limit in place of that of its listener. What fails stays as it is.
pub(super) fn change_silence(socket: &Socket, dead_after: Duration, keep_alive: bool) {
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

/// The times of the system, which a new socket has.
fn system_keepalive() -> io::Result<TcpKeepalive> {
    let new = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    Ok(TcpKeepalive::new()
        .with_time(new.tcp_keepalive_time()?)
        .with_interval(new.tcp_keepalive_interval()?))
}

/// Sets what a data stream is configured to have, before it is connected.
pub(super) fn configure(socket: &Socket, core: &Core) -> Result<()> {
    let settings = &core.settings;
    let failed =
        |option, value| move |source| TransportError::socket_option(option, value, &source);
    if settings.config.tcp_nodelay {
        let set = socket.set_tcp_nodelay(true);
        set.map_err(failed("TCP_NODELAY", &1))?;
    }
    let dead_after = core.live.stream_dead_after.get();
    if settings.config.tcp_keepalive {
        let set = socket.set_tcp_keepalive(&keepalive(dead_after));
        set.map_err(failed("SO_KEEPALIVE", &1))?;
    }
    if core.streams.is_paced() {
        choose_congestion_control(socket);
    }
    let send_buffer = core.streams.send_buffer.get() as usize;
    if send_buffer > 0 {
        // Asked for and granted when the transport started; losing it costs speed, not function.
        if socket::force_buffer(socket, BufferOption::Send, send_buffer).is_err() {
            let _ = socket.set_send_buffer_size(send_buffer);
        }
    }
    Ok(())
}

/// Probes that begin in time for a silent peer to be noticed within `dead_after`: with a user
/// timeout set, that and not the number of probes decides (tcp(7)).
fn keepalive(dead_after: Duration) -> TcpKeepalive {
    if dead_after.is_zero() {
        return TcpKeepalive::new();
    }
    let seconds = |part: Duration| Duration::from_secs(part.as_secs().clamp(1, LONGEST_KEEPALIVE));
    TcpKeepalive::new()
        .with_time(seconds(dead_after / 2))
        .with_interval(seconds(dead_after / 10))
}
