//! The state of a stream, and what all its calls have in common: beginning, waiting, ending.

use std::io;
use std::net::{Shutdown, SocketAddrV6};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::call_limit::CallLimit;
use super::close_reason::CloseReason;
use super::counts::{Counts, StreamStats};
use super::first_error::{self, ErrorLatch};
use super::registry::{Registered, Registry};
use super::silent::MayBeSilent;
use super::unread::Unread;
use super::wakers::StreamWakers;
use crate::address::{self, OwnPort};
use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::link::Attempt;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering};
use crate::sync::thread;
use crate::sys::poll::{wait, Interest};
use crate::sys::socket;
use crate::sys::tcp_info::has_carried_data;

/// The open streams of a transport.
pub(crate) type Streams = Registry<Stream>;

/// One stream. References to it share everything; the last one to be dropped closes the connection.
pub(crate) struct Stream {
    pub context: Arc<Context>,
    pub streams: Arc<Streams>,
    pub socket: Socket,
    pub peer: String,
    pub address: SocketAddrV6,
    /// Unique among the streams of the transport.
    pub id: u64,
    /// How long its peer may leave data unacknowledged; zero: the system decides.
    pub(super) dead_after: Duration,
    /// 0 while the stream is open, else a [`CloseReason`].
    close_reason: AtomicU8,
    /// The stream is being connected.
    pub(super) connecting: AtomicBool,
    /// Calls under way.
    users: AtomicU32,
    /// The calls of `users` that sleep until something is ready.
    sleepers: AtomicU32,
    /// In a conversation the next read should spin: the last read was small and came soon, or a small write followed.
    pub(super) spin_next: AtomicBool,
    /// When a peer opened it; never set on a stream that this side opened.
    silence_watched: OnceLock<Instant>,
    first_error: ErrorLatch,
    pub(super) counts: Counts,
    pub(super) unread: Unread,
    pub(super) wakers: StreamWakers,
}

