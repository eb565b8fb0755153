//! The public type of a stream.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Core, ThunderboltTransport};
use crate::error::Result;
use crate::log::log;
use crate::progress::Progress;
use crate::stats::Counter;
use crate::stream::{CloseReason, Stream, StreamStats, Transfer, Work};
use crate::sys::read_buffer::ReadBuffer;

/// A bidirectional stream of bytes to a peer.
///
/// A clone is another reference to the same stream; the last one to be dropped closes it. All
/// calls take `&self`: a read and a write may run at the same time on different threads. Reading
/// and writing (`Read`, `Write`) wait without limit; the `_timeout` calls say how long.
pub struct DataStream {
    stream: Arc<Stream>,
    /// Lent to the application.
    transport: ThunderboltTransport,
}

impl Clone for DataStream {
    fn clone(&self) -> Self {
        Self::new(self.transport.core(), Arc::clone(&self.stream))
    }
}

impl DataStream {
    pub(crate) fn new(core: &Arc<Core>, stream: Arc<Stream>) -> Self {
        Self {
            stream,
            transport: ThunderboltTransport::lend(core),
        }
    }

    /// Connects to the data port of a peer.
    pub(crate) fn open(core: &Arc<Core>, peer: &str, timeout: Option<Duration>) -> Result<Self> {
        let opened = Stream::open(&core.context, &core.streams, peer, timeout);
        Ok(Self::new(core, core.context.count(opened)?))
    }

    /// The peer's address, `fe80::…%thunderbolt0`.
    pub fn peer(&self) -> &str {
        &self.stream.peer
    }

    /// The address and port of the other end, with the interface's index as the scope.
    pub fn peer_address(&self) -> SocketAddrV6 {
        self.stream.address
    }

    /// The transport that the stream belongs to, lent. A stream does not keep it open, and a handler of
    /// streams need not capture a reference. For later use there is
    /// [`downgrade`](ThunderboltTransport::downgrade).
    pub fn transport(&self) -> &ThunderboltTransport {
        &self.transport
    }

    /// A number that this stream has for its whole life, and no other stream of its transport ever has.
    /// Clones have the same, so it can be the key of a map in which a program keeps what belongs to its
    /// streams. (The C interface has a pointer for that. A safe one here would be a map, too.)
    pub fn id(&self) -> u64 {
        self.stream.id
    }

    /// The counters of this stream, and the state of its connection. It never blocks, and works for a stream that was
    /// closed or whose connection broke.
    pub fn stats(&self) -> StreamStats {
        self.stream.stats()
    }

    /// The stream itself.
    #[cfg(feature = "async")]
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Reads at least one byte; 0 is the end of the stream (or an empty `buf`). Waits for up to
    /// `timeout`, `None` without limit, zero not at all.
    ///
    /// # Errors
    ///
    /// [`Timeout`](crate::TransportError::Timeout), [`WouldBlock`](crate::TransportError::WouldBlock),
    /// [`Cancelled`](crate::TransportError::Cancelled), [`Shutdown`](crate::TransportError::Shutdown),
    /// [`ConnectionFailed`](crate::TransportError::ConnectionFailed),
    /// [`LinkDown`](crate::TransportError::LinkDown).
    pub fn read_timeout(&self, buf: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        Ok(self.read_into(buf.into(), timeout)?.len())
    }

    /// As [`read_timeout`](Self::read_timeout), into uninitialised memory, which saves writing to it first. Returns the
    /// part that was read into.
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
        let read = self.stream.read(&mut buf, timeout);
        self.stream.context.count(read)?;
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

    /// As [`read_exact_timeout`](Self::read_exact_timeout), into uninitialised memory. The first `count` bytes of `buf`
    /// are initialised then.
    pub fn read_exact_uninit_timeout(
        &self,
        buf: &mut [MaybeUninit<u8>],
        timeout: Option<Duration>,
    ) -> Progress {
        self.fill(buf.into(), timeout)
    }

    fn fill(&self, mut buf: ReadBuffer<'_>, timeout: Option<Duration>) -> Progress {
        self.progress(|count| {
            let outcome = self.stream.read_exact(&mut buf, timeout);
            *count = buf.filled() as u64;
            outcome
        })
    }

