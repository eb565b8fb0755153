//! Files over streams: inside the kernel where that is possible, otherwise by copying.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::call_limit::{CallLimit, Work};
use super::close_reason::CloseReason;
use super::connection::Stream;
use crate::error::{Result, TransportError};
use crate::progress::Progress;
use crate::sys::file::{self, FileKind, Pipe};
use crate::sys::poll::Interest;
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::signals::without_write_signals;
use crate::sys::would_block;
use crate::sys::{reserve_alloc, socket};

/// The most bytes of one sendfile or splice call: large enough to be efficient, small enough to check the state of the
/// stream regularly.
const STEP: u64 = 8 << 20;
/// The size of a copy where the kernel cannot move the bytes.
const COPY: usize = 256 << 10;
/// The size of the pipe between the socket and a file: the limit for unprivileged users (pipe(7)).
const PIPE: usize = 1 << 20;
/// A pipe or terminal that is writable takes at least this much without blocking (PIPE_BUF).
const PIPE_BUF: usize = 4096;

/// One transfer under way.
pub(crate) struct Transfer<'a> {
    stream: &'a Stream,
    file: BorrowedFd<'a>,
    offset: u64,
    rest: u64,
    limit: CallLimit,
}

/// The result of one step of a transfer.
enum Step {
    Moved(usize),
    End,
    /// The kernel cannot do it this way with this kind of file.
    Unsupported,
}

/// The direction of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Send,
    Receive,
}

impl Way {
    fn use_of_file(self) -> &'static str {
        match self {
            Self::Send => "cannot read",
            Self::Receive => "cannot write",
        }
    }
}

impl<'a> Transfer<'a> {
    pub fn new(
        stream: &'a Stream,
        file: BorrowedFd<'a>,
        offset: u64,
        count: u64,
        timeout: Option<Duration>,
        work: fn(u64) -> Work,
    ) -> Self {
        Self {
            stream,
            file,
            offset,
            rest: count,
            limit: CallLimit::new(timeout, work(count)),
        }
    }

    /// From the file to the stream.
    pub fn send(mut self) -> Progress {
        let outcome = self.stream.enter().and_then(|_call| {
            let kind = self.kind()?;
            without_write_signals(|| match kind {
                FileKind::Seekable => self.send_seekable(),
                FileKind::Pipe => self.send_pipe(),
                FileKind::Socket => self.send_socket(),
                FileKind::Other => self.send_by_copy(false),
            })
        });
        self.counted(outcome)
    }

    /// From the stream to the file.
    pub fn receive(mut self) -> Progress {
        let outcome = self.stream.enter_to_read().and_then(|_call| {
            let kind = self.kind()?;
            without_write_signals(|| {
                self.receive_unread(kind)?;
                match kind {
                    FileKind::Pipe => self.receive_pipe(),
                    FileKind::Socket => self.receive_socket(),
                    FileKind::Seekable | FileKind::Other => self.receive_file(kind),
                }
            })
        });
        self.counted(outcome)
    }

    /// The kind of the file. Fails if the file cannot have the offset.
    fn kind(&self) -> Result<FileKind> {
        let kind = file::kind(self.file)
            .map_err(|error| TransportError::of_file("cannot use the file", error))?;
        let allowed = match kind {
            FileKind::Seekable if i64::try_from(self.offset).is_ok() => return Ok(kind),
            FileKind::Seekable => format!("no file is longer than {} bytes", i64::MAX),
            _ if self.offset == 0 => return Ok(kind),
            _ => "a pipe, socket or terminal has none, so it must be 0".to_owned(),
        };
        Err(TransportError::OutOfRange {
            what: "offset",
            value: self.offset.to_string(),
            allowed,
        })
    }

    fn counted(&self, outcome: Result<()>) -> Progress {
        let count = self.limit.done;
        self.stream
            .context
            .count_progress(Progress { count, outcome })
    }

    fn step_size(&self, most: u64) -> usize {
        self.rest.min(most) as usize
    }

    fn moved(&mut self, count: usize) {
        self.limit.done += count as u64;
        self.offset += count as u64;
        self.rest -= count as u64;
    }