/// A call on a stream, under way until this is dropped.
pub(crate) struct CallGuard<'a>(&'a Stream);

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stream {
    pub(super) fn new(
        context: &Arc<Context>,
        streams: &Arc<Streams>,
        id: u64,
        socket: Socket,
        address: SocketAddrV6,
    ) -> Self {
        // Omit the port: the peer's kernel chose it, so callers cannot use it.
        let peer = address::format(
            &address,
            &context.link.name(),
            OwnPort::Configured(address.port()),
        );
        Self {
            context: Arc::clone(context),
            streams: Arc::clone(streams),
            socket,
            peer,
            address,
            id,
            dead_after: context.live.stream_dead_after.get(),
            close_reason: AtomicU8::new(0),
            connecting: AtomicBool::new(false),
            users: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            spin_next: AtomicBool::new(false),
            silence_watched: OnceLock::new(),
            first_error: ErrorLatch::default(),
            counts: Counts::default(),
            unread: Unread::default(),
            wakers: StreamWakers::default(),
        }
    }

    /// Whether a call is under way.
    pub(super) fn is_used(&self) -> bool {
        self.users() > 0
    }

    fn users(&self) -> u32 {
        self.users.load(Ordering::SeqCst)
    }

    /// Why the stream takes no more calls, if it does not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        CloseReason::from_number(self.close_reason.load(Ordering::SeqCst))
    }

    /// Begins a call.
    pub(super) fn enter(&self) -> Result<CallGuard<'_>> {
        let call = self.enter_to_read()?;
        match self.close_reason() {
            None => Ok(call),
            Some(_) => Err(self.close_error()),
        }
    }

    /// As [`enter`](Self::enter), for calls that may still read what arrived before the interface went away.
    pub(super) fn enter_to_read(&self) -> Result<CallGuard<'_>> {
        // Counted before `close_reason` is read. `end` writes and reads in the opposite order, so one side sees the
        // other.
        self.users.fetch_add(1, Ordering::SeqCst);
        let call = CallGuard(self);
        match self.close_reason() {
            None | Some(CloseReason::LinkGone) => Ok(call),
            Some(_) => Err(self.close_error()),
        }
    }

    /// The counters of the stream, and the state of its connection.
    pub fn stats(&self) -> StreamStats {
        self.counts.stats(&self.socket)
    }

    /// Whether all later calls fail.
    pub fn has_ended(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Ends the stream, once; false if it had ended before.
    pub fn end(&self, reason: CloseReason) -> bool {
        let ended =
            self.close_reason
                .compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        if ended.is_err() {
            return false;
        }
        self.streams.release(self.id);
        // The connection is closed with the last reference, but the peer has to learn of it now. Shutting down
        // fails if the peer has ended the connection already.
        match reason {
            CloseReason::Detached => {}
            CloseReason::Evicted | CloseReason::Rejected => socket::abort(&self.socket),
            CloseReason::LinkGone => {
                // The peer cannot be reached, so the kernel need not retry for minutes.
                socket::reset_on_close(&self.socket);
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            CloseReason::Closed | CloseReason::TransportClosed => {
                let _ = self.socket.shutdown(Shutdown::Both);
            }
        }
        self.wakers.wake();
        // A sleeper may wait for a file and not for the socket.
        let awake = || self.sleepers.load(Ordering::SeqCst) == 0;
        if !awake() {
            self.streams.wake_all_until(awake);
        }
        true
    }

    /// Why calls fail on a stream that has ended.
    pub(super) fn close_error(&self) -> TransportError {
        match self.close_reason() {
            Some(CloseReason::LinkGone) => {
                let reason = format!("the stream with {} ended with the link", self.other_end());
                self.context.link.down(&reason)
            }
            Some(CloseReason::TransportClosed) => TransportError::Shutdown,
            Some(CloseReason::Evicted) => TransportError::connection_failed(
                format_args!(
                    "the stream with {} was silent, and gave way to another one \
                     (max_silent_streams, silent_after_ms)",
                    self.other_end()
                ),
                &io::Error::from_raw_os_error(libc::ECONNABORTED),
            ),
            _ => TransportError::Cancelled,
        }
    }

    /// The error of a failed system call. If the stream was closed, or had an earlier error, that is the reason.
    pub(super) fn failed(&self, action: &str, error: io::Error) -> TransportError {
        if self.has_ended() {
            return self.close_error();
        }
        let error = self.first_error.latch(error, &self.socket, || self.users());
        let action = format!("{action} {}", self.other_end());
        self.context.failed(Attempt::Connection, action, error)
    }

    /// The peer with its port, for error texts.
    fn other_end(&self) -> String {
        self.context.endpoint(&self.address)
    }

    /// Whether both directions of the connection have ended.
    pub(super) fn is_broken(&self) -> bool {
        first_error::is_gone(&self.socket)
    }

    /// Interprets a read of 0 bytes. It is the end of the stream if the peer has ended it. It is an error if this side
    /// closed the stream or the connection broke.
    pub(super) fn end_of_stream(&self) -> Result<()> {
        if self.has_ended() {
            return Err(self.close_error());
        }
        match self.first_error.error_or_eof(&self.socket, || self.users()) {
            None => Ok(()),
            Some(error) => Err(self.failed("cannot read from", error)),
        }
    }

    /// Waits until the socket is ready. Fails if the stream ends.
    pub(super) fn wait(&self, interest: Interest<'_>, limit: &mut CallLimit) -> Result<()> {
        self.wait_for(interest, limit, "")
    }

    /// As [`wait`](Self::wait), for a file.
    pub(super) fn wait_file(&self, interest: Interest<'_>, limit: &mut CallLimit) -> Result<()> {
        self.wait_for(interest, limit, ": the file was waited for, not the peer")
    }

    fn wait_for(&self, interest: Interest<'_>, limit: &mut CallLimit, why: &str) -> Result<()> {
        // Counted before `close_reason` is read. `end` writes and reads in the opposite order, so one side sees the
        // other.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let waited = self.wait_counted(interest, limit, why);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        waited
    }

    fn wait_counted(&self, interest: Interest<'_>, limit: &mut CallLimit, why: &str) -> Result<()> {
        let deadline = limit.deadline();
        loop {
            if self.has_ended() {
                return Err(self.close_error());
            }
            let broadcast = Interest::readable(self.streams.broadcast_fd());
            let mut interests = [interest.clone(), broadcast];
            match wait(&mut interests, deadline) {
                Ok(true) if interests[0].is_ready() => return Ok(()),
                // The broadcast is for another stream. Sleeping lets its thread run, whatever the priorities are.
                Ok(true) => thread::sleep(Duration::from_micros(50)),
                Ok(false) => return Err(limit.expired(&self.other_end(), why)),
                Err(error) => return Err(self.failed("cannot wait for", error)),
            }
        }
    }
}

impl Registered for Stream {
    fn end(&self, reason: CloseReason) -> bool {
        Self::end(self, reason)
    }

    fn is_connecting(&self) -> bool {
        self.connecting.load(Ordering::SeqCst)
    }
}

impl MayBeSilent for Stream {
    fn is_silent(&self) -> bool {
        // The query fails only for a stream that has ended.
        !self.has_ended() && has_carried_data(&self.socket).is_ok_and(|any| !any)
    }

    fn watched_since(&self) -> Option<Instant> {
        self.silence_watched.get().copied()
    }

    fn watch_since(&self, now: Instant) {
        let _ = self.silence_watched.set(now);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A stream that has ended has released its place already.
        if !self.has_ended() {
            self.streams.release(self.id);
        }
    }
}

#[cfg(all(loom, test))]
mod models;
