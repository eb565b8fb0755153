//! From a file to the stream.

use std::io;
use std::os::fd::AsFd;

use super::{copy_buffer, Step, Transfer, Way, COPY, STEP};
use crate::error::Result;
use crate::sys::poll::Interest;
use crate::sys::{file, socket, would_block};

impl Transfer<'_> {
    pub(super) fn send_seekable(&mut self) -> Result<()> {
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
    pub(super) fn send_pipe(&mut self) -> Result<()> {
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
    pub(super) fn send_socket(&mut self) -> Result<()> {
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

    pub(super) fn send_by_copy(&mut self, seekable: bool) -> Result<()> {
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
}
