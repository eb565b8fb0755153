//! The error type. Each text quotes the value that caused the error.

mod attempted;
mod conversion;
mod detail;

use std::fmt;
use std::io;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, TransportError>;

/// The error of all calls. Its text says what was attempted, quotes the value that caused the error,
/// and says what to do.
///
/// The first ten variants are those of this protocol's other implementations, and their shapes do not
/// change. A failure that one of them describes always has that variant: an expired time limit is
/// [`Timeout`](Self::Timeout), a closed transport is [`Shutdown`](Self::Shutdown). The other variants
/// are for failures that none of the ten describes.
///
/// # Texts
///
/// A `String` in a variant is the whole text, and [`Display`](fmt::Display) prints it unchanged. If
/// the operating system gave the reason, the text ends with its message, for example
/// `Connection refused (os error 111)`. [`errno`](Self::errno) returns the number and
/// [`kind`](Self::kind) its meaning.
///
/// # What timed out
///
/// `Timeout` has no field for a text. The thread whose time limit passed keeps the text instead, as
/// the C library does for `dcf_tb_last_error`: [`last_error_text`](Self::last_error_text) says what
/// the call waited for and how long. Read it on the thread that made the call, before that thread
/// makes another call. In a task, read it before the next `.await`, which may move the task to another
/// thread. To pass the text to another thread, pass the `String`, or convert the error into an
/// [`io::Error`], which keeps it. All other variants contain their text.
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
/// Both conversions exist, so `?` works for streams and for calls of the transport:
///
/// - An [`io::Error`] becomes [`Io`](Self::Io), unchanged. One that a stream of this crate returned
///   becomes the `TransportError` that it contains.
/// - A `TransportError` becomes an [`io::Error`] of its [`kind`](Self::kind) with the same text.
///   [`in_io`](Self::in_io) finds it there. The `io::Error` in [`Io`](Self::Io) is returned unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The operating system reported an error for which there is no other variant.
    ///
    /// This crate adds what was attempted, so `raw_os_error` of the inner error is `None`; use
    /// [`errno`](Self::errno). The inner error's `kind` is that of the operating system's error.
    #[error(transparent)]
    Io(io::Error),

    /// A peer string is not an address, or not one on the transport's interface. The text quotes it.
    #[error("{0}")]
    InvalidAddress(String),

    /// The network interface does not exist. The text quotes its name and says how to find the right
    /// one.
    #[error("{0}")]
    InterfaceNotFound(String),

    /// A control message is larger than one UDP datagram can carry.
    #[error("message of {size} bytes is too large: one control message carries at most {max}; use a data stream")]
    MessageTooLarge {
        /// The size of the message in bytes.
        size: usize,
        /// [`MAX_MESSAGE_SIZE`](crate::MAX_MESSAGE_SIZE).
        max: usize,
    },

    /// A data stream could not be opened, or broke. The text names the peer. [`errno`](Self::errno)
    /// gives the reason: refused, reset, broken pipe, host unreachable, or timed out. Timed out means
    /// that the peer stopped answering; the time limit of a call is [`Timeout`](Self::Timeout). All
    /// later calls on a broken stream return this error too.
    #[error("{0}")]
    ConnectionFailed(String),

    /// The transport has not been started.
    #[error("the transport is not initialized")]
    NotInitialized,

    /// The transport was closed before or during the call.
    #[error("the transport was closed")]
    Shutdown,

    /// Received bytes do not have the expected form.
    #[error("invalid message: {0}")]
    InvalidMessage(String),

    /// The call's time limit passed. [`last_error_text`](Self::last_error_text) says what the call
    /// waited for.
    #[error("timed out")]
    Timeout,

    /// A required socket option could not be set. The text names the option and the value.
    #[error("{0}")]
    SocketOption(String),

    /// The call would have to wait, and its timeout is zero.
    #[error("the call would have to wait, and its timeout is 0")]
    WouldBlock,

    /// Another thread closed or detached the stream during the call.
    #[error("the stream was closed")]
    Cancelled,

    /// The caller's buffer is too small. The message stays in the queue.
    #[error("{buffer} is too small: it has {size} bytes, and {needed} are needed")]
    BufferTooSmall {
        /// The argument's name.
        buffer: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The size needed in bytes.
        needed: usize,
    },

    /// The interface is absent, down, without carrier or without a usable address. For a stream, this
    /// is the state in which the stream ended.
    #[error("link \"{interface}\" {}: {reason}", if *.back { "went down, and is up again" } else { "is down" })]
    LinkDown {
        /// The interface's name.
        interface: String,
        /// Which of these it is, or the operating system's error, and what to do.
        reason: String,
        /// The errno, if the operating system reported the state.
        errno: Option<i32>,
        /// Whether the link is up again already: retry the call, or open a new stream.
        back: bool,
    },

    /// Another program uses the port.
    #[error("{protocol} port {port} on \"{interface}\" is already in use: stop the program that holds it, or choose another port")]
    AddressInUse {
        /// `UDP control` or `TCP data`.
        protocol: &'static str,
        /// The port.
        port: u16,
        /// The interface.
        interface: String,
        /// The operating system's error.
        source: io::Error,
    },

    /// The operating system does not permit the action to this user.
    #[error("{action}: not permitted: {source}")]
    PermissionDenied {
        /// The attempted action.
        action: String,
        /// The operating system's error.
        source: io::Error,
    },

    /// As many data streams are open as `max_streams` allows.
    #[error("{max} data streams are open, and max_streams is {max}: close some or raise it")]
    TooManyStreams {
        /// The configured limit.
        max: u32,
    },

    /// As many streams of peers have not carried data yet as `max_silent_streams` allows.
    #[error("{max} streams of peers have carried no data yet, and max_silent_streams is {max}: wait, or raise it")]
    TooManySilentStreams {
        /// The configured limit.
        max: u32,
    },

    /// The process or the system has no file descriptors left.
    #[error("{action}: {source}: raise the limit (ulimit -n) or close some")]
    TooManyFiles {
        /// The attempted action.
        action: String,
        /// The operating system's error.
        source: io::Error,
    },

    /// The kernel's send queue is full, and stayed full while the call waited.
    #[error("the send queue of \"{interface}\" is full{}: the peer or the link does not keep up", Still(*.after))]
    QueueFull {
        /// The interface's name.
        interface: String,
        /// How long the call waited for room. Zero: this call does not wait.
        after: Duration,
    },

    /// There is no memory for a buffer, in this process or in the kernel.
    #[error("{action}: out of memory")]
    OutOfMemory {
        /// The attempted action.
        action: String,
    },

    /// An argument is outside its range.
    #[error("{what} is {value}: {allowed}")]
    OutOfRange {
        /// The argument's name.
        what: &'static str,
        /// Its value.
        value: String,
        /// The allowed range.
        allowed: String,
    },

    /// A thread could not be started.
    #[error("cannot start thread {name}: {source}: the limit on processes (ulimit -u) or memory is reached")]
    Thread {
        /// The thread's name.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Prints a duration in milliseconds.
struct Milliseconds(Duration);

/// Prints for how long a queue has been full. Zero prints an empty string.
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
    /// Makes a [`Timeout`](Self::Timeout), and keeps `text` for
    /// [`last_error_text`](Self::last_error_text) on this thread. For applications with time limits of
    /// their own.
    pub fn timed_out(text: impl fmt::Display) -> Self {
        detail::record(text);
        Self::Timeout
    }

    /// The whole text of this error, if it is the last one of the calling thread.
    ///
    /// For [`Timeout`](Self::Timeout) this is the text that the calling thread kept: see
    /// [What timed out](#what-timed-out). On a thread without an earlier time-out it is `timed out`.
    /// For all other variants it is the text that [`Display`](fmt::Display) prints.
    pub fn last_error_text(&self) -> String {
        match self {
            Self::Timeout => detail::last().unwrap_or_else(|| self.to_string()),
            _ => self.to_string(),
        }
    }

    /// The errno of the operating system's error, if this error has one. It does not depend on the
    /// calling thread.
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

    /// The same as [`errno`](Self::errno), by its name in [`io::Error`].
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno()
    }

    /// Whether the statistics count it under `errors`. A time-out, the effect of closing and a buffer
    /// that is too small are not failures of the transport.
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

    /// The error for a peer string that is not valid.
    pub(crate) fn invalid_address(address: &str, reason: impl fmt::Display) -> Self {
        Self::InvalidAddress(format!("invalid peer address \"{address}\": {reason}"))
    }

    /// The error for an interface, or `auto`, that does not exist. `reason` says how to find the right
    /// one.
    pub(crate) fn interface_not_found(interface: &str, reason: impl fmt::Display) -> Self {
        Self::InterfaceNotFound(format!(
            "network interface \"{interface}\" not found: {reason}"
        ))
    }

    /// The error for a connection that failed with an error of the operating system.
    pub(crate) fn connection_failed(action: impl fmt::Display, source: &io::Error) -> Self {
        Self::ConnectionFailed(format!("{action}: {source}"))
    }

    /// The error for a socket option, named as in socket(7), tcp(7) or ipv6(7).
    pub(crate) fn socket_option(
        option: &str,
        value: impl fmt::Display,
        source: &io::Error,
    ) -> Self {
        Self::SocketOption(format!(
            "cannot set socket option {option} to {value}: {source}"
        ))
    }

    /// [`Io`](Self::Io) with what was attempted.
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io(attempted::attempted(action.into(), source))
    }

    /// Chooses the variant by the errno. Whether an errno means that the link is down depends on the
    /// link's state: see [`Link::failed`](crate::link::Link::failed).
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

    /// Like [`from_os`](Self::from_os), for a file of the caller. A broken pipe or socket is a failed
    /// connection there too, but ETIMEDOUT comes from a file server, not from a peer.
    pub(crate) fn of_file(action: impl Into<String>, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ETIMEDOUT) => Self::io(action, source),
            _ => Self::from_os(action, source),
        }
    }
}

/// The error of a call whose deadline passed. `done` says how far the call got, `why` what it waited
/// for. A timeout of zero means that the caller does not wait.
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
