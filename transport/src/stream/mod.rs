//! Data streams: TCP connections whose calls wait with a deadline and can be cancelled.

mod breakage;
mod connecting;
mod figures;
mod files;
mod leftover;
pub(crate) mod listener;
mod options;
pub(crate) mod registry;
mod shared;
mod silent;
pub(crate) mod stall;
mod waited;
mod wakers;

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::log::log;
use crate::stats::Counter;
use crate::sys::poll::Deadline;
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::thread::wait_until;
use crate::sys::{file, socket};
use crate::{Progress, ThunderboltTransport};
pub use figures::StreamStats;
use files::Transfer;
use options::{change_silence, configure};
use registry::End;
use shared::Shared;
use waited::Work;
#[cfg(feature = "async")]
pub(crate) use wakers::Direction;

/// A bidirectional stream of bytes to a peer.
///
/// A clone is another reference to the same stream; the last one to be dropped closes it. All
/// calls take `&self`: a read and a write may run at the same time on different threads. Reading
/// and writing (`Read`, `Write`) wait without limit; the `_timeout` calls say how long.
#[derive(Clone)]
pub struct DataStream {
    shared: Arc<Shared>,
}

impl DataStream {
    fn new(core: &Arc<Core>, id: u64, socket: Socket, peer: &SocketAddrV6) -> Result<Self> {
        let shared = Arc::new(Shared::new(core, id, socket, *peer));
        // From here on dropping it gives the place back.
        if core.streams.register(id, Arc::downgrade(&shared)) {
            Ok(Self { shared })
        } else {
            Err(TransportError::Shutdown)
        }
    }

    /// Takes a connection from the listener, from which it has its options.
    pub(crate) fn accepted(
        core: &Arc<Core>,
        id: u64,
        socket: Socket,
        peer: &SocketAddrV6,
    ) -> Result<Self> {
        let stream = Self::new(core, id, socket, peer)?;
        stream.shared.figures.opened();
        if core.live.dead_after_changed.load(Ordering::Acquire) {
            let shared = &stream.shared;
            let keep_alive = core.settings.config.tcp_keepalive;
            change_silence(&shared.socket, shared.dead_after, keep_alive);
        }
        core.streams.watch_silence(&stream.shared);
        core.heard_from(peer.ip(), Instant::now);
        core.counters.cold.connections_accepted.increment();
        log!(core.log, Debug, "stream from {} accepted", stream.peer());
        Ok(stream)
    }

    /// Connects to the data port of a peer.
    pub(crate) fn open(core: &Arc<Core>, peer: &str, timeout: Option<Duration>) -> Result<Self> {
        core.count(Self::try_open(core, peer, timeout))
    }

    fn try_open(core: &Arc<Core>, peer: &str, timeout: Option<Duration>) -> Result<Self> {
        let deadline = Deadline::after(timeout);
        let stream = Self::unconnected(core, peer)?;
        let to = stream.shared.address;
        stream.shared.connect(&to, deadline, timeout)?;
        stream.note_opened();
        Ok(stream)
    }

    /// A stream that is about to be connected to the data port of a peer.
    pub(crate) fn unconnected(core: &Arc<Core>, peer: &str) -> Result<Self> {
        if core.is_closing() {
            return Err(TransportError::Shutdown);
        }
        let to = core.resolve(peer, core.own_data_port())?;
        if to.ip().is_multicast() {
            return Err(TransportError::invalid_address(
                peer,
                "a stream goes to one peer, and this is a multicast address",
            ));
        }
        core.link.check()?;
        let id = core.streams.reserve()?;
        let interface = core.link.name();
        let prepared = socket::tcp(&interface)
            .map_err(|error| core.cannot_bind_device(&interface, error))
            .and_then(|socket| configure(&socket, core).map(|()| socket));
        match prepared {
            Ok(socket) => Self::new(core, id, socket, &to),
            Err(error) => {
                core.streams.release(id);
                Err(error)
            }
        }
    }

    pub(crate) fn note_opened(&self) {
        let core = &self.shared.core;
        self.shared.figures.opened();
        core.heard_from(self.shared.address.ip(), Instant::now);
        core.counters.cold.connections_initiated.increment();
        log!(core.log, Debug, "stream to {} opened", self.peer());
    }

    /// The peer's address, `fe80::…%thunderbolt0`.
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// The address and port of the other end, with the interface's index as the scope.
    pub fn peer_address(&self) -> SocketAddrV6 {
        self.shared.address
    }

    /// The transport that the stream belongs to, lent. A stream does not keep it open, and a handler of
    /// streams need not capture a reference. For later use there is
    /// [`downgrade`](ThunderboltTransport::downgrade).
    pub fn transport(&self) -> &ThunderboltTransport {
        &self.shared.transport
    }

