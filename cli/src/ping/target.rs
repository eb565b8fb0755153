//! Who is pinged: found again when its address changed while the link was down.

use thunderbolt_transport::ThunderboltTransport;

use crate::common::Common;
use crate::connect::{self, Peer};
use crate::output;

/// Answers that are missed before others are looked for: one may be lost, or late.
const MISSES: u32 = 3;

pub struct Target<'a> {
    transport: &'a ThunderboltTransport,
    common: &'a Common,
    pub peer: Peer,
    /// The user gave the address: it stays.
    is_named: bool,
    misses: u32,
    is_told: bool,
}

impl<'a> Target<'a> {
    pub fn new(
        transport: &'a ThunderboltTransport,
        common: &'a Common,
        peer: Peer,
        is_named: bool,
    ) -> Self {
        Self {
            transport,
            common,
            peer,
            is_named,
            misses: 0,
            is_told: false,
        }
    }

    pub fn answered(&mut self) {
        self.misses = 0;
    }

    /// No answer came. When that goes on, and somebody else is the only one on the link now, it is meant.
    pub fn missed(&mut self) {
        self.misses += 1;
        if self.misses < MISSES {
            return;
        }
        let Some(mut present) = connect::present(self.transport, self.common) else {
            return;
        };
        if present.is_empty() || present.iter().any(|peer| peer.is_at(&self.peer)) {
            self.misses = 0;
            return;
        }
        if !std::mem::replace(&mut self.is_told, true) {
            output::note(&connect::gone(&self.peer, &present));
        }
        if !self.is_named && present.len() == 1 {
            self.peer = present.remove(0);
            (self.misses, self.is_told) = (0, false);
        }
    }
}
