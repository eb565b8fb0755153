//! What can go wrong, with the offending value in every message.

use std::io;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, TransportError>;

/// A failure, in words that name the offending value and say what to do.
///
/// [`raw_os_error`](TransportError::raw_os_error) gives the errno behind it, where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The operating system refused something that has no error of its own here.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, for example `receive on the control socket`.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A peer string that is not an address, or not one on our interface.
    #[error("invalid peer address \"{address}\": {reason}")]
    InvalidAddress {
        /// The string as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },

    /// No such network interface on this host.
    #[error("network interface \"{interface}\" not found: {reason}")]
    InterfaceNotFound {
        /// The name (or `auto`) that was looked for.
        interface: String,
        /// How to find the right one.
        reason: String,
    },

    /// A control message larger than one UDP datagram can carry.
    #[error("message of {size} bytes is too large: one control message carries at most {max}; use a data stream")]
    MessageTooLarge {
        /// Bytes that were to be sent.
        size: usize,
        /// [`MAX_MESSAGE_SIZE`](crate::MAX_MESSAGE_SIZE).
        max: usize,
    },

    /// A data stream could not be opened, or broke. The kind of `source` tells which way: refused,
    /// reset, broken pipe, host unreachable, or timed out: the peer stopped answering. (The time
    /// that a call was given is another matter: [`Timeout`](Self::Timeout).) Once a stream broke,
    /// all its calls say so.
    #[error("{action}: {source}")]
    ConnectionFailed {
        /// What was being done, naming the peer.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// The transport was not started.
    #[error("the transport is not initialized")]
    NotInitialized,

    /// The transport was closed before or during the call.
    #[error("the transport was closed")]
    Shutdown,

    /// Bytes that do not mean what they should.
    #[error("invalid message: {0}")]
    InvalidMessage(String),

    /// The time was up.
    #[error("{what}: nothing within {}", Milliseconds(*.after))]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },

    /// A socket option that matters could not be set.
    #[error("cannot set socket option {option} to {value}: {source}")]
    SocketOption {
        /// Its name as in socket(7), tcp(7) or ipv6(7).
        option: &'static str,
        /// The value asked for.
        value: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A timeout of zero was given, and the call would have had to wait.
    #[error("nothing is ready, and the call was not to wait")]
    WouldBlock,

    /// The stream was closed or detached while the call waited on it.
    #[error("the stream was closed")]
    Cancelled,

    /// The caller's buffer is too small. The message is kept.
    #[error("buffer of {size} bytes is too small: {needed} are needed")]
    BufferTooSmall {
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

impl std::fmt::Display for Still {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.is_zero() {
            true => Ok(()),
            false => write!(f, ", and was for {}", Milliseconds(self.0)),
        }
    }
}

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

impl TransportError {
    /// The errno behind this error, if the operating system was asked.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. }
            | Self::ConnectionFailed { source, .. }
            | Self::SocketOption { source, .. }
            | Self::AddressInUse { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::TooManyFiles { source, .. }
            | Self::Thread { source, .. } => source.raw_os_error(),
            Self::LinkDown { errno, .. } => *errno,
            _ => None,
        }
    }

    /// Whether the statistics count it under `errors`: what a caller asked for by a timeout, or by
    /// closing, is no failure.
    pub(crate) fn counts(&self) -> bool {
        !matches!(
            self,
            Self::Timeout { .. }
                | Self::WouldBlock
                | Self::Cancelled
                | Self::Shutdown
                | Self::BufferTooSmall { .. }
        )
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
            ) => Self::ConnectionFailed { action, source },
            Some(libc::ENOMEM) => Self::OutOfMemory { action },
            _ => Self::Io { action, source },
        }
    }

    /// The same for a file that the caller brought. Its pipe or socket may have broken; a file server
    /// that does not answer is no peer of ours.
    pub(crate) fn of_file(action: impl Into<String>, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ETIMEDOUT) => Self::Io {
                action: action.into(),
                source,
            },
            _ => Self::from_os(action, source),
        }
    }
}

impl From<TransportError> for io::Error {
    /// For the `Read` and `Write` of a stream: the kind is kept where std has one. `TimedOut` is the
    /// caller's own time limit only: a peer that stopped answering is `ConnectionAborted`.
    fn from(error: TransportError) -> Self {
        use io::ErrorKind as Kind;
        let kind = match &error {
            TransportError::ConnectionFailed { source, .. } if source.kind() == Kind::TimedOut => {
                Kind::ConnectionAborted
            }
            TransportError::Io { source, .. } | TransportError::ConnectionFailed { source, .. } => {
                source.kind()
            }
            TransportError::InvalidAddress { .. } | TransportError::OutOfRange { .. } => {
                Kind::InvalidInput
            }
            TransportError::InterfaceNotFound { .. } => Kind::NotFound,
            TransportError::Timeout { .. } => Kind::TimedOut,
            TransportError::WouldBlock => Kind::WouldBlock,
            TransportError::LinkDown { .. } => Kind::NetworkDown,
            TransportError::AddressInUse { .. } => Kind::AddrInUse,
            TransportError::PermissionDenied { .. } => Kind::PermissionDenied,
            TransportError::OutOfMemory { .. } => Kind::OutOfMemory,
            TransportError::Cancelled | TransportError::Shutdown => Kind::ConnectionAborted,
            _ => Kind::Other,
        };
        Self::new(kind, error)
    }
}

/// The error of a wait that found nothing: a timeout of zero asked not to wait at all.
pub(crate) fn expired(what: impl Into<String>, timeout: Option<Duration>) -> TransportError {
    match timeout {
        Some(after) if !after.is_zero() => TransportError::Timeout {
            what: what.into(),
            after,
        },
        _ => TransportError::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_stopped_answering_is_not_the_callers_time_limit() {
        let kind = |error: TransportError| io::Error::from(error).kind();
        let silent = io::Error::from_raw_os_error(libc::ETIMEDOUT);
        let dead = TransportError::from_os("cannot read", silent);
        assert_eq!(dead.raw_os_error(), Some(libc::ETIMEDOUT));
        assert_eq!(kind(dead), io::ErrorKind::ConnectionAborted);
        let late = expired("stream", Some(Duration::from_millis(5)));
        assert_eq!(kind(late), io::ErrorKind::TimedOut);
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
        let reset = TransportError::from_os("cannot read", reset);
        assert_eq!(kind(reset), io::ErrorKind::ConnectionReset);
    }
}
