//! The state that the clones of a stream share, and the waiting that its calls have in common.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddrV6};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use super::breakage::Breakage;
use super::registry::End;
use super::silent::MayBeSilent;
use super::{listener, options};
use crate::address;
use crate::core::Core;
use crate::error::{expired, Result, TransportError};
use crate::handlers::lock;
use crate::spin::Spinning;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering};
use crate::sync::{thread, Mutex};
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::{memory, socket, would_block};

/// What is more is part of a transfer: that is paced by the sender or the cable, and spinning for the
/// rest of it only takes processor time from the application.
const LITTLE: usize = 4096;

/// What the clones of a stream share.
pub(crate) struct Shared {
    pub(super) core: Arc<Core>,
    pub(super) socket: Socket,
    pub(super) peer: String,
    pub(super) address: SocketAddrV6,
    id: u64,
    /// 0 while it is open, else an [`End`].
    ended: AtomicU8,
    /// Its call to `connect` is not finished.
    connecting: AtomicBool,
    /// Calls under way.
    users: AtomicU32,
    /// Those of them that sleep until something is ready.
    sleepers: AtomicU32,
    /// A conversation: what was read last was little and came soon, or little was written since. What
    /// comes next is worth spinning for.
    lively: AtomicBool,
    breakage: Breakage,
    pub(super) leftover: Leftover,
}

/// Bytes that were taken from the socket and not delivered: a file could not take them. The next
/// read gives them.
#[derive(Default)]
pub(super) struct Leftover {
    any: AtomicBool,
    bytes: Mutex<Vec<u8>>,
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
        let peer = address::format(&address, &core.link.name(), address.port());
        Self {
            core: Arc::clone(core),
            socket,
            peer,
            address,
            id,
            ended: AtomicU8::new(0),
            connecting: AtomicBool::new(false),
            users: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            lively: AtomicBool::new(false),
            breakage: Breakage::default(),
            leftover: Leftover::default(),
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
        self.users.load(Ordering::SeqCst) > 0
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
                let reason = format!("the stream with {} ended with the link", self.peer);
                self.core.link.down(&reason)
            }
            Some(End::TransportClosed) => TransportError::Shutdown,
            Some(End::GaveWay) => TransportError::ConnectionFailed {
                action: format!(
                    "the stream with {} was silent, and gave way to another one \
                     (max_silent_streams, silent_after)",
                    self.peer
                ),
                source: io::Error::from_raw_os_error(libc::ECONNABORTED),
            },
            _ => TransportError::Cancelled,
        }
    }

    /// The error of a failed system call; who ended the stream is the better reason, and so is what
    /// broke it before.
    pub(super) fn failed(&self, action: &str, error: io::Error) -> TransportError {
        if self.ended().is_some() {
            return self.end_error();
        }
        let error = self.breakage.explain(error, &self.socket);
        let action = format!("{action} {}", self.peer);
        TransportError::from_os(action, &self.core.link.name(), error)
    }

    /// What a read of nothing means: that the peer has ended the stream, or an error, because we
    /// have, or because the connection broke.
    pub(super) fn end_of_stream(&self) -> Result<()> {
        if self.ended().is_some() {
            return Err(self.end_error());
        }
        let others = || self.users.load(Ordering::SeqCst) > 1;
        match self.breakage.instead_of_end(&self.socket, others) {
            None => Ok(()),
            Some(error) => Err(self.failed("cannot read from", error)),
        }
    }

    /// Waits until the socket, or a file beside it, is ready, or the stream has ended.
    pub(super) fn wait(&self, interest: Interest<'_>, waited: &mut Waited) -> Result<()> {
        // Counted before looking: who ends the stream looks the other way round.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let waited = self.wait_counted(interest, waited);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        waited
    }

    fn wait_counted(&self, interest: Interest<'_>, waited: &mut Waited) -> Result<()> {
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
                Ok(false) => {
                    return Err(expired(
                        format!("stream with {}", self.peer),
                        waited.timeout,
                    ))
                }
                Err(error) => return Err(self.failed("cannot wait for", error)),
            }
        }
    }

    /// Connects, and waits until that is done.
    pub(super) fn connect(
        &self,
        to: &SocketAddrV6,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<()> {
        // Set before the link is looked at: who takes the link down looks the other way round.
        self.connecting.store(true, Ordering::SeqCst);
        let connected = self
            .core
            .link
            .check()
            .and_then(|()| self.wait_until_connected(to, deadline, timeout));
        self.connecting.store(false, Ordering::SeqCst);
        connected
    }

    fn wait_until_connected(
        &self,
        to: &SocketAddrV6,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<()> {
        const ACTION: &str = "cannot open a stream to";
        let _using = self.enter()?;
        let too_long = |after| TransportError::Timeout {
            what: format!("{ACTION} {}", self.peer),
            after,
        };
        let start = Instant::now();
        match self.socket.connect(&SockAddr::from(*to)) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Not an address but a port is missing, while the interface has one.
            Err(source) if no_port_left(&source) && self.core.link.is_up() => {
                let action = format!(
                    "{ACTION} {}: all local ports are in use or wait for the end of earlier \
                     connections to it (net.ipv4.ip_local_port_range)",
                    self.peer
                );
                return Err(TransportError::Io { action, source });
            }
            Err(error) if self.ended().is_none() => {
                return Err(self.core.failed_to("cannot open a stream", to, error));
            }
            Err(_) => return Err(self.end_error()),
            Ok(()) => {}
        }
        let mut waited = Waited {
            timeout,
            deadline: Some(deadline),
        };
        let connected = self.wait(Interest::writable(self.socket.as_fd()), &mut waited);
        connected.map_err(|error| match error {
            TransportError::Timeout { after, .. } => too_long(after),
            other => other,
        })?;
        match self.socket.take_error() {
            Ok(None) if self.ended().is_some() => Err(self.end_error()),
            // Only now: a SYN may be tried for as long as the caller waits.
            Ok(None) => options::limit_silence(&self.socket, &self.core),
            // The kernel gave up before the caller did.
            Ok(Some(error)) if error.raw_os_error() == Some(libc::ETIMEDOUT) => {
                Err(too_long(start.elapsed()))
            }
            Ok(Some(error)) | Err(error) => Err(self.failed(ACTION, error)),
        }
    }

    pub(super) fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        let _using = self.enter_to_read()?;
        if buf.is_empty() {
            return Ok(0);
        }
        if !self.leftover.is_empty() {
            let count = self.leftover.take(buf);
            // Nothing when another reader was faster, which is not the end of the stream.
            if count > 0 {
                self.count_received(count);
                return Ok(count);
            }
        }
        let mut waited = Waited::new(timeout);
        let mut waiting: Option<Spinning<'_>> = None;
        loop {
            match socket::receive(self.socket.as_fd(), buf) {
                Ok(0) => return self.end_of_stream().map(|()| 0),
                Ok(count) => {
                    if let Some(wait) = waiting {
                        let lively = wait.found(Instant::now()) && count <= LITTLE;
                        self.lively.store(lively, Ordering::Relaxed);
                    }
                    self.count_received(count);
                    return Ok(count);
                }
                Err(error) if would_block(&error) => {
                    let wait =
                        waiting.get_or_insert_with(|| self.core.spin.begin(waited.deadline()));
                    if self.lively.load(Ordering::Relaxed) && wait.again() {
                        continue;
                    }
                    self.wait(Interest::readable(self.socket.as_fd()), &mut waited)?;
                }
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
        self.write_entered(data, &mut Waited::new(timeout), count)
    }

    pub(super) fn write_vectored(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
        count: &mut u64,
    ) -> Result<()> {
        let _using = self.enter()?;
        self.writes(pieces.iter().map(|piece| piece.len()).sum());
        let mut waited = Waited::new(timeout);
        // What is empty would otherwise be sent.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let sent = socket::send_vectored(self.socket.as_fd(), pieces);
            let sent = self.sent(sent, &mut waited, count)?;
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
            let sent = socket::send(self.socket.as_fd(), rest);
            rest = &rest[self.sent(sent, waited, count)?..];
        }
        Ok(())
    }

    /// What a non-blocking send came to: the bytes that the socket took, or 0 when it is time to try
    /// again.
    fn sent(&self, sent: io::Result<usize>, waited: &mut Waited, count: &mut u64) -> Result<usize> {
        match sent {
            Ok(sent) => {
                *count += sent as u64;
                self.count_sent(sent);
                return Ok(sent);
            }
            Err(error) if would_block(&error) => {
                self.wait(Interest::writable(self.socket.as_fd()), waited)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(self.failed("cannot write to", error)),
        }
        Ok(0)
    }

    /// Counts bytes that were received, when they are given to the caller or written to a file.
    pub(super) fn count_received(&self, count: usize) {
        let received = self.core.counters.stream_bytes_received.shard();
        received.add(count as u64);
        self.core.heard.note(self.address.ip(), Instant::now);
    }

    /// The kernel has taken as many bytes to send.
    pub(super) fn count_sent(&self, count: usize) {
        let sent = self.core.counters.stream_bytes_sent.shard();
        sent.add(count as u64);
        self.core.streams.watched.written(&self.core);
    }
}

impl MayBeSilent for Shared {
    fn is_silent(&self) -> bool {
        // What cannot be asked has ended.
        self.ended().is_none() && socket::has_carried_data(&self.socket).is_ok_and(|any| !any)
    }
}

fn no_port_left(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EADDRNOTAVAIL)
}