    /// A number that this stream has for its whole life, and no other stream of its transport ever has.
    /// Clones have the same, so it can be the key of a map in which a program keeps what belongs to its
    /// streams. (The C interface has a pointer for that. A safe one here would be a map, too.)
    pub fn id(&self) -> u64 {
        self.shared.id()
    }

    /// What this stream has done, and the state of its connection. Never blocks; a stream that was closed, or
    /// whose connection broke, still tells.
    pub fn stats(&self) -> StreamStats {
        self.shared.figures.stats(&self.shared.socket)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.shared.socket
    }

    /// Reads at least one byte; 0 is the end of the stream (or an empty `buf`). Waits for up to
    /// `timeout`, `None` without limit, zero not at all.
    ///
    /// # Errors
    ///
    /// [`Timeout`](TransportError::Timeout), [`WouldBlock`](TransportError::WouldBlock),
    /// [`Cancelled`](TransportError::Cancelled), [`Shutdown`](TransportError::Shutdown),
    /// [`ConnectionFailed`](TransportError::ConnectionFailed),
    /// [`LinkDown`](TransportError::LinkDown).
    pub fn read_timeout(&self, buf: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        Ok(self.read_into(buf.into(), timeout)?.len())
    }

    /// The same into memory that nobody has written to yet, which saves doing so. Returns its part that
    /// has been read into.
    ///
    /// # Errors
    ///
    /// Those of [`read_timeout`](Self::read_timeout).
    pub fn read_uninit_timeout<'b>(
        &self,
        buf: &'b mut [MaybeUninit<u8>],
        timeout: Option<Duration>,
    ) -> Result<&'b mut [u8]> {
        self.read_into(buf.into(), timeout)
    }

    fn read_into<'b>(
        &self,
        mut buf: ReadBuffer<'b>,
        timeout: Option<Duration>,
    ) -> Result<&'b mut [u8]> {
        let read = self.shared.read(&mut buf, timeout);
        self.shared.core.count(read)?;
        Ok(buf.into_filled())
    }

    /// Fills `buf`, within `timeout` for all of it: `None` without limit, zero with what is there. A
    /// count below its length without an error is the end of the stream. The count is exact on errors
    /// too, and what was read is in `buf`. Errors are those of [`read_timeout`](Self::read_timeout).
    ///
    /// Several threads that read from one stream may each get a part of what the others wait for.
    pub fn read_exact_timeout(&self, buf: &mut [u8], timeout: Option<Duration>) -> Progress {
        self.fill(buf.into(), timeout)
    }

    /// The same into memory that nobody has written to yet. The first `count` bytes of `buf` are
    /// initialised then.
    pub fn read_exact_uninit_timeout(
        &self,
        buf: &mut [MaybeUninit<u8>],
        timeout: Option<Duration>,
    ) -> Progress {
        self.fill(buf.into(), timeout)
    }

    fn fill(&self, mut buf: ReadBuffer<'_>, timeout: Option<Duration>) -> Progress {
        let outcome = self.shared.read_exact(&mut buf, timeout);
        let count = buf.filled() as u64;
        self.shared.core.count_progress(Progress { count, outcome })
    }

    /// Writes all of `data`, or as much as the time allows; the count is exact either way. Errors
    /// are those of [`read_timeout`](Self::read_timeout).
    pub fn write_timeout(&self, data: &[u8], timeout: Option<Duration>) -> Progress {
        let mut count = 0;
        let outcome = self.shared.write(data, timeout, &mut count);
        self.shared.core.count_progress(Progress { count, outcome })
    }

    /// The same for several pieces, as if they were one. The slices are advanced over what was
    /// written ([`IoSlice::advance_slices`]).
    pub fn write_vectored_timeout(
        &self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Progress {
        let mut count = 0;
        let outcome = self.shared.write_vectored(pieces, timeout, &mut count);
        self.shared.core.count_progress(Progress { count, outcome })
    }

    /// Sends `count` bytes of `file` from `offset`, in the kernel where that is possible
    /// (sendfile(2), splice(2)). A count below that without an error is the end of the file. The
    /// file's own position stays where it was.
    ///
    /// Pipes, sockets and terminals have no offset: it must be 0, and they are read from where
    /// they are. `timeout` is for the whole call. What a terminal or other character device gave
    /// and the peer did not take when the call fails is lost; of all other files nothing is.
    pub fn send_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        count: u64,
        timeout: Option<Duration>,
    ) -> Progress {
        Transfer::new(&self.shared, file, offset, count, timeout, Work::SendFile).send()
    }

    /// Receives `count` bytes into `file` at `offset`, in the kernel where that is possible. A
    /// count below that without an error is the end of the stream.
    ///
    /// Pipes, sockets and terminals have no offset: it must be 0. Bytes that the file could not
    /// take (a full disk) are not lost: the next read gives them.
    pub fn receive_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        count: u64,
        timeout: Option<Duration>,
    ) -> Progress {
        Transfer::new(
            &self.shared,
            file,
            offset,
            count,
            timeout,
            Work::ReceiveFile,
        )
        .receive()
    }

    /// Ends our direction: the peer reads the end of the stream, and we may go on reading.
    pub fn finish(&self) -> Result<()> {
        let shared = &self.shared;
        let finished = shared.enter().and_then(|_using| {
            let shut = shared.socket.shutdown(Shutdown::Write);
            shut.map_err(|error| shared.failed("cannot finish the stream to", error))
        });
        shared.core.count(finished)
    }

    /// Whether all later calls fail.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended().is_some()
    }

    /// Closes the stream. Calls that wait on it, and all later ones, fail with
    /// [`Cancelled`](TransportError::Cancelled). Written data still reaches the peer.
    pub fn close(&self) {
        self.shared.end(End::Closed);
    }

    /// Ends a stream that a peer opened and did not use as it has to: resets it, counts it among
    /// the [`rejected`](crate::Stats::rejected) and logs why. Nothing happens when it has ended.
    pub fn reject(&self, why: fmt::Arguments<'_>) {
        self.reset_because(&self.shared.core.counters.cold.rejected.malformed, why);
    }

    /// Ends a stream that has to make room for others: resets it, counts it in
    /// [`rejected_max_streams`](crate::Stats::rejected_max_streams) and logs why. Nothing happens when it
    /// has ended.
    pub fn give_way(&self, why: fmt::Arguments<'_>) {
        let max_streams = &self.shared.core.counters.cold.rejected.max_streams;
        self.reset_because(max_streams, why);
    }

    /// Ends the stream and resets the connection, so that the peer learns that what it sent was not taken.
    /// Calls on the stream fail as after [`close`](Self::close).
    pub fn reset(&self) {
        self.shared.end(End::Rejected);
    }

    fn reset_because(&self, counter: &Counter, why: fmt::Arguments<'_>) {
        let core = &self.shared.core;
        // Counted before the peer learns of it.
        counter.increment();
        if !self.shared.end(End::Rejected) {
            counter.decrement();
            return;
        }
        if let Some(suppressed) = core.streams.malformed.pass() {
            log!(
                core.log,
                Warn,
                "reset the stream from {}: {why}{suppressed}",
                self.peer()
            );
        }
    }

    /// Takes the connection out of the transport: the descriptor is the caller's, in blocking
    /// mode. All references to this stream are closed. Waits until calls on other threads have
    /// returned: they wake at once, but one inside a read or write of a file's disk goes on as long as
    /// that takes.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage`](TransportError::InvalidMessage) while bytes wait that a failed
    /// [`receive_file`](Self::receive_file) left: read them first;
    /// [`TooManyFiles`](TransportError::TooManyFiles); [`Cancelled`](TransportError::Cancelled).
    pub fn detach(&self) -> Result<OwnedFd> {
        self.shared.core.count(self.take_out())
    }

    fn take_out(&self) -> Result<OwnedFd> {
        let shared = &self.shared;
        drop(shared.enter()?);
        if !shared.leftover.is_empty() {
            return Err(TransportError::InvalidMessage(
                "bytes that a file could not take are waiting: read them before detaching".into(),
            ));
        }
        let failed = |error| shared.failed("cannot detach the stream to", error);
        let detached = shared.socket.as_fd().try_clone_to_owned().map_err(failed)?;
        if !shared.end(End::Detached) {
            return Err(shared.end_error());
        }
        // Who sleeps has been woken. Nobody must take a byte of what is the caller's from now on.
        wait_until(|| !shared.is_used());
        file::set_blocking(&detached).map_err(failed)?;
        Ok(detached)
    }
}

impl Read for &DataStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_timeout(buf, None)?)
    }
}

impl Write for &DataStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.write_timeout(data, None);
        match written.outcome {
            Err(error) if written.count == 0 => Err(error.into()),
            // What is wrong comes again with the next call.
            _ => Ok(written.count as usize),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for DataStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for DataStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for DataStream {
    /// For poll(2). Reading or writing it directly bypasses the statistics and timeouts.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }
}

impl fmt::Debug for DataStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataStream")
            .field("peer", &self.shared.peer)
            .field("ended", &self.shared.ended())
            .finish()
    }
}
