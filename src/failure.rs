//! The failure of a call on its way to C, and the mapping from the transport's errors to statuses.

use std::borrow::Cow;
use std::io;

use thunderbolt_transport::TransportError;

use crate::status::*;

/// The result of the body of an exported function.
pub(crate) type Outcome = Result<(), Failure>;

/// A status other than `DCF_TB_OK`, with the text and the errno for this thread's last error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: dcf_tb_status,
    pub(crate) errno: i32,
    pub(crate) text: Cow<'static, str>,
}

impl Failure {
    /// A failure that does not come from the operating system.
    #[cold]
    pub(crate) fn new(status: dcf_tb_status, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            errno: 0,
            text: text.into(),
        }
    }

    /// A failure of the last system call, from its errno.
    #[cold]
    pub(crate) fn os(status: dcf_tb_status, action: impl std::fmt::Display) -> Self {
        let error = io::Error::last_os_error();
        Self {
            status,
            errno: error.raw_os_error().unwrap_or(0),
            text: format!("{action}: {error}").into(),
        }
    }

    #[cold]
    pub(crate) fn null(name: &str) -> Self {
        Self::new(DCF_TB_ERR_NULL_POINTER, format!("{name} is NULL"))
    }

    #[cold]
    pub(crate) fn out_of_range(
        name: &str,
        value: impl std::fmt::Display,
        allowed: impl std::fmt::Display,
    ) -> Self {
        Self::new(
            DCF_TB_ERR_OUT_OF_RANGE,
            format!("{name} is {value}: {allowed}"),
        )
    }

    #[cold]
    pub(crate) fn invalid_handle(kind: &str, handle: u64) -> Self {
        Self::new(
            DCF_TB_ERR_INVALID_HANDLE,
            format!("{handle:#x} is not an open {kind}"),
        )
    }

    #[cold]
    pub(crate) fn out_of_memory(what: &'static str) -> Self {
        Self::new(DCF_TB_ERR_OUT_OF_MEMORY, what)
    }
}

impl From<TransportError> for Failure {
    /// Must run on the thread that made the call, because that thread keeps the text of a timeout.
    #[cold]
    fn from(error: TransportError) -> Self {
        Self {
            status: status_of(&error),
            errno: error.errno().unwrap_or(0),
            text: match error {
                // Polling callers get this answer often, so it must not allocate.
                TransportError::WouldBlock => {
                    "the call would have to wait, and its timeout is 0".into()
                }
                error => error.last_error_text().into(),
            },
        }
    }
}

fn status_of(error: &TransportError) -> dcf_tb_status {
    match error {
        TransportError::WouldBlock => DCF_TB_WOULD_BLOCK,
        TransportError::Cancelled | TransportError::Shutdown => DCF_TB_CANCELLED,
        TransportError::Timeout => DCF_TB_ERR_TIMEOUT,
        TransportError::ConnectionFailed(_) => connection_status(error),
        TransportError::LinkDown { .. } => DCF_TB_ERR_LINK_DOWN,
        TransportError::InvalidAddress(_) => DCF_TB_ERR_INVALID_ADDRESS,
        TransportError::InterfaceNotFound(_) => DCF_TB_ERR_INTERFACE_NOT_FOUND,
        TransportError::MessageTooLarge { .. } => DCF_TB_ERR_MESSAGE_TOO_LARGE,
        TransportError::BufferTooSmall { .. } => DCF_TB_ERR_BUFFER_TOO_SMALL,
        TransportError::InvalidMessage(_) => DCF_TB_ERR_INVALID_MESSAGE,
        TransportError::NotInitialized => DCF_TB_ERR_NOT_INITIALIZED,
        TransportError::SocketOption(_) => DCF_TB_ERR_SOCKET_OPTION,
        TransportError::AddressInUse { .. } => DCF_TB_ERR_ADDRESS_IN_USE,
        TransportError::PermissionDenied { .. } => DCF_TB_ERR_PERMISSION_DENIED,
        TransportError::TooManyStreams { .. } | TransportError::TooManySilentStreams { .. } => {
            DCF_TB_ERR_TOO_MANY_CONNECTIONS
        }
        TransportError::TooManyFiles { .. } => DCF_TB_ERR_TOO_MANY_FILES,
        TransportError::QueueFull { .. } => DCF_TB_ERR_QUEUE_FULL,
        TransportError::OutOfMemory { .. } => DCF_TB_ERR_OUT_OF_MEMORY,
        TransportError::OutOfRange { .. } => DCF_TB_ERR_OUT_OF_RANGE,
        TransportError::Thread { .. } => DCF_TB_ERR_THREAD,
        // Io, and errors that later versions of the transport add.
        _ => DCF_TB_ERR_IO,
    }
}

