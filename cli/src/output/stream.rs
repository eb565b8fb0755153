//! Standard output and standard error without the special cases of the standard library: writing to a closed
//! descriptor is an error, and a non-blocking descriptor is waited for.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anstream::{AutoStream, ColorChoice};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;

use super::charset::{in_ascii, is_ascii};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// Odd while a write is in progress. [`super::beside_bars`] serialises writes.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// The number of the write in progress, if any. A number that does not change means that the write is stuck.
pub fn write_under_way() -> Option<u64> {
    let number = WRITES.load(Ordering::Relaxed);
    (number % 2 == 1).then_some(number)
}

/// Whether standard output was closed when the program started. The standard library then opens /dev/null in its
/// place before `main`, and a result would be lost silently.
static OUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[expect(clippy::disallowed_methods, reason = "only asked whether it is there")]
extern "C" fn look_at_descriptors() {
    if rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(Errno::BADF) {
        OUT_WAS_CLOSED.store(true, Ordering::Relaxed);
    }
}

// The dynamic loader calls this before the standard library initialises. It makes one system call and stores a
// flag.
#[allow(
    unsafe_code,
    reason = "the attribute could break the program, with another section or value"
)]
#[used]
#[link_section = ".init_array"]
static LOOK_AT_DESCRIPTORS: extern "C" fn() = look_at_descriptors;

impl Stream {
    #[expect(clippy::disallowed_methods, reason = "this is the way to them")]
    fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Out => rustix::stdio::stdout(),
            Self::Err => rustix::stdio::stderr(),
        }
    }

    /// Whether to print colours: on a terminal, unless NO_COLOR is set.
    #[expect(clippy::disallowed_methods, reason = "only asked what they are")]
    fn has_colour(self) -> bool {
        let choice = match self {
            Self::Out => AutoStream::choice(&io::stdout()),
            Self::Err => AutoStream::choice(&io::stderr()),
        };
        choice != ColorChoice::Never
    }

    /// The width of the terminal, if it is one.
    pub fn columns(self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(self.descriptor()).ok()?;
        // A terminal of unknown size reports 0.
        (size.ws_col > 0).then_some(size.ws_col.into())
    }

    /// Writes text, with its colours if they are wanted, and in ASCII if the locale has nothing else.
    pub fn write(self, text: &str) -> io::Result<()> {
        let ascii = is_ascii().then(|| in_ascii(text));
        let text = ascii.as_deref().unwrap_or(text);
        match self.has_colour() {
            true => self.write_bytes(text.as_bytes()),
            false => self.write_bytes(anstream::adapter::strip_str(text).to_string().as_bytes()),
        }
    }

    /// Whether a write would not wait.
    pub fn is_ready(self) -> bool {
        let mut wanted = [PollFd::from_borrowed_fd(self.descriptor(), PollFlags::OUT)];
        let now = rustix::event::Timespec::default();
        poll(&mut wanted, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    pub fn write_bytes(self, bytes: &[u8]) -> io::Result<()> {
        if self == Self::Out && OUT_WAS_CLOSED.load(Ordering::Relaxed) {
            return Err(Errno::BADF.into());
        }
        WRITES.fetch_add(1, Ordering::Relaxed);
        let written = write_all(self.descriptor(), bytes);
        WRITES.fetch_add(1, Ordering::Relaxed);
        written
    }
}

fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // Another program that shares the pipe made it non-blocking.
            Err(Errno::AGAIN) => {
                let mut wanted = [PollFd::from_borrowed_fd(descriptor, PollFlags::OUT)];
                match poll(&mut wanted, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_pipe_that_does_not_block_is_waited_for() {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|number| (number % 251) as u8).collect();
        let received = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut received = Vec::new();
                std::io::Read::read_to_end(&mut { reader }, &mut received).map(|_| received)
            });
            write_all(writer.as_fd(), &sent).unwrap();
            drop(writer);
            reader.join().unwrap().unwrap()
        });
        assert_eq!(received, sent);
    }

    #[test]
    fn what_cannot_be_written_to_is_an_error() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = write_all(full.as_fd(), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let read_only = std::fs::File::open("/dev/null").unwrap();
        let error = write_all(read_only.as_fd(), b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
    }
}
