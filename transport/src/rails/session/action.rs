//! The actions that a session asks of its driver, and the ways in which it ends.

use crate::rails::rail::RailId;
use crate::rails::wire::Status;

/// Something for the driver to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Connect over this path of the opener, write [`super::Session::hello`], and report 56 bytes to
    /// [`super::Session::reply`].
    Connect(usize),
    /// Close the connection over this path, which has not become a rail.
    GiveUp(usize),
    /// Close this rail, which the session has forgotten.
    Close {
        rail: RailId,
        /// Let what was written arrive. Otherwise reset it, so that the peer learns at once.
        orderly: bool,
    },
    /// More can be read, or the end has come.
    WakeReader,
    /// More can be written, more was acknowledged, or the end has come.
    WakeWriter,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides finished, and have everything.
    Complete,
    /// Reset here.
    Reset(&'static str),
    /// Reset by the peer, which may say why.
    ResetByPeer(String),
    /// The peer violated the protocol.
    Violation(String),
    /// The peer does not know the session: it was started again, or gave up.
    Unknown,
    /// The peer does not take the session.
    Refused(Status),
    /// No rail came back in time.
    Dead,
}