/// The status for the way in which a connection failed.
fn connection_status(error: &TransportError) -> dcf_tb_status {
    use io::ErrorKind as Kind;
    match (error.errno(), error.kind()) {
        // shutdown(2) on a connection that has already ended.
        (Some(libc::ENOTCONN), _) => DCF_TB_ERR_BROKEN_PIPE,
        (Some(libc::EHOSTDOWN), _) | (_, Kind::HostUnreachable | Kind::NetworkUnreachable) => {
            DCF_TB_ERR_HOST_UNREACHABLE
        }
        (_, Kind::ConnectionRefused) => DCF_TB_ERR_CONNECTION_REFUSED,
        (_, Kind::ConnectionReset) => DCF_TB_ERR_CONNECTION_RESET,
        (_, Kind::BrokenPipe) => DCF_TB_ERR_BROKEN_PIPE,
        // Includes ETIMEDOUT: the kernel gave up on the peer.
        (_, Kind::ConnectionAborted) => DCF_TB_ERR_CONNECTION_ABORTED,
        _ => DCF_TB_ERR_CONNECTION_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn os(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    fn connection(source: io::Error) -> TransportError {
        TransportError::ConnectionFailed(format!("connect to fe80::1%lo: {source}"))
    }

    #[test]
    fn connections_fail_in_their_own_ways() {
        for (errno, status) in [
            (libc::ECONNREFUSED, DCF_TB_ERR_CONNECTION_REFUSED),
            (libc::ECONNRESET, DCF_TB_ERR_CONNECTION_RESET),
            (libc::EPIPE, DCF_TB_ERR_BROKEN_PIPE),
            (libc::EHOSTUNREACH, DCF_TB_ERR_HOST_UNREACHABLE),
            (libc::EHOSTDOWN, DCF_TB_ERR_HOST_UNREACHABLE),
            // Only while the link is up; otherwise the error is LinkDown.
            (libc::ENETUNREACH, DCF_TB_ERR_HOST_UNREACHABLE),
            (libc::ECONNABORTED, DCF_TB_ERR_CONNECTION_ABORTED),
            (libc::ETIMEDOUT, DCF_TB_ERR_CONNECTION_ABORTED),
            (libc::EPROTO, DCF_TB_ERR_CONNECTION_FAILED),
        ] {
            let failure = Failure::from(connection(os(errno)));
            assert_eq!((failure.status, failure.errno), (status, errno));
            assert!(failure.text.starts_with("connect to fe80::1%lo: "));
        }
        let refused = connection(io::ErrorKind::ConnectionRefused.into());
        let failure = Failure::from(refused);
        // The status depends on the errno only.
        assert_eq!(failure.status, DCF_TB_ERR_CONNECTION_FAILED);
        assert_eq!(failure.errno, 0);
    }

    #[test]
    fn errors_map_one_to_one() {
        let text = String::new;
        let after = Duration::from_millis(5);
        for (error, status) in [
            (TransportError::WouldBlock, DCF_TB_WOULD_BLOCK),
            (TransportError::Cancelled, DCF_TB_CANCELLED),
            (TransportError::Shutdown, DCF_TB_CANCELLED),
            (TransportError::NotInitialized, DCF_TB_ERR_NOT_INITIALIZED),
            (
                TransportError::timed_out("no data came from fe80::1%lo within 5 ms"),
                DCF_TB_ERR_TIMEOUT,
            ),
            (
                TransportError::InvalidAddress(text()),
                DCF_TB_ERR_INVALID_ADDRESS,
            ),
            (
                TransportError::InterfaceNotFound(text()),
                DCF_TB_ERR_INTERFACE_NOT_FOUND,
            ),
            (
                TransportError::SocketOption(format!("cannot set it: {}", os(libc::ENOPROTOOPT))),
                DCF_TB_ERR_SOCKET_OPTION,
            ),
            (
                TransportError::MessageTooLarge {
                    size: 65508,
                    max: 65507,
                },
                DCF_TB_ERR_MESSAGE_TOO_LARGE,
            ),
            (
                TransportError::BufferTooSmall {
                    buffer: "buf",
                    size: 1,
                    needed: 2,
                },
                DCF_TB_ERR_BUFFER_TOO_SMALL,
            ),
            (
                TransportError::InvalidMessage(text()),
                DCF_TB_ERR_INVALID_MESSAGE,
            ),
            (
                TransportError::TooManyStreams { max: 3 },
                DCF_TB_ERR_TOO_MANY_CONNECTIONS,
            ),
            (
                TransportError::QueueFull {
                    interface: text(),
                    after,
                },
                DCF_TB_ERR_QUEUE_FULL,
            ),
            (
                TransportError::OutOfMemory {
                    action: "a copy".into(),
                },
                DCF_TB_ERR_OUT_OF_MEMORY,
            ),
            (
                TransportError::LinkDown {
                    interface: text(),
                    reason: text(),
                    errno: None,
                    back: false,
                },
                DCF_TB_ERR_LINK_DOWN,
            ),
            (
                TransportError::Thread {
                    name: text(),
                    source: os(libc::EAGAIN),
                },
                DCF_TB_ERR_THREAD,
            ),
            (TransportError::Io(os(libc::EIO)), DCF_TB_ERR_IO),
        ] {
            let errno = error.errno().unwrap_or(0);
            let words = error.last_error_text();
            let failure = Failure::from(error);
            assert_eq!((failure.status, failure.errno), (status, errno), "{words}");
            assert_eq!(failure.text, words);
        }
    }
}
