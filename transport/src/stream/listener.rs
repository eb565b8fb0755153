//! Accepting data streams: limits, refusals, and a thread for each handler call.

use std::fmt;
use std::io;
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::options::{choose_send_buffer, configure, is_paced, limit_silence};
use super::DataStream;
use crate::control::bind::{cannot_bind_device, cannot_bind_port};
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::log::log;
use crate::stats::Counter;
use crate::sys::poll::Deadline;
use crate::sys::{socket, would_block};
use crate::throttle::Throttle;

/// Connections that may wait to be accepted. A short queue loses SYNs, and each costs its peer a
/// second; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;
/// How long to leave a listener alone that has connections which cannot be accepted.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that are taken before the accepting thread looks at what else there is.
const AT_ONCE: usize = 64;

/// A listener on the data port of `interface`.
pub(crate) fn open(core: &Core, interface: &str) -> Result<Socket> {
    let socket = socket::tcp(interface).map_err(|error| cannot_bind_device(interface, error))?;
    // Connections of an earlier run in TIME_WAIT do not keep the port; another listener does.
    socket
        .set_reuse_address(true)
        .map_err(|source| TransportError::socket_option("SO_REUSEADDR", 1, &source))?;
    let port = core.streams.port();
    socket::bind_port(&socket, port)
        .and_then(|()| socket::local_port(&socket))
        .map(|port| core.streams.set_port(port))
        .and_then(|()| socket.listen(BACKLOG))
        .map_err(|error| cannot_bind_port("TCP data", interface, port, error))?;
    core.streams
        .send_buffer
        .set(choose_send_buffer(core, interface) as u64);
    core.streams.set_paced(is_paced(&socket));
    // Accepted connections inherit these.
    configure(&socket, core)?;
    limit_silence(&socket, core.live.stream_dead_after.get())?;
    Ok(socket)
}

/// Takes connections, and gets by without descriptors.
pub(crate) struct Acceptor {
    /// Given up for a moment to take and reset a connection when there are no descriptors left:
    /// left alone, it would keep the listener readable for ever.
    spare: Option<OwnedFd>,
    paused_until: Option<Instant>,
    refused: Throttle,
    failed: Throttle,
}

impl Acceptor {
    pub fn new() -> Self {
        Self {
            spare: spare(),
            paused_until: None,
            refused: Throttle::default(),
            failed: Throttle::default(),
        }
    }

    /// Whether to wait for connections.
    pub fn is_ready(&self) -> bool {
        self.paused_until
            .is_none_or(|until| Instant::now() >= until)
    }

    /// When to look again at a listener that is left alone.
    pub fn pause(&self) -> Deadline {
        match self.paused_until {
            Some(until) if !self.is_ready() => Deadline::At(until),
            _ => Deadline::Never,
        }
    }

    /// Takes connections that wait. A flood of them does not keep us from the link's news.
    pub fn accept(&mut self, core: &Arc<Core>, listener: &Socket) {
        for _ in 0..AT_ONCE {
            if core.is_closing() {
                return;
            }
            match socket::accept(listener.as_fd()) {
                Ok((socket, from)) => self.admit(core, socket, from),
                Err(error) if would_block(&error) => break,
                Err(error) => {
                    if !self.recover(core, listener, error) {
                        break;
                    }
                }
            }
        }
        self.take_spare();
    }

    /// Has a spare descriptor again, if there is one to be had.
    pub fn take_spare(&mut self) {
        self.spare = self.spare.take().or_else(spare);
    }

    /// Gives the spare descriptor up for something else; false when there is none.
    pub fn give_up_spare(&mut self) -> bool {
        self.spare.take().is_some()
    }

