//! What leaves on rails.

use std::ops::Range;
use std::time::Instant;

use super::{Action, Session};
use crate::rails::rail::{Outgoing, RailId};
use crate::rails::send::Content;
use crate::rails::wire::{Frame, FRAME_SIZE};

/// What to write next to a rail: the three after one another, in as many pieces as the socket takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transmit<'a> {
    pub header: &'a [u8],
    /// The text of a reset.
    pub text: &'a [u8],
    /// Positions of the stream: the driver has the bytes.
    pub data: Range<u64>,
}

impl Session {
    /// Whether a rail has something to write.
    pub fn has_output(&self, rail: RailId) -> bool {
        let Some(index) = self.index(rail) else {
            return false;
        };
        let rail = &self.rails[index];
        if rail.outgoing.is_some() || self.resetting.is_some() {
            return true;
        }
        self.end.is_none() && (rail.owes_ack || rail.owes_probe || self.sender.is_ready())
    }

    /// What to write next to a rail that takes bytes. The rail that asks first gets the next data: so rails of
    /// different speed balance themselves. Report to [`Self::transmitted`] what was written.
    pub fn transmit(&mut self, now: Instant, rail: RailId) -> Option<Transmit<'_>> {
        let index = self.index(rail)?;
        if self.rails[index].outgoing.is_none() {
            self.rails[index].outgoing = Some(self.next_frame(now, index)?);
        }
        let frame = self.rails[index].outgoing.as_ref()?;
        let written = frame.written;
        Some(Transmit {
            header: &frame.header[written.min(FRAME_SIZE)..],
            text: &frame.text.unwrap_or_default().as_bytes()[written.saturating_sub(FRAME_SIZE)..],
            data: frame.data.clone(),
        })
    }

    fn next_frame(&mut self, now: Instant, index: usize) -> Option<Outgoing> {
        let rails = self.rails.len() as u64;
        let rail = &mut self.rails[index];
        if let Some((text, _)) = self.resetting {
            let length = text.len() as u32;
            let mut frame = Outgoing::new(Frame::Reset { length });
            frame.text = Some(text);
            return Some(frame);
        }
        if self.end.is_some() {
            return None;
        }
        if rail.owes_ack {
            rail.owes_ack = false;
            rail.ack_at = None;
            let (offset, window) = self.receiver.announce();
            return Some(Outgoing::new(Frame::Ack { offset, window }));
        }
        if rail.owes_probe {
            rail.owes_probe = false;
            return Some(Outgoing::new(Frame::Alive));
        }
        let chunk = u64::from(self.settings.chunk);
        let most = if rails > 1 { chunk / 4 } else { chunk };
        let frame = match self.sender.take(rail.id, most)? {
            Content::Finish(offset) => Frame::Finish { offset },
            Content::Data(Range { start, end }) => Frame::Data {
                offset: start,
                length: (end - start) as u32,
            },
        };
        rail.expect_ack(now);
        Some(Outgoing::new(frame))
    }

    /// So many bytes of the last [`Self::transmit`] were written.
    pub fn transmitted(&mut self, now: Instant, rail: RailId, count: usize) {
        let Some(index) = self.index(rail) else {
            return;
        };
        let Some(frame) = &mut self.rails[index].outgoing else {
            return;
        };
        let (pinned, acknowledges) = (frame.data.start, frame.acknowledges);
        if !frame.advance(count) {
            return;
        }
        let is_reset = frame.text.is_some();
        self.rails[index].outgoing = None;
        if is_reset {
            let rail = self.remove_rail(now, index).id;
            let orderly = true;
            self.actions.push_back(Action::Close { rail, orderly });
            return;
        }
        if pinned < self.sender.acknowledged() && acknowledges == 0 {
            // It was kept for this frame only.
            self.wake(Action::WakeWriter);
        }
        if self.receiver.is_complete() && acknowledges == self.receiver.acknowledged() {
            self.is_final_ack_sent = true;
            self.end_if_complete();
        }
    }
}
