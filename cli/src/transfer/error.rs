//! What stops a transfer, sorted by what can be done about it.

use thunderbolt_transport::TransportError;

use crate::exit::Exit;
use crate::failure::Failure;

#[derive(Debug)]
pub enum TransferError {
    /// The connection broke: trying again later may help.
    Broken(Failure),
    /// The receiver takes files from somebody else: later.
    Busy,
    /// Nothing helps.
    Fatal(Failure),
}

pub type Result<T> = std::result::Result<T, TransferError>;

impl TransferError {
    /// The other side does not keep to the protocol.
    pub fn protocol(what: impl std::fmt::Display) -> Self {
        Self::Fatal(Failure::new(
            Exit::Peer,
            format!("the other side does not keep to the protocol: {what}"),
        ))
    }

    /// The stream ended in the middle.
    pub fn ended() -> Self {
        Self::Broken(Failure::new(
            Exit::Peer,
            "the other side ended the connection",
        ))
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
            TransferError::Busy => {
                Self::new(Exit::Peer, "the receiver takes files from somebody else")
            }
            TransferError::Broken(failure) | TransferError::Fatal(failure) => failure,
        }
    }
}
