//! Moving bytes between files and sockets inside the kernel: sendfile(2), splice(2).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, check_size};

/// What kind of file a descriptor is, as far as moving bytes is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A regular file or a block device: has offsets, never makes one wait.
    Seekable,
    Pipe,
    Socket,
    /// Terminals, character devices and the like.
    Other,
}

pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<FileKind> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the struct when it succeeds.
    check(unsafe { libc::fstat(fd.as_raw_fd(), status.as_mut_ptr()) })?;
    // SAFETY: it succeeded.
    let mode = unsafe { status.assume_init() }.st_mode;
    Ok(match mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFBLK => FileKind::Seekable,
        libc::S_IFIFO => FileKind::Pipe,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Other,
    })
}

/// Sends up to `count` bytes of a file from `offset`; the file's own position stays. 0 is its end.
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let mut offset = file_offset(offset)?;
    // SAFETY: the offset is valid for the call.
    check_size(unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, count) })
}

/// Moves up to `count` bytes, one of the two being a pipe, to `offset` where the target has one.
/// Never waits for the pipe.
pub(crate) fn splice(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    to_offset: Option<u64>,
    count: usize,
) -> io::Result<usize> {
    let mut offset = to_offset.map(file_offset).transpose()?;
    let to_offset = offset
        .as_mut()
        .map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: the offset pointer is null or valid for the call.
    check_size(unsafe {
        libc::splice(
            from.as_raw_fd(),
            std::ptr::null_mut(),
            to.as_raw_fd(),
            to_offset,
            count,
            libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
        )
    })
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    offset
        .try_into()
        .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

pub(crate) fn read(file: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length belong together.
    check_size(unsafe { libc::read(file.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
}

pub(crate) fn read_at(file: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    // SAFETY: pointer and length belong together.
    check_size(unsafe { libc::pread(file.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), offset) })
}

/// Writes what the file takes, at `offset` where it has one.
pub(crate) fn write(file: BorrowedFd<'_>, data: &[u8], offset: Option<u64>) -> io::Result<usize> {
    let offset = offset.map(file_offset).transpose()?;
    let (fd, pointer) = (file.as_raw_fd(), data.as_ptr().cast());
    // SAFETY: pointer and length belong together.
    check_size(unsafe {
        match offset {
            Some(offset) => libc::pwrite(fd, pointer, data.len(), offset),
            None => libc::write(fd, pointer, data.len()),
        }
    })
}

/// Looks at what a socket has, and leaves it there. Never blocks.
pub(crate) fn peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length belong together.
    check_size(unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    })
}

/// A pipe of our own between a socket and a file.
pub(crate) struct Pipe {
    pub read: OwnedFd,
    pub write: OwnedFd,
    /// Bytes it can hold.
    pub capacity: usize,
}

impl Pipe {
    /// A non-blocking pipe of `capacity` bytes, or of what the user may have.
    pub fn new(capacity: libc::c_int) -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: the kernel just returned these descriptors, so they have no other owner.
        let (read, write) =
            unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: no pointers are involved.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, capacity) };
        // SAFETY: no pointers are involved.
        let granted = check(unsafe { libc::fcntl(write.as_raw_fd(), libc::F_GETPIPE_SZ) })?;
        Ok(Self {
            read,
            write,
            capacity: granted as usize,
        })
    }

    /// Empties it into a buffer, which is as large as what it holds.
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
    // SAFETY: no pointers are involved.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) })?;
    Ok(())
}