impl Drop for Shared {
    fn drop(&mut self) {
        // It was given back already when the stream was ended.
        if self.ended().is_none() {
            self.core.streams.release(self.id);
        }
    }
}

impl Leftover {
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Makes room for as many bytes as are `put` next.
    pub(super) fn reserve(&self, count: usize) -> Result<()> {
        let room = lock(&self.bytes).try_reserve(count);
        room.map_err(|_| memory::exhausted("cannot keep what a file may not take"))
    }

    pub(super) fn put(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).extend_from_slice(bytes);
            self.any.store(true, Ordering::Release);
        }
    }

    pub(super) fn put_back(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.bytes).splice(..0, bytes.iter().copied());
            self.any.store(true, Ordering::Release);
        }
    }

    pub(super) fn take(&self, buf: &mut [u8]) -> usize {
        let mut bytes = lock(&self.bytes);
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        bytes.drain(..count);
        self.any.store(!bytes.is_empty(), Ordering::Release);
        count
    }
}

/// The time limit of a call. The clock is first read when there is something to wait for.
pub(super) struct Waited {
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
}

impl Waited {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            deadline: None,
        }
    }

    fn deadline(&mut self) -> Deadline {
        *self
            .deadline
            .get_or_insert_with(|| Deadline::after(self.timeout))
    }
}

#[cfg(all(loom, test))]
mod models;
