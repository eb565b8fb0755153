//! What arrives on rails.

use std::time::{Duration, Instant};

use super::{Action, End, Session, ACK_EVERY};
use crate::rails::rail::{Incoming, RailId};
use crate::rails::receive::{Piece, Violation};
use crate::rails::wire::{Frame, FRAME_SIZE};

/// Received data are acknowledged after this time at the latest. It begins with the first bytes, so a slow rail that
/// always brings some is acknowledged too.
const ACK_DELAY: Duration = Duration::from_millis(1);

/// What to read next from a rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// So many bytes for [`Session::control`].
    Control(usize),
    /// Bytes of the stream: report to [`Session::payload`] what was read of them.
    Payload(Piece),
    /// Do not read: the session ended, or has closed this rail.
    Nothing,
}

impl Session {
    pub fn need(&self, rail: RailId) -> Need {
        let Some(index) = self.index(rail) else {
            return Need::Nothing;
        };
        if self.end.is_some() {
            return Need::Nothing;
        }
        let rail = &self.rails[index];
        match rail.incoming {
            Incoming::Header => Need::Control(FRAME_SIZE - rail.control_length),
            Incoming::Text(length) => Need::Control(length - rail.control_length),
            Incoming::Payload { offset, length } => {
                Need::Payload(self.receiver.piece(offset, length))
            }
        }
    }

    /// Bytes of a header or of a text arrived: as many as [`Need::Control`] said, or fewer.
    pub fn control(&mut self, now: Instant, rail: RailId, bytes: &[u8]) {
        let Need::Control(missing) = self.need(rail) else {
            return;
        };
        let Some(index) = self.index(rail) else {
            return;
        };
        let rail = &mut self.rails[index];
        rail.heard = now;
        let before = rail.control_length;
        rail.control[before..before + bytes.len()].copy_from_slice(bytes);
        rail.control_length += bytes.len();
        if bytes.len() < missing {
            return;
        }
        let length = std::mem::take(&mut rail.control_length);
        if rail.incoming != Incoming::Header {
            let text = String::from_utf8_lossy(&rail.control[..length]).into_owned();
            return self.end_with(End::ResetByPeer(text));
        }
        let mut header = [0; FRAME_SIZE];
        header.copy_from_slice(&rail.control[..FRAME_SIZE]);
        match Frame::decode(&header) {
            Ok(frame) => self.take_frame(now, index, frame),
            Err(error) => self.violated(now, "invalid frame", error.to_string()),
        }
    }

    fn take_frame(&mut self, now: Instant, index: usize, frame: Frame) {
        match frame {
            Frame::Data { offset, length } => match self.receiver.admit(offset, length) {
                Ok(()) => {
                    let length = length.into();
                    self.rails[index].incoming = Incoming::Payload { offset, length };
                }
                Err(violation) => self.peer_violated(now, violation, offset),
            },
            Frame::Ack { offset, window } => self.take_ack(now, index, offset, window),
            Frame::Finish { offset } => {
                let was_complete = self.receiver.is_complete();
                if let Err(violation) = self.receiver.finish(offset) {
                    return self.peer_violated(now, violation, offset);
                }
                self.rails[index].owes_ack = true;
                if self.receiver.is_complete() && !was_complete {
                    self.wake(Action::WakeReader);
                }
            }
            Frame::Reset { length: 0 } => self.end_with(End::ResetByPeer(String::new())),
            Frame::Reset { length } => {
                self.rails[index].incoming = Incoming::Text(length as usize);
            }
            Frame::Alive => self.rails[index].owes_ack = true,
        }
    }

    fn peer_violated(&mut self, now: Instant, violation: Violation, offset: u64) {
        let detail = format!("{} (at {offset})", violation.text());
        self.violated(now, violation.text(), detail);
    }

    /// An acknowledgement came on a rail, in a frame or a greeting.
    pub(super) fn take_ack(&mut self, now: Instant, index: usize, offset: u64, window: u32) {
        let before = self.sender.acknowledged();
        if self.sender.acknowledge(offset, window).is_err() {
            let detail = format!("the peer acknowledges {offset}, which was never sent");
            return self.violated(now, "acknowledgement of what was never sent", detail);
        }
        for (other, rail) in self.rails.iter_mut().enumerate() {
            let (is_outstanding, delivered) = self.sender.state_of(rail.id);
            rail.acknowledged(now, other == index, is_outstanding, delivered);
        }
        if let (Some(paths), Some(path)) = (&mut self.paths, self.rails[index].path) {
            if self.sender.acknowledged() > before {
                paths.works(path);
            }
        }
        if self.sender.acknowledged() > before {
            self.wake(Action::WakeWriter);
            self.end_if_complete();
        }
    }

    /// Bytes of a payload arrived, and were stored or discarded as [`Need::Payload`] said.
    pub fn payload(&mut self, now: Instant, rail: RailId, count: u64) {
        let Need::Payload(piece) = self.need(rail) else {
            return;
        };
        let Some(index) = self.index(rail) else {
            return;
        };
        assert!(count <= piece.length, "more than was asked for");
        let rail = &mut self.rails[index];
        rail.heard = now;
        if let Incoming::Payload { offset, length } = &mut rail.incoming {
            *offset += count;
            *length -= count;
            if *length == 0 {
                rail.incoming = Incoming::Header;
            }
        }
        let before = self.receiver.acknowledged();
        if piece.keep {
            self.receiver.arrived(piece.offset, count);
        }
        self.unacknowledged += count;
        let often = ACK_EVERY.min(u64::from(self.settings.window).div_ceil(4));
        if self.unacknowledged >= often || self.receiver.is_complete() {
            self.unacknowledged = 0;
            rail.owes_ack = true;
        } else {
            rail.ack_at.get_or_insert(now + ACK_DELAY);
        }
        if self.receiver.acknowledged() > before {
            self.wake(Action::WakeReader);
        }
    }
}