    /// Makes a call that counts how far it got, and counts its failure.
    fn progress(&self, call: impl FnOnce(&mut u64) -> Result<()>) -> Progress {
        let mut count = 0;
        let outcome = call(&mut count);
        self.stream
            .context
            .count_progress(Progress { count, outcome })
    }

    /// Writes all of `data`, or as much as the time allows; the count is exact either way. Errors
    /// are those of [`read_timeout`](Self::read_timeout).
    pub fn write_timeout(&self, data: &[u8], timeout: Option<Duration>) -> Progress {
        self.progress(|count| self.stream.write(data, timeout, count))
    }

    /// As [`write_timeout`](Self::write_timeout), for several pieces as if they were one. The slices are advanced over what was
    /// written ([`IoSlice::advance_slices`]).
    pub fn write_vectored_timeout(
        &self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Progress {
        self.progress(|count| self.stream.write_vectored(pieces, timeout, count))
    }

    /// Sends `count` bytes of `file` from `offset`, in the kernel where that is possible
    /// (sendfile(2), splice(2)). A count below that without an error is the end of the file. The
    /// file's own position stays where it was.
    ///
    /// Pipes, sockets and terminals have no offset: it must be 0, and they are read from where
    /// they are. `timeout` is for the whole call. If the call fails, bytes that were read from a terminal or other
    /// character device and not sent are lost; those of all other files are not.
    pub fn send_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        count: u64,
        timeout: Option<Duration>,
    ) -> Progress {
        Transfer::new(&self.stream, file, offset, count, timeout, Work::SendFile).send()
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
            &self.stream,
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
        self.stream.context.count(self.stream.finish())
    }

    /// Closes the stream. Calls that wait on it, and all later ones, fail with
    /// [`Cancelled`](crate::TransportError::Cancelled). Written data still reaches the peer.
    pub fn close(&self) {
        self.stream.end(CloseReason::Closed);
    }

    /// Ends a stream that a peer opened and did not use as it has to: resets it, counts it among
    /// the [`rejected`](crate::Stats::rejected) and logs why. On a stream that has ended it has no effect.
    pub fn reject(&self, why: fmt::Arguments<'_>) {
        self.reset_because(&self.stream.context.counters.cold.rejected.malformed, why);
    }

    /// Ends a stream that has to make room for others: resets it, counts it in
    /// [`rejected_max_streams`](crate::Stats::rejected_max_streams) and logs why. Nothing happens when it
    /// has ended.
    pub fn give_way(&self, why: fmt::Arguments<'_>) {
        let max_streams = &self.stream.context.counters.cold.rejected.max_streams;
        self.reset_because(max_streams, why);
    }

    /// Ends the stream and resets the connection, so that the peer learns that what it sent was not taken.
    /// Calls on the stream fail as after [`close`](Self::close).
    pub fn reset(&self) {
        self.stream.end(CloseReason::Rejected);
    }

    fn reset_because(&self, counter: &Counter, why: fmt::Arguments<'_>) {
        let context = &self.stream.context;
        // Counted before the peer learns of it.
        counter.increment();
        if !self.stream.end(CloseReason::Rejected) {
            counter.decrement();
            return;
        }
        if let Some(suppressed) = self.stream.streams.malformed.pass() {
            log!(
                context.log,
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
    /// [`InvalidMessage`](crate::TransportError::InvalidMessage) while bytes wait that a failed
    /// [`receive_file`](Self::receive_file) left: read them first;
    /// [`TooManyFiles`](crate::TransportError::TooManyFiles); [`Cancelled`](crate::TransportError::Cancelled).
    pub fn detach(&self) -> Result<OwnedFd> {
        self.stream.context.count(self.stream.detach())
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
            // The next call reports the error again.
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
        self.stream.socket.as_fd()
    }
}

impl fmt::Debug for DataStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataStream")
            .field("peer", &self.stream.peer)
            .field("ended", &self.stream.close_reason())
            .finish()
    }
}
