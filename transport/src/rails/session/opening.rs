//! How rails come and go.

use std::time::Instant;

use super::{Action, End, Session, Settings, MAX_RAILS};
use crate::rails::paths::Paths;
use crate::rails::rail::{Rail, RailId};
use crate::rails::wire::{Greeting, Hello, Id, Opening, Reply, Status, GREETING_SIZE};

/// Why a hello gets no rail, for the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: Status,
    /// The position that an ended session acknowledged, otherwise 0.
    pub offset: u64,
}

impl Session {
    /// The opener's end. `id` is random. Each of the paths, [`MAX_RAILS`] at most, gets a rail.
    pub fn open(now: Instant, id: Id, host: Id, settings: Settings, paths: usize) -> Self {
        let mut session = Self::new(now, id, host, settings);
        session.paths = Some(Paths::new(paths.min(MAX_RAILS), now));
        session
    }

    /// The acceptor's end, for the hello of a new session. Write the reply before anything else.
    pub fn accept(
        now: Instant,
        hello: &Hello,
        host: Id,
        settings: Settings,
    ) -> Result<(Self, RailId, [u8; GREETING_SIZE]), Refusal> {
        let mut session = Self::new(now, hello.session, host, settings);
        let (rail, reply) = session.join(now, hello)?;
        Ok((session, rail, reply))
    }

    /// One more rail for the acceptor's end. Write the reply before anything else.
    pub fn join(
        &mut self,
        now: Instant,
        hello: &Hello,
    ) -> Result<(RailId, [u8; GREETING_SIZE]), Refusal> {
        let refuse = |status, offset| Err(Refusal { status, offset });
        if self.end.is_some() {
            let offset = self.final_position().unwrap_or_default();
            return refuse(Status::UnknownSession, offset);
        }
        let is_same_host = self.peer_host.is_none_or(|host| host == hello.host);
        if self.is_opener() || !is_same_host || !self.sender.can_acknowledge(hello.offset) {
            return refuse(Status::Refused, 0);
        }
        self.peer_host = Some(hello.host);
        if self.rails.len() == MAX_RAILS {
            self.close_longest_silent(now);
        }
        let reply = self.greeting(Status::Granted);
        self.is_final_ack_sent |= self.receiver.is_complete();
        let rail = self.add_rail(now, None);
        self.greeted(now, rail, hello.offset, hello.window);
        Ok((rail, reply.encode()))
    }

    /// Rails can be dead without anybody knowing, and the opener has no more links than rails.
    fn close_longest_silent(&mut self, now: Instant) {
        let rails = self.rails.iter().enumerate();
        if let Some((index, _)) = rails.min_by_key(|(_, rail)| rail.heard) {
            self.close_rail(now, index);
        }
    }

    pub(super) fn close_rail(&mut self, now: Instant, index: usize) {
        let rail = self.remove_rail(now, index).id;
        let orderly = false;
        self.actions.push_back(Action::Close { rail, orderly });
    }

    /// What to write first to a connection over this path.
    pub fn hello(&mut self) -> [u8; GREETING_SIZE] {
        let opening = match self.peer_host {
            None => Opening::New,
            Some(_) => Opening::Join,
        };
        self.greeting(opening).encode()
    }

    /// The reply to a hello of the opener. `None`: close the connection.
    pub fn reply(
        &mut self,
        now: Instant,
        path: usize,
        reply: &[u8; GREETING_SIZE],
    ) -> Option<RailId> {
        if !self.paths.as_ref()?.is_connecting(path) {
            return None;
        }
        let reply = match Reply::decode(reply) {
            Ok(reply) if reply.session == self.id => reply,
            _ => {
                self.connect_failed(now, path);
                return None;
            }
        };
        if reply.kind != Status::Granted {
            self.refused(now, path, &reply);
            return None;
        }
        if self.peer_host.is_some_and(|host| host != reply.host) {
            self.end_with(End::Unknown);
            return None;
        }
        if !self.sender.can_acknowledge(reply.offset) {
            let detail = format!("the reply acknowledges {}, never sent", reply.offset);
            self.violated(now, "acknowledgement of what was never sent", detail);
            return None;
        }
        let is_first = self.peer_host.replace(reply.host).is_none();
        self.paths.as_mut()?.connected(path, is_first, now);
        let rail = self.add_rail(now, Some(path));
        self.greeted(now, rail, reply.offset, reply.window);
        Some(rail)
    }

    fn refused(&mut self, now: Instant, path: usize, reply: &Reply) {
        let is_known = self.peer_host.is_some();
        match reply.kind {
            // The acceptor has ended, and tells that it has everything. If it has not, it lost the session.
            Status::UnknownSession => {
                let has_all = self.sender.is_finished() && reply.offset == self.sender.end() + 1;
                let is_complete = self.sender.is_complete() || has_all;
                if is_complete && self.receiver.is_complete() {
                    self.sender.acknowledge(reply.offset, 0).ok();
                    self.end_with(End::Complete);
                } else {
                    self.end_with(End::Unknown);
                }
            }
            Status::LimitReached | Status::Refused if is_known => {
                if let Some(paths) = &mut self.paths {
                    paths.failed(path, now, true);
                }
            }
            status => self.end_with(End::Refused(status)),
        }
    }

    /// No connection over this path, or no valid reply.
    pub fn connect_failed(&mut self, now: Instant, path: usize) {
        if let Some(paths) = &mut self.paths {
            if paths.is_connecting(path) {
                paths.failed(path, now, false);
            }
        }
    }

    /// The link of this path can be used again.
    pub fn link_up(&mut self, now: Instant, path: usize) {
        if let Some(paths) = &mut self.paths {
            paths.up(path, now);
        }
    }

    /// The link of this path is down.
    pub fn link_down(&mut self, now: Instant, path: usize) {
        let Some(paths) = &mut self.paths else { return };
        if paths.is_connecting(path) {
            self.actions.push_back(Action::GiveUp(path));
        }
        paths.down(path);
        if let Some(index) = self.rails.iter().position(|rail| rail.path == Some(path)) {
            self.close_rail(now, index);
        }
    }

    /// A rail failed. The driver has closed it.
    pub fn rail_failed(&mut self, now: Instant, rail: RailId) {
        if let Some(index) = self.index(rail) {
            self.remove_rail(now, index);
        }
    }

    /// The peer closed its direction of a rail: for the opener the end, if everything was acknowledged.
    pub fn rail_ended(&mut self, now: Instant, rail: RailId) {
        if self.index(rail).is_none() {
            return;
        }
        self.rail_failed(now, rail);
        if self.is_opener() && self.is_complete() {
            self.end_with(End::Complete);
        }
    }

    fn greeting<T>(&mut self, kind: T) -> Greeting<T> {
        let (offset, window) = self.receiver.announce();
        Greeting {
            kind,
            window,
            session: self.id,
            host: self.host,
            offset,
        }
    }

    fn add_rail(&mut self, now: Instant, path: Option<usize>) -> RailId {
        self.rails_before += 1;
        let id = RailId(self.rails_before);
        let mut rail = Rail::new(id, path, now);
        // The hello may be older than the last bytes that were received, and their acknowledgement may have been
        // lost.
        rail.owes_ack = path.is_some();
        self.rails.push(rail);
        self.without_rail_since = None;
        id
    }

    /// A greeting acknowledges as a frame does.
    fn greeted(&mut self, now: Instant, rail: RailId, offset: u64, window: u32) {
        if let Some(index) = self.index(rail) {
            self.take_ack(now, index, offset, window);
        }
    }
}
