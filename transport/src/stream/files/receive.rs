//! From the stream to a file.

use std::io;
use std::os::fd::AsFd;

use super::{copy_buffer, memory_for, Step, Transfer, Way, COPY, PIPE, PIPE_BUF, STEP};
use crate::error::{Result, TransportError};
use crate::stream::close_reason::CloseReason;
use crate::sys::file::{self, FileKind, Pipe};
use crate::sys::poll::Interest;
use crate::sys::read_buffer::ReadBuffer;
use crate::sys::{socket, would_block};

impl Transfer<'_> {
    /// From the socket directly into a pipe. Bytes that do not fit stay in the socket.
    pub(super) fn receive_pipe(&mut self) -> Result<()> {
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

    pub(super) fn receive_socket(&mut self) -> Result<()> {
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
    pub(super) fn receive_file(&mut self, kind: FileKind) -> Result<()> {
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
    pub(super) fn empty_pipe(
        &mut self,
        pipe: &Pipe,
        mut filled: usize,
        kind: FileKind,
    ) -> Result<()> {
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
    pub(super) fn keep(&self, pipe: &Pipe, filled: usize) -> Result<()> {
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

    pub(super) fn receive_by_copy(&mut self, kind: FileKind) -> Result<()> {
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
    pub(super) fn receive_unread(&mut self, kind: FileKind) -> Result<()> {
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

    pub(super) fn write_file(&mut self, data: &[u8], kind: FileKind) -> Result<usize> {
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
}
