//! One durable stream, at either end: what its user and its driver call. The rails are in the modules below it.

mod action;
mod incoming;
mod opening;
mod outgoing;
mod timers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::paths::Paths;
use super::rail::Rail;
use super::receive::Receiver;
use super::send::Sender;
use super::wire::{Id, MAX_DATA};

/// Rails of one session at most, as many as a transport can have links.
pub(crate) const MAX_RAILS: usize = 16;
/// How long a reset may take to leave.
const RESET_LINGER: Duration = Duration::from_secs(1);
/// An acknowledgement is sent for each so many bytes at the latest.
const ACK_EVERY: u64 = 1 << 20;

pub(crate) use super::rail::RailId;
pub(crate) use action::{Action, End};
pub(crate) use incoming::Need;
pub(crate) use opening::Refusal;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Bytes that may be unacknowledged, in each direction.
    pub window: u32,
    /// Bytes in one data frame at most. With several rails a quarter of that, which balances them.
    pub chunk: u32,
    /// How long the session waits for a rail while there is none.
    pub dead_after: Duration,
}

impl Settings {
    pub fn new(window: u32, dead_after: Duration) -> Self {
        Self {
            window,
            chunk: MAX_DATA,
            dead_after,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    id: Id,
    host: Id,
    peer_host: Option<Id>,
    settings: Settings,
    /// The opener's.
    paths: Option<Paths>,
    rails: Vec<Rail>,
    rails_before: u32,
    without_rail_since: Option<Instant>,
    sender: Sender,
    receiver: Receiver,
    /// Bytes that arrived since an acknowledgement was last due.
    unacknowledged: u64,
    /// The acknowledgement of the peer's finish was written.
    is_final_ack_sent: bool,
    end: Option<End>,
    /// Until when a reset may leave.
    resetting: Option<(&'static str, Instant)>,
    actions: VecDeque<Action>,
}

impl Session {
    fn new(now: Instant, id: Id, host: Id, settings: Settings) -> Self {
        assert!(settings.window > 0 && (4..=MAX_DATA).contains(&settings.chunk));
        Self {
            id,
            host,
            peer_host: None,
            paths: None,
            rails: Vec::new(),
            rails_before: 0,
            without_rail_since: Some(now),
            sender: Sender::new(),
            receiver: Receiver::new(settings.window),
            unacknowledged: 0,
            is_final_ack_sent: false,
            end: None,
            resetting: None,
            actions: VecDeque::new(),
            settings,
        }
    }

    pub fn id(&self) -> Id {
        self.id
    }

    /// The next thing for the driver to do. Call it until there is none.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The end, as soon as it is certain. Rails may still be there to tell the peer.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether the driver can drop this session.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && self.rails.is_empty()
    }

    /// The position for the replies to late rails, if the session ended and everything arrived.
    pub fn final_position(&self) -> Option<u64> {
        let is_complete = self.end == Some(End::Complete);
        is_complete.then(|| self.receiver.acknowledged())
    }

    pub fn rails(&self) -> impl Iterator<Item = RailId> + '_ {
        self.rails.iter().map(|rail| rail.id)
    }

    pub fn bytes_retransmitted(&self) -> u64 {
        self.sender.retransmitted()
    }

    /// Bytes that the writer may add now. Acknowledged bytes make room, except those of a frame that is being
    /// written: its rail still needs them.
    pub fn writable(&self) -> u64 {
        let kept = self.sender.end() - self.kept_from();
        u64::from(self.settings.window).saturating_sub(kept)
    }

    /// The driver keeps the bytes from this position on: the session may still ask for them.
    pub fn kept_from(&self) -> u64 {
        let frames = self.rails.iter().filter_map(|rail| {
            let data = &rail.outgoing.as_ref()?.data;
            (!data.is_empty()).then_some(data.start)
        });
        let end = self.sender.end();
        frames.fold(self.sender.acknowledged().min(end), u64::min)
    }

    /// The writer added bytes, which the driver keeps: [`Self::writable`] at most.
    pub fn write(&mut self, length: u64) {
        assert!(length <= self.writable(), "writing beyond the window");
        self.sender.extend(length);
    }

    /// The writer has no more.
    pub fn finish(&mut self) {
        self.sender.finish();
    }

    pub fn is_finished(&self) -> bool {
        self.sender.is_finished()
    }

    /// The position behind the last written byte.
    pub fn write_position(&self) -> u64 {
        self.sender.end()
    }

    /// The peer has received all bytes below this position, and at the position of the finish that too.
    pub fn acknowledged(&self) -> u64 {
        self.sender.acknowledged()
    }

    /// The position of the first byte that was not read.
    pub fn read_position(&self) -> u64 {
        self.receiver.read_position()
    }

    /// Bytes that the reader may take now.
    pub fn readable(&self) -> u64 {
        self.receiver.readable()
    }

    /// Whether the peer finished, and the reader has everything.
    pub fn is_read_to_end(&self) -> bool {
        self.receiver.is_complete() && self.readable() == 0
    }

    /// The reader took bytes.
    pub fn read(&mut self, length: u64) {
        let worthwhile = ACK_EVERY.min(u64::from(self.settings.window).div_ceil(2));
        if self.receiver.consume(length, worthwhile) {
            // A rail may be dead without anybody knowing, and the peer may be waiting for just this.
            self.owe_ack_everywhere();
        }
    }

    /// Ends the session at once, and tells the peer why: at most 255 bytes.
    pub fn reset(&mut self, now: Instant, text: &'static str) {
        self.end_with_reset(now, text, End::Reset(text));
    }

    fn violated(&mut self, now: Instant, text: &'static str, detail: String) {
        self.end_with_reset(now, text, End::Violation(detail));
    }

    fn end_with_reset(&mut self, now: Instant, text: &'static str, end: End) {
        if self.end.is_some() {
            return;
        }
        self.set_end(end);
        self.resetting = Some((text, now + RESET_LINGER));
    }

    /// Ends the session. Its rails close at once.
    fn end_with(&mut self, end: End) {
        let orderly = end == End::Complete;
        self.set_end(end);
        for rail in self.rails.drain(..) {
            let rail = rail.id;
            self.actions.push_back(Action::Close { rail, orderly });
        }
    }

    fn set_end(&mut self, end: End) {
        self.end = Some(end);
        if let Some(paths) = self.paths.take() {
            self.actions.extend(paths.connecting().map(Action::GiveUp));
        }
        self.wake(Action::WakeReader);
        self.wake(Action::WakeWriter);
    }

    /// One wake-up is enough until the driver has seen it.
    fn wake(&mut self, action: Action) {
        if !self.actions.contains(&action) {
            self.actions.push_back(action);
        }
    }

    fn is_opener(&self) -> bool {
        self.paths.is_some()
    }

    /// Whether both sides finished, and this side knows that each has everything.
    fn is_complete(&self) -> bool {
        self.sender.is_complete() && self.receiver.is_complete()
    }

    /// The acceptor ends when it has told the opener that everything arrived. The opener waits for the acceptor
    /// to end, so that it can tell it so.
    fn end_if_complete(&mut self) {
        if !self.is_opener() && self.end.is_none() && self.is_complete() && self.is_final_ack_sent {
            self.end_with(End::Complete);
        }
    }

    fn owe_ack_everywhere(&mut self) {
        for rail in &mut self.rails {
            rail.owes_ack = true;
        }
    }

    fn index(&self, rail: RailId) -> Option<usize> {
        self.rails.iter().position(|it| it.id == rail)
    }

    /// Removes a rail. Its outstanding ranges go over the others, and so do acknowledgements that it may have lost.
    fn remove_rail(&mut self, now: Instant, index: usize) -> Rail {
        let rail = self.rails.remove(index);
        self.sender.lose(rail.id);
        self.owe_ack_everywhere();
        if self.rails.is_empty() {
            self.without_rail_since = Some(now);
        }
        if let (Some(paths), Some(path)) = (&mut self.paths, rail.path) {
            paths.lost(path, now);
        }
        // The rest of its frame is not needed any more, which may make room.
        self.wake(Action::WakeWriter);
        rail
    }
}
