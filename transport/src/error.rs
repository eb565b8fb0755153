//! What can go wrong, with the offending value in every message.

mod attempted;
mod conversion;
mod detail;

use std::fmt;
use std::io;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, TransportError>;

/// A failure, in words that name the offending value and say what to do.
///
/// The first ten variants are the ones that users of this protocol's other implementations match.
/// Their shapes do not change. Whatever one of them describes comes as that variant: a time limit that
/// passed is always [`Timeout`](Self::Timeout), a closed transport always
/// [`Shutdown`](Self::Shutdown). The variants after them tell apart what the ten have no name for.
///
/// # Texts
///
/// A `String` in a variant is the whole text, and [`Display`](fmt::Display) prints it as it is.
/// Where the operating system gave the reason, the text ends with its answer, for example
/// `Connection refused (os error 111)`. [`errno`](Self::errno) gives the number and
/// [`kind`](Self::kind) its meaning.
///
/// # What timed out
///
/// `Timeout` has no room for a text. The thread on which the time limit passed keeps it, as the C
/// library does for `dcf_tb_last_error`: [`last_error_text`](Self::last_error_text) tells what was
/// waited for and how long. Read it on the thread that made the call, before it makes another one.
/// In a task, read it before the next `.await`, which may move the task to another thread. To hand
/// the text to another thread, hand over the `String`, or turn the error into an [`io::Error`], which
/// keeps it. All other variants carry their text with them.
///
/// ```
/// use std::time::Duration;
/// use thunderbolt_transport::{ThunderboltTransportBuilder, TransportError};
///
/// # fn main() -> thunderbolt_transport::Result<()> {
/// # let builder = ThunderboltTransportBuilder::new().interface("lo");
/// # let transport = builder.control_port(0).data_port(0).build()?;
/// match transport.recv(&mut [0; 64], Some(Duration::from_millis(5))) {
///     Ok((size, sender)) => println!("{size} bytes from {sender}"),
///     Err(error @ TransportError::Timeout) => println!("{}", error.last_error_text()),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # With `std::io`
///
/// Both conversions exist, so `?` mixes streams and calls of the transport:
///
/// - An [`io::Error`] becomes [`Io`](Self::Io) as it is. One that a stream of this crate gave becomes
///   the error that is inside.
/// - An error becomes an [`io::Error`] of its [`kind`](Self::kind) with the same text, and can be
///   looked at there with [`in_io`](Self::in_io). The one in [`Io`](Self::Io) is handed out as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The operating system refused something that has no error of its own here.
    ///
    /// Errors of this crate say what was attempted, so `raw_os_error` of the one inside is `None`:
    /// ask [`errno`](Self::errno). Its `kind` is that of the operating system's answer.
    #[error(transparent)]
    Io(io::Error),

    /// A peer string that is not an address, or not one on our interface. The text quotes it.
    #[error("{0}")]
    InvalidAddress(String),

    /// No such network interface on this host. The text names it and says how to find the right one.
    #[error("{0}")]
    InterfaceNotFound(String),

    /// A control message larger than one UDP datagram can carry.
    #[error("message of {size} bytes is too large: one control message carries at most {max}; use a data stream")]
    MessageTooLarge {
        /// Bytes that were to be sent.
        size: usize,
        /// [`MAX_MESSAGE_SIZE`](crate::MAX_MESSAGE_SIZE).
        max: usize,
    },

    /// A data stream could not be opened, or broke. The text names the peer. The
    /// [`errno`](Self::errno) tells which way: refused, reset, broken pipe, host unreachable, or
    /// timed out: the peer stopped answering. (The time that a call was given is another matter:
    /// [`Timeout`](Self::Timeout).) Once a stream broke, all its calls say so.
    #[error("{0}")]
    ConnectionFailed(String),

    /// The transport was not started.
    #[error("the transport is not initialized")]
    NotInitialized,

    /// The transport was closed before or during the call.
    #[error("the transport was closed")]
    Shutdown,

    /// Bytes that do not mean what they should.
    #[error("invalid message: {0}")]
    InvalidMessage(String),

    /// The call's time limit passed. [`last_error_text`](Self::last_error_text) tells what was waited
    /// for.
    #[error("timed out")]
    Timeout,

    /// A socket option that matters could not be set. The text names the option and the value.
    #[error("{0}")]
    SocketOption(String),

    /// A timeout of zero was given, and the call would have had to wait.
    #[error("the call would have to wait, and its timeout is 0")]
    WouldBlock,

    /// The stream was closed or detached while the call waited on it.
    #[error("the stream was closed")]
    Cancelled,

    /// The caller's buffer is too small. The message is kept.
    #[error("{buffer} is too small: it has {size} bytes, and {needed} are needed")]
    BufferTooSmall {
        /// The argument's name.
        buffer: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The size needed in bytes.
        needed: usize,
    },

    /// The interface is absent, down, without carrier or without a usable address at the moment, or
    /// was so when the stream ended.
    #[error("link \"{interface}\" {}: {reason}", if *.back { "went down, and is up again" } else { "is down" })]
    LinkDown {
        /// The interface's name.
        interface: String,
        /// Which of these it is, or what the operating system said, and what to do.
        reason: String,
        /// The errno, when it was the operating system that said so.
        errno: Option<i32>,
        /// It is up again by now: the call can be tried again, a stream opened anew.
        back: bool,
    },

    /// A port is taken by another program.
    #[error("{protocol} port {port} on \"{interface}\" is already in use: stop the program that holds it, or choose another port")]
    AddressInUse {
        /// `UDP control` or `TCP data`.
        protocol: &'static str,
        /// The port.
        port: u16,
        /// The interface that it was to be bound on.
        interface: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// The operating system does not allow it to this user.
    #[error("{action}: not permitted: {source}")]
    PermissionDenied {
        /// What was being done.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// `max_streams` data streams are open.
    #[error("{max} data streams are open, and max_streams is {max}: close some or raise it")]
    TooManyStreams {
        /// The configured limit.
        max: u32,
    },

    /// `max_silent_streams` streams that peers opened have said nothing yet.
    #[error("{max} streams are open that have said nothing yet, and max_silent_streams is {max}")]
    TooManySilentStreams {
        /// The configured limit.
        max: u32,
    },

    /// The process or the system has no file descriptors left.
    #[error("{action}: {source}: raise the limit (ulimit -n) or close some")]
    TooManyFiles {
        /// What was being done.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// The kernel's send queue stayed full.
    #[error("the send queue of \"{interface}\" is full{}: the peer or the link does not keep up", Still(*.after))]
    QueueFull {
        /// The interface's name.
        interface: String,
        /// How long the call waited for room; zero: it does not wait.
        after: Duration,
    },

    /// No memory for a buffer, here or in the kernel.
    #[error("{action}: out of memory")]
    OutOfMemory {
        /// What was being done.
        action: String,
    },

    /// An argument outside what is allowed.
    #[error("{what} is {value}: {allowed}")]
    OutOfRange {
        /// The argument's name.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },

    /// A thread could not be started.
    #[error("cannot start thread {name}: {source}: the limit on processes (ulimit -u) or memory is reached")]
    Thread {
        /// The thread's name.
        name: String,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// A duration as a person would say it.
struct Milliseconds(Duration);

/// For how long something was so, if for any time.
struct Still(Duration);

impl fmt::Display for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_zero() {
            true => Ok(()),
            false => write!(f, ", and was for {}", Milliseconds(self.0)),
        }
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

impl TransportError {
    /// [`Timeout`](Self::Timeout), with what [`last_error_text`](Self::last_error_text) says of it on
    /// this thread. For callers with time limits of their own.
    pub fn timed_out(text: impl fmt::Display) -> Self {
        detail::record(text);
        Self::Timeout
    }

    /// The whole text of this error, when it is the last one of the calling thread.
    ///
    /// This is what [`Display`](fmt::Display) prints, but for [`Timeout`](Self::Timeout), of which it
    /// tells what was waited for, from the record of the calling thread: see
    /// [What timed out](#what-timed-out). On a thread on which nothing has timed out it is `timed out`.
    pub fn last_error_text(&self) -> String {
        match self {
            Self::Timeout => detail::last().unwrap_or_else(|| self.to_string()),
            _ => self.to_string(),
        }
    }

    /// The errno behind this error, if the operating system was asked. It travels with the error to
    /// any thread.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io(error) => attempted::errno(error),
            Self::ConnectionFailed(text) | Self::SocketOption(text) => detail::errno(text),
            Self::AddressInUse { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::TooManyFiles { source, .. }
            | Self::Thread { source, .. } => source.raw_os_error(),
            Self::LinkDown { errno, .. } => *errno,
            _ => None,
        }
    }

    /// [`errno`](Self::errno), under the name that it has in [`io::Error`].
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno()
    }

    /// Whether the statistics count it under `errors`: what a caller asked for by a timeout, or by
    /// closing, is no failure.
    pub(crate) fn counts(&self) -> bool {
        !matches!(
            self,
            Self::Timeout
                | Self::WouldBlock
                | Self::Cancelled
                | Self::Shutdown
                | Self::BufferTooSmall { .. }
        )
    }

    /// A peer string that cannot be used.
    pub(crate) fn invalid_address(address: &str, reason: impl fmt::Display) -> Self {
        Self::InvalidAddress(format!("invalid peer address \"{address}\": {reason}"))
    }

    /// An interface, or `auto`, that is not there, and how to find the right one.
    pub(crate) fn interface_not_found(interface: &str, reason: impl fmt::Display) -> Self {
        Self::InterfaceNotFound(format!(
            "network interface \"{interface}\" not found: {reason}"
        ))
    }

    /// A connection that failed with the operating system's answer.
    pub(crate) fn connection_failed(action: impl fmt::Display, source: &io::Error) -> Self {
        Self::ConnectionFailed(format!("{action}: {source}"))
    }

    /// A socket option, named as in socket(7), tcp(7) or ipv6(7), that was refused.
    pub(crate) fn socket_option(
        option: &str,
        value: impl fmt::Display,
        source: &io::Error,
    ) -> Self {
        Self::SocketOption(format!(
            "cannot set socket option {option} to {value}: {source}"
        ))
    }

    /// The operating system's answer, with what was attempted.
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io(attempted::attempted(action.into(), source))
    }

    /// Sorts an errno into the variant that a caller can act on. What it says of the link only the
    /// link can tell: see [`Link::failed`](crate::link::Link::failed).
    pub(crate) fn from_os(action: impl Into<String>, source: io::Error) -> Self {
        let action = action.into();
        match source.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Self::TooManyFiles { action, source },
            Some(libc::EPERM | libc::EACCES) => Self::PermissionDenied { action, source },
            Some(
                libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::ECONNABORTED
                | libc::EPIPE
                | libc::ENOTCONN
                | libc::ETIMEDOUT,
            ) => Self::connection_failed(action, &source),
            Some(libc::ENOMEM) => Self::OutOfMemory { action },
            _ => Self::io(action, source),
        }
    }

    /// The same for a file that the caller brought. Its pipe or socket may have broken; a file server
    /// that does not answer is no peer of ours.
    pub(crate) fn of_file(action: impl Into<String>, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ETIMEDOUT) => Self::io(action, source),
            _ => Self::from_os(action, source),
        }
    }
}

/// The error of a call whose time was up: `done` says what it did get done, `why` what held it up. A
/// timeout of zero asked not to wait at all.
pub(crate) fn expired(
    done: impl fmt::Display,
    timeout: Option<Duration>,
    why: impl fmt::Display,
) -> TransportError {
    match timeout {
        Some(after) if !after.is_zero() => {
            let after = Milliseconds(after);
            TransportError::timed_out(format_args!("{done} within {after}{why}"))
        }
        _ => TransportError::WouldBlock,
    }
}
