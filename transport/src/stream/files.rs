//! Files over streams: inside the kernel where that is possible, otherwise by copying.

mod receive;
mod send;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::call_limit::{CallLimit, Work};
use super::connection::Stream;
use crate::error::{Result, TransportError};
use crate::progress::Progress;
use crate::sys::file::{self, FileKind};
use crate::sys::poll::Interest;
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

    /// Takes the bytes from a socket that were peeked at before.
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
