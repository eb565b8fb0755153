//! A peer string of fixed size. Each message has one, so it must not allocate.

use crate::types::DCF_TB_PEER_SIZE;

/// The text, NUL-terminated.
#[derive(Clone, Copy)]
pub(super) struct PeerText {
    bytes: [u8; DCF_TB_PEER_SIZE],
    len: u8,
}

impl PeerText {
    /// Peer strings of the transport always fit.
    pub(super) fn new(peer: &str) -> Self {
        let mut bytes = [0; DCF_TB_PEER_SIZE];
        let len = peer.len().min(DCF_TB_PEER_SIZE - 1);
        bytes[..len].copy_from_slice(&peer.as_bytes()[..len]);
        Self {
            bytes,
            len: len as u8,
        }
    }

    pub(super) fn with_nul(&self) -> &[u8] {
        &self.bytes[..=usize::from(self.len)]
    }
}
