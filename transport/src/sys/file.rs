//! Moving bytes between files and sockets inside the kernel: sendfile(2), splice(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{fcntl_getfl, fcntl_setfl, fstat, FileType, OFlags};
use rustix::io::{pread, pwrite, Errno};
use rustix::net::RecvFlags;
use rustix::pipe::{self, PipeFlags, SpliceFlags};

/// The kinds of files that need different ways of moving bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A regular file or a block device: it has offsets, and is always ready.
    Seekable,
    Pipe,
    Socket,
    /// Terminals, character devices and the like.
    Other,
}

pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<FileKind> {
    Ok(match FileType::from_raw_mode(fstat(fd)?.st_mode) {
        FileType::RegularFile | FileType::BlockDevice => FileKind::Seekable,
        FileType::Fifo => FileKind::Pipe,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::Other,
    })
}

/// Sends up to `count` bytes of a file from `offset` and returns how many; 0 is its end. The file's
/// own position does not change.
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let mut offset = checked(offset)?;
    Ok(rustix::fs::sendfile(
        socket,
        file,
        Some(&mut offset),
        count,
    )?)
}

/// Moves up to `count` bytes between a pipe and another file and returns how many. `to_offset` is
/// for a seekable target. It never waits for the pipe.
pub(crate) fn splice(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    to_offset: Option<u64>,
    count: usize,
) -> io::Result<usize> {
    let mut offset = to_offset.map(checked).transpose()?;
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(pipe::splice(from, None, to, offset.as_mut(), count, flags)?)
}

/// An offset that fits the kernel's signed type.
fn checked(offset: u64) -> io::Result<u64> {
    match i64::try_from(offset) {
        Ok(_) => Ok(offset),
        Err(_) => Err(Errno::OVERFLOW.into()),
    }
}

pub(crate) fn read(file: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(file, buf)?)
}

pub(crate) fn read_at(file: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    Ok(pread(file, buf, checked(offset)?)?)
}

/// Writes as much as the file takes, at `offset` for a seekable file.
pub(crate) fn write(file: BorrowedFd<'_>, data: &[u8], offset: Option<u64>) -> io::Result<usize> {
    Ok(match offset {
        Some(offset) => pwrite(file, data, checked(offset)?)?,
        None => rustix::io::write(file, data)?,
    })
}

/// Reads what a socket has received and leaves it there. Never blocks.
pub(crate) fn peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (count, _) = rustix::net::recv(socket, buf, flags)?;
    Ok(count)
}

/// A pipe between a socket and a file.
pub(crate) struct Pipe {
    pub read: OwnedFd,
    pub write: OwnedFd,
    /// Bytes that it can hold.
    pub capacity: usize,
}

impl Pipe {
    /// Makes a non-blocking pipe of `capacity` bytes, or of the default size where the user may not
    /// have as much.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let (read, write) = pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let _ = pipe::fcntl_setpipe_size(&write, capacity);
        let capacity = pipe::fcntl_getpipe_size(&write)?;
        Ok(Self {
            read,
            write,
            capacity,
        })
    }

    /// Drains the pipe into `buf`, whose length is the number of bytes that the pipe holds.
    pub fn drain(&self, buf: &mut Vec<u8>) {
        let mut filled = 0;
        while filled < buf.len() {
            match read(self.read.as_fd(), &mut buf[filled..]) {
                Ok(count) if count > 0 => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        buf.truncate(filled);
    }
}

/// Puts an open file into blocking mode.
pub(crate) fn set_blocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(fcntl_setfl(fd, flags - OFlags::NONBLOCK)?)
}
