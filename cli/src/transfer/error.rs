//! Errors that stop a transfer, by what can be done about them.

use thunderbolt_transport::TransportError;

use crate::exit::Exit;
use crate::failure::Failure;

#[derive(Debug)]
pub enum TransferError {
    /// The connection broke. Retry later.
    Broken(Failure),
    /// The receiver is busy with another push. Retry later.
    Busy,
    /// Retrying does not help.
    Fatal(Failure),
}

pub type Result<T> = std::result::Result<T, TransferError>;

impl TransferError {
    /// The peer violated the protocol.
    pub fn protocol(what: impl std::fmt::Display) -> Self {
        Self::Fatal(Failure::new(
            Exit::Peer,
            format!("the peer violated the protocol: {what}"),
        ))
    }

    /// The stream ended early.
    pub fn ended() -> Self {
        Self::Broken(Failure::new(Exit::Peer, "the peer closed the connection"))
    }
}

impl From<TransportError> for TransferError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::LinkDown { .. }
            | TransportError::ConnectionFailed(_)
            | TransportError::Timeout => Self::Broken(error.into()),
            other => Self::Fatal(other.into()),
        }
    }
}

impl From<Failure> for TransferError {
    fn from(failure: Failure) -> Self {
        Self::Fatal(failure)
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Busy => Self::new(Exit::Peer, "the receiver is busy with another push"),
            TransferError::Broken(failure) | TransferError::Fatal(failure) => failure,
        }
    }
}
