//! The error inside [`TransportError::Io`](super::TransportError::Io).

use std::error::Error;
use std::io;

/// An error of the operating system, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {source}")]
struct Attempted {
    action: String,
    source: io::Error,
}

pub(super) fn attempted(action: String, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Attempted { action, source })
}

/// The errno of an error, or of the first of its sources that has one.
pub(super) fn errno(error: &io::Error) -> Option<i32> {
    if let Some(errno) = error.raw_os_error() {
        return Some(errno);
    }
    let mut inside: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = inside {
        let answer = inner.downcast_ref::<io::Error>();
        if let Some(errno) = answer.and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        inside = inner.source();
    }
    None
}
