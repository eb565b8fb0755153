//! Reading and writing.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::call_limit::{CallLimit, Work};
use super::connection::Stream;
use crate::error::Result;
use crate::spin::Spinning;
use crate::sync::atomic::Ordering;
use crate::sys::poll::Interest;
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::{socket, would_block};

/// Larger reads and writes are bulk transfer. The sender or the cable paces those, so spinning for the rest would only
/// take processor time from the application.
const SMALL: usize = 4096;

impl Stream {
    /// Reads at least one byte; 0 is the end of the stream.
    pub fn read(&self, buf: &mut ReadBuffer<'_>, timeout: Option<Duration>) -> Result<usize> {
        let _call = self.enter_to_read()?;
        let mut limit = CallLimit::new(timeout, Work::Read);
        let mut waiting: Option<Spinning<'_>> = None;
        loop {
            if let Some(count) = self.read_entered(buf)? {
                if let Some(wait) = waiting {
                    let spin_next = wait.found(Instant::now()) && count <= SMALL;
                    self.spin_next.store(spin_next, Ordering::Relaxed);
                }
                return Ok(count);
            }
            let wait = waiting.get_or_insert_with(|| self.context.spin.begin(limit.deadline()));
            if self.spin_next.load(Ordering::Relaxed) && wait.again() {
                continue;
            }
            self.wait(Interest::readable(self.socket.as_fd()), &mut limit)?;
        }
    }

    /// Fills `buf`, up to the end of the stream.
    pub fn read_exact(&self, buf: &mut ReadBuffer<'_>, timeout: Option<Duration>) -> Result<()> {
        let _call = self.enter_to_read()?;
        let mut limit = CallLimit::new(timeout, Work::ReadExact(buf.size() as u64));
        while !buf.is_full() {
            match self.read_entered(buf)? {
                Some(0) => return Ok(()),
                Some(count) => limit.done += count as u64,
                None => self.wait(Interest::readable(self.socket.as_fd()), &mut limit)?,
            }
        }
        Ok(())
    }

    /// Reads the available bytes: 0 at the end of the stream, `None` if none are available yet.
    #[inline]
    pub(super) fn read_entered(&self, buf: &mut ReadBuffer<'_>) -> Result<Option<usize>> {
        if buf.is_full() {
            return Ok(Some(0));
        }
        if !self.unread.is_empty() {
            let count = self.unread.take(buf);
            // It is 0 if another reader was faster, which is not the end of the stream.
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

    pub fn write(&self, data: &[u8], timeout: Option<Duration>, count: &mut u64) -> Result<()> {
        let _call = self.enter()?;
        self.expect_answer(data.len());
        let mut limit = CallLimit::new(timeout, Work::Write(data.len() as u64));
        self.write_entered(data, &mut limit, count)
    }

    pub fn write_vectored(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
        count: &mut u64,
    ) -> Result<()> {
        let _call = self.enter()?;
        // Pieces may share their memory, so the sum may exceed the address space.
        let size = pieces.iter().map(|piece| piece.len());
        let size = size.fold(0, usize::saturating_add);
        self.expect_answer(size);
        let mut limit = CallLimit::new(timeout, Work::Write(size as u64));
        // Without this, empty pieces would be sent.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let sent = self.send(&mut limit, || {
                socket::send_vectored(self.socket.as_fd(), pieces)
            })?;
            *count += sent as u64;
            limit.done += sent as u64;
            IoSlice::advance_slices(&mut pieces, sent);
        }
        Ok(())
    }

    /// A small write is part of a conversation: the answer may come soon.
    fn expect_answer(&self, size: usize) {
        if size <= SMALL && !self.spin_next.load(Ordering::Relaxed) {
            self.spin_next.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn write_entered(
        &self,
        data: &[u8],
        limit: &mut CallLimit,
        count: &mut u64,
    ) -> Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let sent = self.send(limit, || socket::send(self.socket.as_fd(), rest))?;
            *count += sent as u64;
            limit.done += sent as u64;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends as much as the socket takes, and waits until it takes at least one byte.
    fn send(&self, limit: &mut CallLimit, send: impl Fn() -> io::Result<usize>) -> Result<usize> {
        loop {
            if let Some(sent) = self.send_entered(&send)? {
                return Ok(sent);
            }
            self.wait(Interest::writable(self.socket.as_fd()), limit)?;
        }
    }

    /// The result of a non-blocking send: the bytes that the socket took, `None` if it has no room.
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

    /// Counts received bytes when they are returned to the caller or written to a file.
    pub(super) fn count_received(&self, count: usize) {
        self.counts.received(count);
        let received = self.context.counters.stream_bytes_received.shard();
        received.add(count as u64);
        self.context.record_seen(self.address.ip(), Instant::now);
    }

    /// Counts bytes that the kernel took to send.
    pub(super) fn count_sent(&self, count: usize) {
        self.counts.sent(count);
        let sent = self.context.counters.stream_bytes_sent.shard();
        sent.add(count as u64);
        self.streams
            .pending_data
            .written(&self.context.event_loop_wake);
    }
}