    fn file_failed(&self, action: &str, error: io::Error) -> TransportError {
        TransportError::of_file(
            format!("{action} the file at offset {}", self.offset),
            error,
        )
    }

    fn wait_stream_writable(&mut self) -> Result<()> {
        let interest = Interest::writable(self.stream.socket.as_fd());
        self.stream.wait(interest, &mut self.limit)
    }

    fn wait_stream_readable(&mut self) -> Result<()> {
        let interest = Interest::readable(self.stream.socket.as_fd());
        self.stream.wait(interest, &mut self.limit)
    }

    fn wait_file(&mut self, interest: Interest<'_>) -> Result<()> {
        self.stream.wait_file(interest, &mut self.limit)
    }

    /// Evaluates one system call that moves bytes between the stream and a file. `None`: there were no bytes, or no room.
    fn attempt(&self, way: Way, action: &str, moved: io::Result<usize>) -> Result<Option<Step>> {
        match moved {
            Ok(0) => Ok(Some(Step::End)),
            Ok(count) => Ok(Some(Step::Moved(count))),
            Err(error) if would_block(&error) => Ok(None),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => Ok(Some(Step::Moved(0))),
                Some(libc::EINVAL | libc::ENOSYS | libc::ESPIPE) => Ok(Some(Step::Unsupported)),
                // The broken end is the stream when sending, and the file when receiving.
                Some(libc::EPIPE) if way == Way::Send => Err(self.stream.failed(action, error)),
                // If the stream works, the error is the file's.
                _ if !self.stream.is_broken() && !self.stream.has_ended() => {
                    Err(self.file_failed(way.use_of_file(), error))
                }
                _ => Err(self.stream.failed(action, error)),
            },
        }
    }

    fn count_sent(&mut self, count: usize) {
        self.stream.count_sent(count);
        self.moved(count);
    }

    fn count_received(&mut self, count: usize) {
        self.stream.count_received(count);
        self.moved(count);
    }

    fn send_seekable(&mut self) -> Result<()> {
        while self.rest > 0 {
            let size = self.step_size(STEP);
            let moved = file::sendfile(self.stream.socket.as_fd(), self.file, self.offset, size);
            match self.attempt(Way::Send, "cannot send a file to", moved)? {
                Some(Step::Moved(count)) => self.count_sent(count),
                Some(Step::End) => return Ok(()),
                Some(Step::Unsupported) => return self.send_by_copy(true),
                None => self.wait_stream_writable()?,
            }
        }
        Ok(())
    }

    /// From a pipe directly into the socket. Bytes that do not fit stay in the pipe.
    fn send_pipe(&mut self) -> Result<()> {
        while self.rest > 0 {
            self.wait_file(Interest::readable(self.file))?;
            let size = self.step_size(STEP);
            let moved = file::splice(self.file, self.stream.socket.as_fd(), None, size);
            match self.attempt(Way::Send, "cannot send a pipe to", moved)? {
                Some(Step::Moved(count)) => self.count_sent(count),
                Some(Step::End) => return Ok(()),
                Some(Step::Unsupported) => return self.send_by_copy(false),
                None => self.wait_stream_writable()?,
            }
        }
        Ok(())
    }

    /// From one socket to another: bytes are peeked at, sent, and only then taken.
    fn send_socket(&mut self) -> Result<()> {
        let mut buf = copy_buffer()?;
        while self.rest > 0 {
            let size = self.step_size(COPY as u64);
            match file::peek(self.file, &mut buf[..size]) {
                Ok(0) => return Ok(()),
                Ok(found) => match socket::send(self.stream.socket.as_fd(), &buf[..found]) {
                    Ok(sent) => {
                        self.take(self.file, &mut buf[..sent])?;
                        self.count_sent(sent);
                    }
                    Err(error) if would_block(&error) => self.wait_stream_writable()?,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(self.stream.failed("cannot write to", error)),
                },
                Err(error) if would_block(&error) => {
                    self.wait_file(Interest::readable(self.file))?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.file_failed("cannot read", error)),
            }
        }
        Ok(())
    }

    fn send_by_copy(&mut self, seekable: bool) -> Result<()> {
        let mut buf = copy_buffer()?;
        while self.rest > 0 {
            let size = self.step_size(COPY as u64);
            let read = if seekable {
                file::read_at(self.file, &mut buf[..size], self.offset)
            } else {
                self.wait_file(Interest::readable(self.file))?;
                file::read(self.file, &mut buf[..size])
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    let mut sent = 0;
                    let done = self.limit.done;
                    let outcome =
                        self.stream
                            .write_entered(&buf[..count], &mut self.limit, &mut sent);
                    // `write_entered` counted them, too.
                    self.limit.done = done;
                    self.moved(sent as usize);
                    outcome?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted || would_block(&error) => {
                }
                Err(error) => return Err(self.file_failed("cannot read", error)),
            }
        }
        Ok(())
    }

    /// From the socket directly into a pipe. Bytes that do not fit stay in the socket.
    fn receive_pipe(&mut self) -> Result<()> {
        while self.rest > 0 {
            self.wait_stream_readable()?;
            let size = self.step_size(STEP);
            let moved = file::splice(self.stream.socket.as_fd(), self.file, None, size);
            match self.attempt(Way::Receive, "cannot receive from", moved)? {
                Some(Step::Moved(count)) => self.count_received(count),
                Some(Step::End) => return self.stream.end_of_stream(),
                Some(Step::Unsupported) => return self.receive_by_copy(FileKind::Pipe),
                None => self.wait_file(Interest::writable(self.file))?,
            }
        }
        Ok(())
    }

    fn receive_socket(&mut self) -> Result<()> {
        let mut buf = copy_buffer()?;
        while self.rest > 0 {
            let size = self.step_size(COPY as u64);
            match file::peek(self.stream.socket.as_fd(), &mut buf[..size]) {
                Ok(0) => return self.stream.end_of_stream(),
                Ok(found) => match socket::send(self.file, &buf[..found]) {
                    Ok(sent) => {
                        self.take(self.stream.socket.as_fd(), &mut buf[..sent])?;
                        self.count_received(sent);
                    }
                    Err(error) if would_block(&error) => {
                        self.wait_file(Interest::writable(self.file))?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(self.file_failed("cannot write", error)),
                },
                Err(error) if would_block(&error) => self.wait_stream_readable()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stream.failed("cannot read from", error)),
            }
        }
        Ok(())
    }

    /// Through a pipe of our own into a file, page by page and without a copy in this process.
    fn receive_file(&mut self, kind: FileKind) -> Result<()> {
        // No descriptors or no pipe memory left: then by copying.
        let Ok(pipe) = Pipe::new(PIPE) else {
            return self.receive_by_copy(kind);
        };
        while self.rest > 0 {
            let size = self.step_size(pipe.capacity as u64);
            let moved = file::splice(self.stream.socket.as_fd(), pipe.write.as_fd(), None, size);
            match self.attempt(Way::Receive, "cannot receive from", moved)? {
                Some(Step::Moved(count)) => self.empty_pipe(&pipe, count, kind)?,
                Some(Step::End) => return self.stream.end_of_stream(),
                Some(Step::Unsupported) => return self.receive_by_copy(kind),
                None => self.wait_stream_readable()?,
            }
        }
        Ok(())
    }

    /// Moves `filled` bytes from our pipe into the file. Bytes that it does not take become unread bytes of the stream.
    fn empty_pipe(&mut self, pipe: &Pipe, mut filled: usize, kind: FileKind) -> Result<()> {
        while filled > 0 {
            let offset = (kind == FileKind::Seekable).then_some(self.offset);
            let ready = match kind {
                FileKind::Seekable => Ok(()),
                _ => self.wait_file(Interest::writable(self.file)),
            };
            let moved = ready.and_then(|()| {
                let moved = file::splice(pipe.read.as_fd(), self.file, offset, filled);
                moved.or_else(|error| match error.raw_os_error() {
                    // It checks for signals before it moves bytes.
                    Some(libc::EINTR) => Ok(0),
                    // Not a file of the kind that splice writes to (O_APPEND is one).
                    Some(libc::EINVAL) => Err(TransportError::WouldBlock),
                    _ => Err(self.file_failed("cannot write", error)),
                })
            });
            match moved {
                Ok(count) => {
                    self.count_received(count);
                    filled -= count;
                }
                Err(TransportError::WouldBlock) => {
                    self.keep(pipe, filled)?;
                    return self.receive_unread(kind);
                }
                Err(error) => {
                    self.keep(pipe, filled)?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes `filled` bytes back from our pipe, for the next read. Without memory for them the stream ends, because the
    /// next read would skip them.
    fn keep(&self, pipe: &Pipe, filled: usize) -> Result<()> {
        let kept = memory_for(filled).and_then(|mut bytes| {
            pipe.drain(&mut bytes);
            self.stream.unread.reserve(filled)?;
            self.stream.unread.put(&bytes);
            Ok(())
        });
        if kept.is_err() {
            socket::reset_on_close(&self.stream.socket);
            self.stream.end(CloseReason::Closed);
        }
        kept
    }

    fn receive_by_copy(&mut self, kind: FileKind) -> Result<()> {
        let mut buf = copy_buffer()?;
        // Before anything is taken from the socket.
        self.stream.unread.reserve(COPY)?;
        while self.rest > 0 {
            let size = self.step_size(COPY as u64);
            match socket::receive(self.stream.socket.as_fd(), &mut buf[..size]) {
                Ok(0) => return self.stream.end_of_stream(),
                Ok(count) => {
                    self.stream.unread.put(&buf[..count]);
                    self.receive_unread(kind)?;
                }
                Err(error) if would_block(&error) => self.wait_stream_readable()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stream.failed("cannot read from", error)),
            }
        }
        Ok(())
    }

    /// Writes the unread bytes of the stream. Bytes that the file does not take stay unread.
    fn receive_unread(&mut self, kind: FileKind) -> Result<()> {
        if self.stream.unread.is_empty() {
            return Ok(());
        }
        let mut buf = match kind {
            FileKind::Seekable => copy_buffer()?,
            _ => memory_for(PIPE_BUF)?,
        };
        while self.rest > 0 && !self.stream.unread.is_empty() {
            let size = self.step_size(buf.len() as u64);
            let mut room = ReadBuffer::from(&mut buf[..size]);
            let count = self.stream.unread.take(&mut room);
            let written = self.write_file(&buf[..count], kind);
            let taken = *written.as_ref().unwrap_or(&0);
            self.stream.unread.put_back(&buf[taken..count]);
            self.count_received(taken);
            written?;
        }
        Ok(())
    }

    fn write_file(&mut self, data: &[u8], kind: FileKind) -> Result<usize> {
        let seekable = kind == FileKind::Seekable;
        if !seekable {
            self.wait_file(Interest::writable(self.file))?;
        }
        let offset = seekable.then_some(self.offset);
        match file::write(self.file, data, offset) {
            Ok(count) => Ok(count),
            Err(error) if would_block(&error) || error.kind() == io::ErrorKind::Interrupted => {
                Ok(0)
            }
            Err(error) => Err(self.file_failed("cannot write", error)),
        }
    }

    /// Takes from a socket what was peeked at before.
    fn take(&self, socket: BorrowedFd<'_>, peeked: &mut [u8]) -> Result<()> {
        let mut taken = 0;
        while taken < peeked.len() {
            match socket::receive(socket, &mut peeked[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.file_failed("cannot read", error)),
            }
        }
        Ok(())
    }
}

fn copy_buffer() -> Result<Vec<u8>> {
    memory_for(COPY)
}

/// A buffer of that many bytes, if there is memory for it.
fn memory_for(size: usize) -> Result<Vec<u8>> {
    let action = || format!("cannot make a buffer of {size} bytes");
    let mut buf = Vec::new();
    let room = buf.try_reserve_exact(size);
    room.map_err(|_| reserve_alloc::exhausted(&action()))?;
    buf.resize(size, 0);
    Ok(buf)
}
