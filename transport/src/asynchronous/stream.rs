//! Data streams for tokio tasks.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::within::within;
use crate::core::Core;
use crate::core::ThunderboltTransport;
use crate::data_stream::DataStream;
use crate::error::{Result, TransportError};
use crate::stream::{Direction, Stream, StreamStats};
use crate::sys::poll::Deadline;
use crate::sys::reactor::{self, Registered, StableFd};

/// A [`DataStream`] for tokio tasks, with [`AsyncRead`] and [`AsyncWrite`].
///
/// Statistics, limits and errors are those of the [`DataStream`], and the stream ends with the link
/// and with the transport. As with `Read` and `Write` of [`DataStream`], errors are [`io::Error`] with
/// a [`TransportError`] inside, which `?` extracts and [`TransportError::in_io`] borrows. The stream
/// belongs to the runtime in which it was created.
///
/// **Cancellation.** Dropping the future of any call loses no data. The poll that takes bytes from the
/// socket also returns them to the caller, and the poll that sends bytes also returns their number.
/// Tokio's `read_exact` and `write_all` make several calls; their documentation says what cancellation
/// of them loses.
///
/// **Ending.** If another owner ends the stream (a clone of the [`DataStream`], the closing transport,
/// or the link), the tasks that wait on it wake up. Dropping it closes the stream if there are no
/// clones. Data that was written before still reaches the peer.
///
/// One task may read while another writes, by `tokio::io::split` or through `&AsyncDataStream`, which
/// also implements [`AsyncRead`] and [`AsyncWrite`]. If several tasks read, only the last one is woken.
pub struct AsyncDataStream {
    watched: AsyncFd<Registered<Claimed>>,
    /// Whether this side has ended its direction.
    finished: AtomicBool,
}

/// A stream that is claimed for one reactor until this is dropped.
struct Claimed(DataStream);

impl AsFd for Claimed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl StableFd for Claimed {}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.0.stream().release();
    }
}

impl AsyncDataStream {
    /// Registers a stream with the reactor of the current runtime.
    ///
    /// # Errors
    ///
    /// [`Io`](TransportError::Io) if a clone of the stream is registered already
    /// ([`AlreadyExists`](io::ErrorKind::AlreadyExists)), or if the system refuses to watch another
    /// descriptor. In both cases the stream is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in a runtime without IO (`enable_io`).
    pub fn new(stream: DataStream) -> Result<Self> {
        let failed = |peer: &str, source| {
            let action = format!("cannot wait for the stream with {peer} in an event loop");
            TransportError::io(action, source)
        };
        if !stream.stream().claim() {
            return Err(failed(stream.peer(), io::ErrorKind::AlreadyExists.into()));
        }
        let claimed = Claimed(stream);
        match reactor::watch(claimed, Interest::READABLE | Interest::WRITABLE) {
            Ok(watched) => Ok(Self {
                watched,
                finished: AtomicBool::new(false),
            }),
            Err((claimed, source)) => Err(failed(claimed.0.peer(), source)),
        }
    }

    pub(super) async fn open(
        core: &Arc<Core>,
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        core.context
            .count(Self::try_open(core, peer, timeout).await)
    }

    async fn try_open(core: &Arc<Core>, peer: &str, timeout: Option<Duration>) -> Result<Self> {
        let deadline = Deadline::after(timeout);
        let stream = Stream::unconnected(&core.context, &core.streams, peer)?;
        let connecting = stream.begin_connect_to_peer()?;
        // Register after the connect started: an unconnected socket reports that it is ready.
        let connected = Self::new(DataStream::new(core, Arc::clone(&stream)))?;
        let call = || stream.connected_now();
        let writable = poll_fn(|cx| connected.poll(cx, Direction::Write, call));
        match within(deadline, writable).await {
            Some(outcome) => outcome?,
            None => return Err(connecting.too_long(timeout)),
        }
        connecting.finish()?;
        stream.note_opened();
        Ok(connected)
    }

    /// The stream, for calls that do not block: [`close`](DataStream::close),
    /// [`reject`](DataStream::reject), [`detach`](DataStream::detach), and calls with a timeout of
    /// zero. Make blocking calls, such as [`send_file`](DataStream::send_file), on a thread of their
    /// own (`spawn_blocking`).
    pub fn get_ref(&self) -> &DataStream {
        &self.watched.get_ref().0
    }

    /// Removes the stream from the reactor and returns it.
    pub fn into_inner(self) -> DataStream {
        self.get_ref().clone()
    }

    /// The transport that the stream belongs to, as [`DataStream::transport`].
    pub fn transport(&self) -> &ThunderboltTransport {
        self.get_ref().transport()
    }

    /// The peer's address, `fe80::…%thunderbolt0`.
    pub fn peer(&self) -> &str {
        self.get_ref().peer()
    }

    /// The address and port of the other end, with the interface's index as the scope.
    pub fn peer_address(&self) -> SocketAddrV6 {
        self.get_ref().peer_address()
    }

    /// The same number as [`DataStream::id`].
    pub fn id(&self) -> u64 {
        self.get_ref().id()
    }

    /// Counters of this stream and the state of its connection, as [`DataStream::stats`].
    pub fn stats(&self) -> StreamStats {
        self.get_ref().stats()
    }

    /// Makes a non-blocking call as soon as the socket is ready or the stream has ended.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut call: impl FnMut() -> Result<Option<T>>,
    ) -> Poll<Result<T>> {
        let stream = self.get_ref().stream();
        let mut is_watched = false;
        loop {
            if stream.has_news(direction) {
                if let Some(done) = call()? {
                    return Poll::Ready(Ok(done));
                }
            }
            let ready = match direction {
                Direction::Read => self.watched.poll_read_ready(cx),
                Direction::Write => self.watched.poll_write_ready(cx),
            };
            match ready {
                Poll::Ready(ready) => {
                    let mut ready = ready.map_err(|source| {
                        let action = format!("cannot wait for the stream with {}", stream.peer);
                        TransportError::io(action, source)
                    })?;
                    if let Some(done) = call()? {
                        return Poll::Ready(Ok(done));
                    }
                    ready.clear_ready();
                }
                Poll::Pending if is_watched => return Poll::Pending,
                Poll::Pending => {
                    // Check again: the stream may have ended before the waker was registered.
                    stream.watch(direction, cx.waker());
                    is_watched = true;
                }
            }
        }
    }
}

impl TryFrom<DataStream> for AsyncDataStream {
    type Error = TransportError;

    /// The same as [`AsyncDataStream::new`].
    fn try_from(stream: DataStream) -> Result<Self> {
        Self::new(stream)
    }
}

impl From<AsyncDataStream> for DataStream {
    fn from(stream: AsyncDataStream) -> Self {
        stream.into_inner()
    }
}

impl AsyncRead for &AsyncDataStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = buf.initialize_unfilled();
        let call = || self.get_ref().stream().read_now(rest);
        let count = ready!(self.poll(cx, Direction::Read, call))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for &AsyncDataStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let call = || self.get_ref().stream().write_now(pieces);
        self.poll(cx, Direction::Write, call).map_err(Into::into)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Returns at once: the stream has no buffer of its own, so the kernel has all written data.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this side's direction, as [`DataStream::finish`]. Later calls have no effect.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished.swap(true, Ordering::Relaxed) {
            self.get_ref().finish()?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for AsyncDataStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_read(cx, buf)
    }
}

impl AsyncWrite for AsyncDataStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_shutdown(cx)
    }
}

impl fmt::Debug for AsyncDataStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncDataStream")
            .field(self.get_ref())
            .finish()
    }
}
