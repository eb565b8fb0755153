//! Why a stream takes no more calls.

/// Why a stream takes no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CloseReason {
    Closed = 1,
    Detached = 2,
    LinkGone = 3,
    TransportClosed = 4,
    /// It was silent, and was closed to make room for another stream.
    Evicted = 5,
    /// This side reset it.
    Rejected = 6,
}

impl CloseReason {
    /// The reason that is stored as this number; 0 is an open stream.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Closed,
            Self::Detached,
            Self::LinkGone,
            Self::TransportClosed,
            Self::Evicted,
            Self::Rejected,
        ]
        .into_iter()
        .find(|reason| *reason as u8 == number)
    }
}
