//! The state that the clones of a stream share, and the waiting that its calls have in common.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddrV6};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::breakage::{self, Breakage};
use super::figures::Figures;
use super::leftover::Leftover;
use super::listener;
use super::registry::End;
use super::silent::MayBeSilent;
use super::waited::{Waited, Work};
use super::wakers::StreamWakers;
use crate::address::{self, OwnPort};
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::link::Attempt;
use crate::spin::Spinning;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering};
use crate::sync::thread;
use crate::sys::poll::{wait, Interest};
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::tcp_info::has_carried_data;
use crate::sys::{socket, would_block};
use crate::transport::ThunderboltTransport;

/// What is more is part of a transfer: that is paced by the sender or the cable, and spinning for the
/// rest of it only takes processor time from the application.
const LITTLE: usize = 4096;

/// What the clones of a stream share.
pub(crate) struct Shared {
    pub(super) core: Arc<Core>,
    /// As handlers are lent it.
    pub(super) transport: ThunderboltTransport,
    pub(super) socket: Socket,
    pub(super) peer: String,
    pub(super) address: SocketAddrV6,
    id: u64,
    /// How long its peer may leave data unacknowledged; zero: as long as the system lets it.
    pub(super) dead_after: Duration,
    /// 0 while it is open, else an [`End`].
    ended: AtomicU8,
    /// Its call to `connect` is not finished.
    pub(super) connecting: AtomicBool,
    /// Calls under way.
    users: AtomicU32,
    /// Those of them that sleep until something is ready.
    sleepers: AtomicU32,
    /// A conversation: what was read last was little and came soon, or little was written since. What
    /// comes next is worth spinning for.
    lively: AtomicBool,
    /// When a peer opened it; never set on a stream that we opened.
    silence_watched: OnceLock<Instant>,
    breakage: Breakage,
    pub(super) figures: Figures,
    pub(super) leftover: Leftover,
    pub(super) wakers: StreamWakers,
}

/// A call on a stream, under way until it is dropped.
pub(super) struct Using<'a>(&'a Shared);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub(super) fn new(core: &Arc<Core>, id: u64, socket: Socket, address: SocketAddrV6) -> Self {
        // Bare: the port of the other end means nothing to a caller.
        let peer = address::format(
            &address,
            &core.link.name(),
            OwnPort::Configured(address.port()),
        );
        Self {
            core: Arc::clone(core),
            transport: ThunderboltTransport::lend(core),
            socket,
            peer,
            address,
            id,
            dead_after: core.live.stream_dead_after.get(),
            ended: AtomicU8::new(0),
            connecting: AtomicBool::new(false),
            users: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            lively: AtomicBool::new(false),
            silence_watched: OnceLock::new(),
            breakage: Breakage::default(),
            figures: Figures::default(),
            leftover: Leftover::default(),
            wakers: StreamWakers::default(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.connecting.load(Ordering::SeqCst)
    }

    /// Whether a call is under way.
    pub(super) fn is_used(&self) -> bool {
        self.users() > 0
    }

    fn users(&self) -> u32 {
        self.users.load(Ordering::SeqCst)
    }

    pub(super) fn ended(&self) -> Option<End> {
        End::from_number(self.ended.load(Ordering::SeqCst))
    }

    /// Begins a call.
    pub(super) fn enter(&self) -> Result<Using<'_>> {
        let using = self.enter_to_read()?;
        match self.ended() {
            None => Ok(using),
            Some(_) => Err(self.end_error()),
        }
    }

