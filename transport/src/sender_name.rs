//! The peer string of a sender.

use std::sync::Arc;

/// The peer string of a sender, shared by its messages. It ends with a NUL, for C.
#[derive(Debug, Clone)]
pub(crate) struct SenderName(Arc<str>);

impl SenderName {
    pub fn new(peer: &str) -> Self {
        Self(format!("{peer}\0").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }

    pub fn as_bytes_with_nul(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
