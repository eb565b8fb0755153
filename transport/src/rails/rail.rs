//! One connection of a session: the frame that is arriving on it, the one that is leaving, and whether it still
//! works.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::wire::{Frame, FRAME_SIZE, MAX_TEXT};

/// A rail that owes an acknowledgement is probed this often.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// A rail is dropped when others acknowledged, and it was silent, for this long.
const STALL: Duration = Duration::from_millis(300);
/// The same for a rail that brings other frames. Its acknowledgements can wait behind data of the peer in a full
/// socket buffer, which is no reason to drop it.
const STALL_WHILE_HEARD: Duration = Duration::from_secs(2);

/// The name of a rail within its session. None is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RailId(pub(super) u32);

/// The next bytes to arrive on a rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    Header,
    /// Bytes of a data frame.
    Payload {
        offset: u64,
        length: u64,
    },
    /// The text of a reset.
    Text(usize),
}

/// A frame that is leaving.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub header: [u8; FRAME_SIZE],
    /// Bytes of the header and the text that were written.
    pub written: usize,
    /// The text, if it is a reset.
    pub text: Option<&'static str>,
    /// The rest of the payload of a data frame.
    pub data: Range<u64>,
    /// The position that the frame acknowledges.
    pub acknowledges: u64,
}

impl Outgoing {
    pub fn new(frame: Frame) -> Self {
        let data = match frame {
            Frame::Data { offset, length } => offset..offset + u64::from(length),
            _ => 0..0,
        };
        let acknowledges = match frame {
            Frame::Ack { offset, .. } => offset,
            _ => 0,
        };
        Self {
            header: frame.encode(),
            written: 0,
            text: None,
            data,
            acknowledges,
        }
    }

    /// Counts written bytes. Returns whether the frame is complete.
    pub fn advance(&mut self, length: usize) -> bool {
        let control = self.header.len() + self.text.map_or(0, str::len);
        let front = (control - self.written).min(length);
        self.written += front;
        self.data.start += (length - front) as u64;
        assert!(
            self.data.start <= self.data.end,
            "writing more than there was"
        );
        self.written == control && self.data.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Rail {
    pub id: RailId,
    /// The opener's path that it goes over.
    pub path: Option<usize>,
    pub incoming: Incoming,
    /// The bytes of a header or a text so far.
    pub control: [u8; MAX_TEXT as usize],
    pub control_length: usize,
    pub outgoing: Option<Outgoing>,
    /// An acknowledgement goes next.
    pub owes_ack: bool,
    /// An acknowledgement goes at this time at the latest.
    pub ack_at: Option<Instant>,
    /// A probe goes next.
    pub owes_probe: bool,
    /// The next probe. Set as long as something is outstanding on this rail.
    probe_at: Option<Instant>,
    /// Since when others acknowledge and this rail does not.
    silent_since: Option<Instant>,
    /// When bytes last arrived.
    pub heard: Instant,
    /// Positions that went over this rail and were acknowledged.
    delivered: u64,
}

impl Rail {
    pub fn new(id: RailId, path: Option<usize>, now: Instant) -> Self {
        Self {
            id,
            path,
            incoming: Incoming::Header,
            control: [0; MAX_TEXT as usize],
            control_length: 0,
            outgoing: None,
            owes_ack: false,
            ack_at: None,
            owes_probe: false,
            probe_at: None,
            silent_since: None,
            heard: now,
            delivered: 0,
        }
    }

    /// Something is outstanding on this rail.
    pub fn expect_ack(&mut self, now: Instant) {
        self.probe_at.get_or_insert(now + PROBE_EVERY);
    }

    /// An acknowledgement came on this rail, or on another. One that covers positions which went over this rail
    /// shows that it works, wherever it came: another implementation may acknowledge on one rail only.
    pub fn acknowledged(&mut self, now: Instant, here: bool, is_outstanding: bool, delivered: u64) {
        let has_delivered = delivered > self.delivered;
        self.delivered = delivered;
        if !is_outstanding {
            self.probe_at = None;
            self.silent_since = None;
        } else if here || has_delivered {
            self.probe_at = Some(now + PROBE_EVERY);
            self.silent_since = None;
        } else {
            self.silent_since.get_or_insert(now);
        }
    }

    /// Whether probes are due: on this rail, and on the others, whose answers show that only this one is silent.
    pub fn takes_probe(&mut self, now: Instant) -> bool {
        let is_due = self.probe_at.is_some_and(|at| at <= now);
        if is_due {
            self.probe_at = Some(now + PROBE_EVERY);
        }
        is_due
    }

    /// When this rail counts as stalled, unless bytes arrive on it.
    pub fn stalls_at(&self) -> Option<Instant> {
        let silent = self.silent_since?;
        Some((silent.max(self.heard) + STALL).min(silent + STALL_WHILE_HEARD))
    }

    /// When something has to be done for this rail.
    pub fn deadline(&self) -> Option<Instant> {
        let times = [self.ack_at, self.probe_at, self.stalls_at()];
        times.into_iter().flatten().min()
    }
}