    /// The same for calls that may still read what had arrived before the interface went away.
    pub(super) fn enter_to_read(&self) -> Result<Using<'_>> {
        // Counted before looking: who ends the stream looks the other way round.
        self.users.fetch_add(1, Ordering::SeqCst);
        let using = Using(self);
        match self.ended() {
            None | Some(End::LinkGone) => Ok(using),
            Some(_) => Err(self.end_error()),
        }
    }

    /// Ends the stream, once; false when it had ended before.
    pub(crate) fn end(&self, end: End) -> bool {
        let ended = self
            .ended
            .compare_exchange(0, end as u8, Ordering::SeqCst, Ordering::SeqCst);
        if ended.is_err() {
            return false;
        }
        self.core.streams.release(self.id);
        // The connection is closed with the last reference, but the peer is to learn of it now.
        // It fails for a connection that the peer has ended already.
        match end {
            End::Detached => {}
            End::GaveWay | End::Rejected => socket::abort(&self.socket),
            End::LinkGone => {
                // There is nobody to say goodbye to; the kernel need not try for minutes.
                listener::reset(&self.socket);
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            End::Closed | End::TransportClosed => {
                let _ = self.socket.shutdown(Shutdown::Both);
            }
        }
        self.wakers.wake();
        // Who sleeps may wait for a file and not for the socket.
        let awake = || self.sleepers.load(Ordering::SeqCst) == 0;
        if !awake() {
            self.core.streams.nudge_until(awake);
        }
        true
    }

    /// Why calls fail on a stream that has ended.
    pub(super) fn end_error(&self) -> TransportError {
        match self.ended() {
            Some(End::LinkGone) => {
                let reason = format!("the stream with {} ended with the link", self.other_end());
                self.core.link.down(&reason)
            }
            Some(End::TransportClosed) => TransportError::Shutdown,
            Some(End::GaveWay) => TransportError::connection_failed(
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

    /// The error of a failed system call; who ended the stream is the better reason, and so is what
    /// broke it before.
    pub(super) fn failed(&self, action: &str, error: io::Error) -> TransportError {
        if self.ended().is_some() {
            return self.end_error();
        }
        let error = self.breakage.explain(error, &self.socket, || self.users());
        let action = format!("{action} {}", self.other_end());
        self.core.failed(Attempt::Connection, action, error)
    }

    /// The peer with its port, for texts.
    fn other_end(&self) -> String {
        self.core.endpoint(&self.address)
    }

    /// Whether nothing goes in either direction any more.
    pub(super) fn is_broken(&self) -> bool {
        breakage::is_gone(&self.socket)
    }

    /// What a read of nothing means: that the peer has ended the stream, or an error, because we
    /// have, or because the connection broke.
    pub(super) fn end_of_stream(&self) -> Result<()> {
        if self.ended().is_some() {
            return Err(self.end_error());
        }
        match self.breakage.instead_of_end(&self.socket, || self.users()) {
            None => Ok(()),
            Some(error) => Err(self.failed("cannot read from", error)),
        }
    }

    /// Waits until the socket is ready, or the stream has ended.
    pub(super) fn wait(&self, interest: Interest<'_>, waited: &mut Waited) -> Result<()> {
        self.wait_for(interest, waited, "")
    }

    /// The same for a file beside it.
    pub(super) fn wait_file(&self, interest: Interest<'_>, waited: &mut Waited) -> Result<()> {
        self.wait_for(interest, waited, ": the file was waited for, not the peer")
    }

    fn wait_for(&self, interest: Interest<'_>, waited: &mut Waited, why: &str) -> Result<()> {
        // Counted before looking: who ends the stream looks the other way round.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let waited = self.wait_counted(interest, waited, why);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        waited
    }

    fn wait_counted(&self, interest: Interest<'_>, waited: &mut Waited, why: &str) -> Result<()> {
        let deadline = waited.deadline();
        loop {
            if self.ended().is_some() {
                return Err(self.end_error());
            }
            let nudge = Interest::readable(self.core.streams.nudge_fd());
            let mut interests = [interest.clone(), nudge];
            match wait(&mut interests, deadline) {
                Ok(true) if interests[0].is_ready() => return Ok(()),
                // Another stream's nudge. Sleeping lets its thread go on, whatever our priority.
                Ok(true) => thread::sleep(Duration::from_micros(50)),
                Ok(false) => return Err(waited.expired(&self.other_end(), why)),
                Err(error) => return Err(self.failed("cannot wait for", error)),
            }
        }
    }

    /// Reads at least one byte; 0 is the end of the stream.
    pub(super) fn read(
        &self,
        buf: &mut ReadBuffer<'_>,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let _using = self.enter_to_read()?;
        let mut waited = Waited::new(timeout, Work::Read);
        let mut waiting: Option<Spinning<'_>> = None;
        loop {
            if let Some(count) = self.read_entered(buf)? {
                if let Some(wait) = waiting {
                    let lively = wait.found(Instant::now()) && count <= LITTLE;
                    self.lively.store(lively, Ordering::Relaxed);
                }
                return Ok(count);
            }
            let wait = waiting.get_or_insert_with(|| self.core.spin.begin(waited.deadline()));
            if self.lively.load(Ordering::Relaxed) && wait.again() {
                continue;
            }
            self.wait(Interest::readable(self.socket.as_fd()), &mut waited)?;
        }
    }

    /// Fills `buf`, up to the end of the stream.
    pub(super) fn read_exact(
        &self,
        buf: &mut ReadBuffer<'_>,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let _using = self.enter_to_read()?;
        let mut waited = Waited::new(timeout, Work::ReadExact(buf.size() as u64));
        while !buf.is_full() {
            match self.read_entered(buf)? {
                Some(0) => return Ok(()),
                Some(count) => waited.done += count as u64,
                None => self.wait(Interest::readable(self.socket.as_fd()), &mut waited)?,
            }
        }
        Ok(())
    }

    /// Reads what is there: 0 bytes at the end of the stream, `None` when there is nothing yet.
    #[inline]
    pub(super) fn read_entered(&self, buf: &mut ReadBuffer<'_>) -> Result<Option<usize>> {
        if buf.is_full() {
            return Ok(Some(0));
        }
        if !self.leftover.is_empty() {
            let count = self.leftover.take(buf);
            // Nothing when another reader was faster, which is not the end of the stream.
            if count > 0 {
                self.count_received(count);
                return Ok(Some(count));
            }
        }
        loop {
            match buf.receive(self.socket.as_fd()) {
                Ok(0) => return self.end_of_stream().map(|()| Some(0)),
                Ok(count) => {
                    self.count_received(count);
                    return Ok(Some(count));
                }
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("cannot read from", error)),
            }
        }
    }

    pub(super) fn write(
        &self,
        data: &[u8],
        timeout: Option<Duration>,
        count: &mut u64,
    ) -> Result<()> {
        let _using = self.enter()?;
        self.writes(data.len());
        let mut waited = Waited::new(timeout, Work::Write(data.len() as u64));
        self.write_entered(data, &mut waited, count)
    }

    pub(super) fn write_vectored(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
        count: &mut u64,
    ) -> Result<()> {
        let _using = self.enter()?;
        // Pieces may share their memory, so the sum may exceed what memory can hold.
        let size = pieces.iter().map(|piece| piece.len());
        let size = size.fold(0, usize::saturating_add);
        self.writes(size);
        let mut waited = Waited::new(timeout, Work::Write(size as u64));
        // What is empty would otherwise be sent.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let sent = self.send(&mut waited, || {
                socket::send_vectored(self.socket.as_fd(), pieces)
            })?;
            *count += sent as u64;
            waited.done += sent as u64;
            IoSlice::advance_slices(&mut pieces, sent);
        }
        Ok(())
    }

    /// A little is part of a conversation: an answer may come soon.
    fn writes(&self, size: usize) {
        if size <= LITTLE && !self.lively.load(Ordering::Relaxed) {
            self.lively.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn write_entered(
        &self,
        data: &[u8],
        waited: &mut Waited,
        count: &mut u64,
    ) -> Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let sent = self.send(waited, || socket::send(self.socket.as_fd(), rest))?;
            *count += sent as u64;
            waited.done += sent as u64;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends as much as the socket takes, and waits until it takes something.
    fn send(&self, waited: &mut Waited, send: impl Fn() -> io::Result<usize>) -> Result<usize> {
        loop {
            if let Some(sent) = self.send_entered(&send)? {
                return Ok(sent);
            }
            self.wait(Interest::writable(self.socket.as_fd()), waited)?;
        }
    }

    /// What a non-blocking send comes to: the bytes that the socket took, `None` when it has no room.
    #[inline]
    pub(super) fn send_entered(
        &self,
        send: impl Fn() -> io::Result<usize>,
    ) -> Result<Option<usize>> {
        loop {
            match send() {
                Ok(sent) => {
                    self.count_sent(sent);
                    return Ok(Some(sent));
                }
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("cannot write to", error)),
            }
        }
    }

    /// Counts bytes that were received, when they are given to the caller or written to a file.
    pub(super) fn count_received(&self, count: usize) {
        self.figures.received(count);
        let received = self.core.counters.stream_bytes_received.shard();
        received.add(count as u64);
        self.core.heard_from(self.address.ip(), Instant::now);
    }

    /// The kernel has taken as many bytes to send.
    pub(super) fn count_sent(&self, count: usize) {
        self.figures.sent(count);
        let sent = self.core.counters.stream_bytes_sent.shard();
        sent.add(count as u64);
        self.core.streams.watched.written(&self.core);
    }
}

impl MayBeSilent for Shared {
    fn is_silent(&self) -> bool {
        // What cannot be asked has ended.
        self.ended().is_none() && has_carried_data(&self.socket).is_ok_and(|any| !any)
    }

    fn watched_since(&self) -> Option<Instant> {
        self.silence_watched.get().copied()
    }

    fn watch_since(&self, now: Instant) {
        let _ = self.silence_watched.set(now);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // It was given back already when the stream was ended.
        if self.ended().is_none() {
            self.core.streams.release(self.id);
        }
    }
}

#[cfg(all(loom, test))]
mod models;
