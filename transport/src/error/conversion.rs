//! Conversions between this crate's errors and those of `std::io`.

use std::io;

use super::{detail, TransportError};

/// A time-out with its text, for which the variant has no field.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Explained {
    text: String,
    source: TransportError,
}

impl TransportError {
    /// The kind of this error as an [`io::Error`]. `TimedOut` is only for the caller's own time limit;
    /// for a peer that stopped answering, the kind is `ConnectionAborted`.
    pub fn kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Kind;
        let answer = || {
            let answer = self.errno().map(io::Error::from_raw_os_error);
            answer.map_or(Kind::Other, |answer| answer.kind())
        };
        match self {
            Self::Io(error) => error.kind(),
            Self::ConnectionFailed(_) => match answer() {
                Kind::TimedOut => Kind::ConnectionAborted,
                kind => kind,
            },
            Self::SocketOption(_) => answer(),
            Self::InvalidAddress(_)
            | Self::OutOfRange { .. }
            | Self::MessageTooLarge { .. }
            | Self::BufferTooSmall { .. } => Kind::InvalidInput,
            Self::InvalidMessage(_) => Kind::InvalidData,
            Self::InterfaceNotFound(_) => Kind::NotFound,
            Self::Timeout => Kind::TimedOut,
            Self::WouldBlock => Kind::WouldBlock,
            Self::LinkDown { .. } => Kind::NetworkDown,
            Self::AddressInUse { .. } => Kind::AddrInUse,
            Self::PermissionDenied { .. } => Kind::PermissionDenied,
            Self::OutOfMemory { .. } => Kind::OutOfMemory,
            Self::NotInitialized => Kind::NotConnected,
            Self::Cancelled | Self::Shutdown => Kind::ConnectionAborted,
            Self::TooManyStreams { .. }
            | Self::TooManySilentStreams { .. }
            | Self::TooManyFiles { .. }
            | Self::QueueFull { .. }
            | Self::Thread { .. } => Kind::Other,
        }
    }

    /// The error of this crate inside an [`io::Error`], for example one from a stream's `Read`. `None` if
    /// it contains none.
    pub fn in_io(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<Explained>() {
            Some(explained) => Some(&explained.source),
            None => inner.downcast_ref(),
        }
    }
}

impl From<TransportError> for io::Error {
    /// Keeps the text, the [`kind`](TransportError::kind) and the
    /// [`errno`](TransportError::errno). A [`Timeout`](TransportError::Timeout) gets the text that the
    /// calling thread kept for it.
    fn from(error: TransportError) -> Self {
        let kind = error.kind();
        match error {
            TransportError::Io(error) => error,
            source @ TransportError::Timeout => {
                let text = source.last_error_text();
                Self::new(kind, Explained { text, source })
            }
            error => Self::new(kind, error),
        }
    }
}

impl From<io::Error> for TransportError {
    /// Returns the error of this crate that it contains, else [`Io`](TransportError::Io). The calling
    /// thread keeps the text of a time-out.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Explained>() {
            Ok(explained) => {
                detail::record(&explained.text);
                explained.source
            }
            Err(error) => error.downcast::<Self>().unwrap_or_else(Self::Io),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expired;
    use super::*;
    use std::error::Error;
    use std::time::Duration;

    fn os(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    #[test]
    fn a_peer_that_stopped_answering_is_not_the_callers_time_limit() {
        let kind = |error: TransportError| io::Error::from(error).kind();
        let dead = TransportError::from_os("cannot read", os(libc::ETIMEDOUT));
        assert_eq!(dead.errno(), Some(libc::ETIMEDOUT));
        assert_eq!(kind(dead), io::ErrorKind::ConnectionAborted);
        let late = expired("no data came", Some(Duration::from_millis(5)), "");
        assert_eq!(kind(late), io::ErrorKind::TimedOut);
        let reset = TransportError::from_os("cannot read", os(libc::ECONNRESET));
        assert_eq!(kind(reset), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn an_errno_survives_every_variant_and_the_way_through_io() {
        for errno in 1..134 {
            let errors = [
                TransportError::io("cannot do it", os(errno)),
                TransportError::connection_failed("cannot do it", &os(errno)),
                TransportError::socket_option("SO_X", "\"(os error 7)\"", &os(errno)),
                TransportError::from_os("cannot do it", os(errno)),
                TransportError::from(os(errno)),
            ];
            for error in errors {
                if matches!(error, TransportError::OutOfMemory { .. }) {
                    continue;
                }
                let (text, kind) = (error.to_string(), error.kind());
                assert_eq!(error.errno(), Some(errno), "{text}");
                assert_eq!(error.raw_os_error(), Some(errno), "{text}");
                let through = io::Error::from(error);
                assert_eq!((through.to_string(), through.kind()), (text.clone(), kind));
                let back = TransportError::from(through);
                assert_eq!((back.errno(), back.kind()), (Some(errno), kind), "{text}");
                assert_eq!(back.to_string(), text);
            }
        }
    }

    #[test]
    fn an_error_of_the_system_comes_and_goes_as_it_is() {
        let error = TransportError::from(os(libc::ENOSPC));
        assert!(matches!(&error, TransportError::Io(error)
            if error.raw_os_error() == Some(libc::ENOSPC)));
        assert_eq!(io::Error::from(error).raw_os_error(), Some(libc::ENOSPC));
    }

    #[test]
    fn the_answer_is_the_source_of_what_was_attempted() {
        let error = TransportError::io("cannot write", os(libc::EIO));
        assert!(error.to_string().starts_with("cannot write: "));
        let source = error.source().and_then(|source| source.downcast_ref());
        let source: &io::Error = source.expect("the answer");
        assert_eq!(source.raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn a_time_out_takes_its_text_to_another_thread() {
        let late = expired("no data came from ::1", Some(Duration::from_millis(5)), "");
        assert_eq!(late.to_string(), "timed out");
        let text = "no data came from ::1 within 5 ms";
        assert_eq!(late.last_error_text(), text);
        let error = io::Error::from(late);
        assert_eq!(error.to_string(), text);
        assert!(matches!(
            TransportError::in_io(&error),
            Some(TransportError::Timeout)
        ));
        std::thread::spawn(move || {
            assert_eq!(TransportError::Timeout.last_error_text(), "timed out");
            let back = TransportError::from(error);
            assert!(matches!(back, TransportError::Timeout));
            assert_eq!(back.last_error_text(), text);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn an_error_in_an_io_error_can_be_looked_at_and_taken_out() {
        let error = io::Error::from(TransportError::TooManyStreams { max: 3 });
        assert!(matches!(
            TransportError::in_io(&error),
            Some(TransportError::TooManyStreams { max: 3 })
        ));
        assert!(matches!(
            TransportError::from(error),
            TransportError::TooManyStreams { max: 3 }
        ));
        let foreign = io::Error::other("foreign");
        assert!(TransportError::in_io(&foreign).is_none());
        let error = TransportError::from(foreign);
        assert_eq!((error.errno(), error.to_string()), (None, "foreign".into()));
    }
}