    fn admit(&mut self, core: &Arc<Core>, socket: Socket, from: SocketAddrV6) {
        let reasons = &core.counters.cold.rejected;
        if !core.serves(from.ip()) {
            let hint = core.settings.hint(" (allow_any_source serves all)");
            let why = format_args!("neither link-local nor loopback{hint}");
            return self.refuse(core, socket, &from, &reasons.source, &why);
        }
        match core.streams.reserve_accepted() {
            Ok((id, gave_way)) => {
                if let Some(stream) = gave_way {
                    reasons.silent.increment();
                    core.inbox.drop_ended_streams();
                    let hint = core.settings.hint(" (max_silent_streams, silent_after_ms)");
                    let peer = &stream.peer;
                    let what = format_args!(
                        "the stream with {peer} was silent, and gave way to another one{hint}"
                    );
                    self.log_refused(core, &what);
                }
                if let Ok(stream) = DataStream::accepted(core, id, socket, &from) {
                    self.hand_over(core, stream);
                }
            }
            Err(TransportError::TooManySilentStreams { max }) => {
                let hint = core.settings.hint(" (max_silent_streams)");
                let why = format_args!("{max} streams are open that have said nothing yet{hint}");
                self.refuse(core, socket, &from, &reasons.silent, &why);
            }
            Err(TransportError::TooManyStreams { max }) => {
                let hint = core.settings.hint(" (max_streams)");
                let why = format_args!("{max} data streams are open{hint}");
                self.refuse(core, socket, &from, &reasons.max_streams, &why);
            }
            // The transport closes.
            Err(TransportError::Shutdown) => {}
            // No memory.
            Err(error) => self.refuse(core, socket, &from, &reasons.resources, &error),
        }
    }

    fn refuse(
        &mut self,
        core: &Core,
        socket: Socket,
        from: &SocketAddrV6,
        reason: &Counter,
        why: &dyn fmt::Display,
    ) {
        // Counted before the peer learns of it.
        reason.increment();
        reset(&socket);
        drop(socket);
        self.log_refused(core, &format_args!("refused a stream from {from}: {why}"));
    }

    fn log_refused(&mut self, core: &Core, what: &dyn fmt::Display) {
        if let Some(suppressed) = self.refused.pass() {
            log!(core.log, Warn, "{what}{suppressed}");
        }
    }

    /// Gives a stream to the handler, on a thread of its own, or queues it for `accept`.
    fn hand_over(&mut self, core: &Arc<Core>, stream: DataStream) {
        if !core.on_stream.is_set() {
            return core.inbox.push_stream(stream);
        }
        let handled = stream.clone();
        let started = core.spawn("dcf-tb-stream", move |core| match core.on_stream.enter() {
            Some(running) => core.call(&running, |handler| handler(handled)),
            None => core.inbox.push_stream(handled),
        });
        let Err(error) = started else {
            return;
        };
        reset(stream.socket());
        core.count_error(&error);
        if matches!(error, TransportError::Shutdown) {
            return;
        }
        core.counters.cold.rejected.resources.increment();
        if let Some(suppressed) = self.failed.pass() {
            log!(
                core.log,
                Error,
                "reset the stream from {}: {error}{suppressed}",
                stream.peer()
            );
        }
    }

    /// Streams that came before there was a handler.
    pub fn hand_over_queued(&mut self, core: &Arc<Core>) {
        while core.on_stream.is_set() {
            match core.inbox.pop_stream() {
                Some(stream) => self.hand_over(core, stream),
                None => return,
            }
        }
    }

    /// After a failed accept: whether to go on with the next connection.
    fn recover(&mut self, core: &Core, listener: &Socket, error: io::Error) -> bool {
        let errno = error.raw_os_error();
        // The connection was gone before it was taken; accept(2) says to go on.
        if matches!(errno, Some(libc::EINTR | libc::ECONNABORTED | libc::EPROTO)) {
            return true;
        }
        let cold = &core.counters.cold;
        let mut was_reset = false;
        if matches!(errno, Some(libc::EMFILE | libc::ENFILE)) && self.give_up_spare() {
            match socket::accept(listener.as_fd()) {
                Ok((socket, _)) => {
                    // Counted before the peer learns of it.
                    cold.rejected.resources.increment();
                    cold.errors.increment();
                    reset(&socket);
                    was_reset = true;
                }
                // The kernel looks for a descriptor first, and then whether there is a connection.
                Err(nobody) if would_block(&nobody) => {
                    self.take_spare();
                    return false;
                }
                Err(_) => {}
            }
            self.take_spare();
        }
        if !was_reset {
            cold.errors.increment();
        }
        if let Some(suppressed) = self.failed.pass() {
            log!(
                core.log,
                Error,
                "cannot accept a stream: {error}{suppressed}"
            );
        }
        if was_reset && self.spare.is_some() {
            return true;
        }
        self.paused_until = Some(Instant::now() + PAUSE);
        false
    }
}

fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

/// Makes closing the socket reset the connection, so that the peer knows at once.
pub(crate) fn reset(socket: &Socket) {
    // It fails for no socket that is open.
    let _ = socket.set_linger(Some(Duration::ZERO));
}
