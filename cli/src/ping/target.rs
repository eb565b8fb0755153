//! The peer that is pinged. It is searched for again if its address changed while the link was down.

use thunderbolt_transport::ThunderboltTransport;

use crate::common::Common;
use crate::connect;
use crate::output;
use crate::peer::Peer;

/// Search for other peers after this many lost pings: one may be lost or late.
const MISSES: u32 = 3;

pub struct Target<'a> {
    transport: &'a ThunderboltTransport,
    common: &'a Common,
    pub peer: Peer,
    /// The user gave the address, so it is not replaced.
    is_named: bool,
    misses: u32,
    is_noted: bool,
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
            is_noted: false,
        }
    }

    pub fn answered(&mut self) {
        self.misses = 0;
    }

    /// Records a lost ping. After several, if another peer is the only one on the link, it becomes the target.
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
        if !std::mem::replace(&mut self.is_noted, true) {
            output::note(&connect::gone(&self.peer, &present));
        }
        if !self.is_named && present.len() == 1 {
            self.peer = present.remove(0);
            (self.misses, self.is_noted) = (0, false);
        }
    }
}
