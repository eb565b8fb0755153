//! Accepting data streams: limits, refusals, and a thread for each call of the handler.

use std::fmt;
use std::io;
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::core::Core;
use crate::data_stream::DataStream;
use crate::error::TransportError;
use crate::log::log;
use crate::stats::Counter;
use crate::stream::Stream;
use crate::sys::poll::Deadline;
use crate::sys::{socket, would_block};
use crate::throttle::Throttle;

/// How long the listener is not polled after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);
/// The connections that are accepted before the event loop looks at other events.
const AT_ONCE: usize = 64;

/// Accepts connections, also without free descriptors.
pub(crate) struct Acceptor {
    /// Closed for a moment when there are no descriptors left, to accept and reset a connection. A connection that
    /// is never accepted would keep the listener readable for ever.
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

    /// Whether to poll the listener.
    pub fn is_ready(&self) -> bool {
        self.paused_until
            .is_none_or(|until| Instant::now() >= until)
    }

    /// When to poll the listener again.
    pub fn pause(&self) -> Deadline {
        match self.paused_until {
            Some(until) if !self.is_ready() => Deadline::At(until),
            _ => Deadline::Never,
        }
    }

    /// Accepts waiting connections. A flood of them does not keep the event loop from changes of the link.
    pub fn accept(&mut self, core: &Arc<Core>, listener: &Socket) {
        for _ in 0..AT_ONCE {
            if core.context.is_closing() {
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

    /// Opens the spare descriptor again if it was given up.
    pub fn take_spare(&mut self) {
        self.spare = self.spare.take().or_else(spare);
    }

    /// Closes the spare descriptor, for another use; false if there is none.
    pub fn give_up_spare(&mut self) -> bool {
        self.spare.take().is_some()
    }

    fn admit(&mut self, core: &Arc<Core>, socket: Socket, from: SocketAddrV6) {
        let reasons = &core.context.counters.cold.rejected;
        if !core.context.serves(from.ip()) {
            let hint = core.context.settings.hint(" (allow_any_source serves all)");
            let why = format_args!("neither link-local nor loopback{hint}");
            return self.refuse(core, socket, &from, &reasons.source, &why);
        }
        match core.streams.reserve_accepted() {
            Ok((id, evicted)) => {
                if let Some(stream) = evicted {
                    reasons.silent.increment();
                    core.inbox.drop_ended_streams();
                    let hint = core
                        .context
                        .settings
                        .hint(" (max_silent_streams, silent_after_ms)");
                    let peer = &stream.peer;
                    let what = format_args!(
                        "the stream with {peer} was silent, and gave way to another one{hint}"
                    );
                    self.log_refused(core, &what);
                }
                if let Ok(stream) =
                    Stream::accepted(&core.context, &core.streams, id, socket, &from)
                {
                    self.hand_over(core, stream);
                }
            }
            Err(TransportError::TooManySilentStreams { max }) => {
                let hint = core.context.settings.hint(" (max_silent_streams)");
                let why = format_args!("{max} streams of peers have carried no data yet{hint}");
                self.refuse(core, socket, &from, &reasons.silent, &why);
            }
            Err(TransportError::TooManyStreams { max }) => {
                let hint = core.context.settings.hint(" (max_streams)");
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
        socket::reset_on_close(&socket);
        drop(socket);
        self.log_refused(core, &format_args!("refused a stream from {from}: {why}"));
    }

    fn log_refused(&mut self, core: &Core, what: &dyn fmt::Display) {
        if let Some(suppressed) = self.refused.pass() {
            log!(core.context.log, Warn, "{what}{suppressed}");
        }
    }

    /// Gives a stream to the handler, on a thread of its own, or queues it for `accept`.
    fn hand_over(&mut self, core: &Arc<Core>, stream: Arc<Stream>) {
        if !core.handlers.on_stream.is_set() {
            return core.inbox.push_stream(stream);
        }
        let handled = Arc::clone(&stream);
        let started = core.spawn("dcf-tb-stream", move |core| {
            match core.handlers.on_stream.enter() {
                Some(call) => {
                    let stream = DataStream::new(core, handled);
                    core.call(&call, |handler| handler(stream));
                }
                None => core.inbox.push_stream(handled),
            }
        });
        let Err(error) = started else {
            return;
        };
        socket::reset_on_close(&stream.socket);
        core.context.count_error(&error);
        if matches!(error, TransportError::Shutdown) {
            return;
        }
        core.context.counters.cold.rejected.resources.increment();
        if let Some(suppressed) = self.failed.pass() {
            log!(
                core.context.log,
                Error,
                "reset the stream from {}: {error}{suppressed}",
                stream.peer
            );
        }
    }

    /// Gives the streams that came before there was a handler to it.
    pub fn hand_over_queued(&mut self, core: &Arc<Core>) {
        while core.handlers.on_stream.is_set() {
            match core.inbox.pop_stream() {
                Some(stream) => self.hand_over(core, stream),
                None => return,
            }
        }
    }

    /// Handles a failed accept. True: go on with the next connection.
    fn recover(&mut self, core: &Core, listener: &Socket, error: io::Error) -> bool {
        let errno = error.raw_os_error();
        // The connection was gone before it was accepted; accept(2) says to go on.
        if matches!(errno, Some(libc::EINTR | libc::ECONNABORTED | libc::EPROTO)) {
            return true;
        }
        let cold = &core.context.counters.cold;
        let mut was_reset = false;
        if matches!(errno, Some(libc::EMFILE | libc::ENFILE)) && self.give_up_spare() {
            match socket::accept(listener.as_fd()) {
                Ok((socket, _)) => {
                    // Counted before the peer learns of it.
                    cold.rejected.resources.increment();
                    cold.errors.increment();
                    socket::reset_on_close(&socket);
                    was_reset = true;
                }
                // The kernel takes a descriptor before it looks for a connection, and there was none.
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
                core.context.log,
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
