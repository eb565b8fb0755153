//! The sessions of an acceptor: which hello is a new session, which belongs to one, and which is refused.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::session::Refusal;
use super::wire::{session_of, BadGreeting, Hello, Id, Opening, Reply, Status, GREETING_SIZE};

/// How long an ended session is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Ended sessions that are remembered, for each that may live. The oldest are forgotten first.
const REMEMBERED_PER_SESSION: usize = 4;

/// How often hellos were refused, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusals {
    /// No hello, or an invalid one.
    pub invalid: u64,
    pub version: u64,
    /// New sessions beyond `max_sessions`.
    pub limit: u64,
    /// Rails for a session that does not exist.
    pub unknown: u64,
    /// Rails that came after the end of their session.
    pub ended: u64,
    /// Rails that their session refused: of another host, or with an offset that cannot be.
    pub refused: u64,
    /// Connections without a whole hello within 5 seconds.
    pub late: u64,
    /// Connections that gave way to newer ones before their hello.
    pub evicted: u64,
}

/// What to do about a hello.
#[derive(Debug)]
pub(crate) enum Answer<S> {
    /// Make the session and [`Table::insert`] it.
    New(Hello),
    /// Join this session.
    Join(S, Hello),
    /// Write this reply and close the connection.
    Refuse([u8; GREETING_SIZE]),
    /// Close the connection.
    Close,
}

/// `S` is how the driver refers to a session, cheap to clone.
#[derive(Debug)]
pub(crate) struct Table<S> {
    host: Id,
    max_sessions: usize,
    sessions: HashMap<Id, S>,
    /// The position behind the finish of what an ended session received.
    ended: HashMap<Id, u64>,
    forgotten_at: VecDeque<(Instant, Id)>,
    pub refusals: Refusals,
}

impl<S: Clone> Table<S> {
    pub fn new(host: Id, max_sessions: usize) -> Self {
        Self {
            host,
            max_sessions,
            sessions: HashMap::new(),
            ended: HashMap::new(),
            forgotten_at: VecDeque::new(),
            refusals: Refusals::default(),
        }
    }

    pub fn host(&self) -> Id {
        self.host
    }

    /// A hello came. A new session that exists is joined: the reply to an earlier hello may have been lost.
    pub fn hello(&mut self, now: Instant, bytes: &[u8; GREETING_SIZE]) -> Answer<S> {
        self.forget(now);
        let hello = match Hello::decode(bytes) {
            Ok(hello) => hello,
            Err(BadGreeting::Version(_)) => {
                self.refusals.version += 1;
                return self.refuse(session_of(bytes), Status::UnsupportedVersion, 0);
            }
            Err(_) => {
                self.refusals.invalid += 1;
                return Answer::Close;
            }
        };
        if let Some(session) = self.sessions.get(&hello.session) {
            return Answer::Join(session.clone(), hello);
        }
        if let Some(&offset) = self.ended.get(&hello.session) {
            self.refusals.ended += 1;
            return self.refuse(hello.session, Status::UnknownSession, offset);
        }
        if hello.kind == Opening::Join {
            self.refusals.unknown += 1;
            return self.refuse(hello.session, Status::UnknownSession, 0);
        }
        if self.sessions.len() >= self.max_sessions {
            self.refusals.limit += 1;
            return self.refuse(hello.session, Status::LimitReached, 0);
        }
        Answer::New(hello)
    }

    /// The session did not take a rail. It may have ended a moment ago, and not been removed yet.
    pub fn refused(&mut self, hello: &Hello, refusal: Refusal) -> Answer<S> {
        match refusal.status {
            Status::UnknownSession => self.refusals.ended += 1,
            _ => self.refusals.refused += 1,
        }
        self.refuse(hello.session, refusal.status, refusal.offset)
    }

    fn refuse(&self, session: Id, status: Status, offset: u64) -> Answer<S> {
        let reply = Reply {
            kind: status,
            window: 0,
            session,
            host: self.host,
            offset,
        };
        Answer::Refuse(reply.encode())
    }

    pub fn insert(&mut self, id: Id, session: S) {
        self.sessions.insert(id, session);
    }

    /// A session ended. If it is complete, `received` is the position that it acknowledged, for the replies to late
    /// rails.
    pub fn remove(&mut self, now: Instant, id: Id, received: Option<u64>) {
        if self.sessions.remove(&id).is_none() {
            return;
        }
        let Some(offset) = received else { return };
        self.ended.insert(id, offset);
        self.forgotten_at.push_back((now + REMEMBERED, id));
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let most = self.max_sessions * REMEMBERED_PER_SESSION;
        while let Some((at, id)) = self.forgotten_at.front() {
            if *at > now && self.forgotten_at.len() <= most {
                return;
            }
            self.ended.remove(id);
            self.forgotten_at.pop_front();
        }
    }

    /// Sessions that live.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Ended sessions that are remembered.
    pub fn remembered(&self) -> usize {
        self.ended.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rails::wire::Greeting;

    const HOST: Id = [9; 16];

    fn hello(kind: Opening, session: u8) -> [u8; GREETING_SIZE] {
        let hello = Greeting {
            kind,
            window: 1,
            session: [session; 16],
            host: [1; 16],
            offset: 0,
        };
        hello.encode()
    }

    fn refusal(answer: Answer<u8>) -> (Status, u64) {
        let Answer::Refuse(reply) = answer else {
            panic!("not refused: {answer:?}")
        };
        let reply = Reply::decode(&reply).unwrap();
        assert_eq!((reply.host, reply.window), (HOST, 0));
        (reply.kind, reply.offset)
    }

    #[test]
    fn sessions_are_made_joined_and_limited() {
        let now = Instant::now();
        let mut table = Table::new(HOST, 2);
        for session in 1..=2 {
            let answer = table.hello(now, &hello(Opening::New, session));
            assert!(matches!(answer, Answer::New(hello) if hello.session == [session; 16]));
            table.insert([session; 16], session);
        }
        let third = refusal(table.hello(now, &hello(Opening::New, 3)));
        assert_eq!(third, (Status::LimitReached, 0));
        let unknown = refusal(table.hello(now, &hello(Opening::Join, 3)));
        assert_eq!(unknown, (Status::UnknownSession, 0));
        for kind in [Opening::New, Opening::Join] {
            let answer = table.hello(now, &hello(kind, 2));
            assert!(matches!(answer, Answer::Join(2, _)));
        }
        assert_eq!((table.refusals.limit, table.refusals.unknown), (1, 1));
    }

    #[test]
    fn bad_hellos_are_told_apart() {
        let now = Instant::now();
        let mut table = Table::new(HOST, 2);
        let mut other = hello(Opening::New, 1);
        other[8] = 2;
        let Answer::Refuse(reply) = table.hello(now, &other) else {
            panic!("not refused")
        };
        let reply = Reply::decode(&reply).unwrap();
        assert_eq!(reply.kind, Status::UnsupportedVersion);
        assert_eq!(reply.session, [1; 16]);
        other[8..10].copy_from_slice(&[1, 9]);
        assert!(matches!(table.hello(now, &other), Answer::Close));
        assert_eq!((table.refusals.version, table.refusals.invalid), (1, 1));
        table.insert([1; 16], 1_u8);
    }

    #[test]
    fn ended_sessions_are_remembered_for_a_while() {
        let now = Instant::now();
        let mut table = Table::new(HOST, 2);
        let live = |table: &mut Table<u8>, session: u8, received| {
            table.insert([session; 16], session);
            table.remove(now, [session; 16], received);
        };
        live(&mut table, 1, Some(101));
        live(&mut table, 2, None);
        let soon = now + Duration::from_secs(9);
        for kind in [Opening::Join, Opening::New] {
            let late = refusal(table.hello(soon, &hello(kind, 1)));
            assert_eq!(late, (Status::UnknownSession, 101));
        }
        let lost = refusal(table.hello(soon, &hello(Opening::Join, 2)));
        assert_eq!(lost, (Status::UnknownSession, 0));
        let later = now + REMEMBERED;
        let late = refusal(table.hello(later, &hello(Opening::Join, 1)));
        assert_eq!(late, (Status::UnknownSession, 0));
        assert_eq!((table.refusals.ended, table.refusals.unknown), (2, 2));

        for session in 10..30 {
            live(&mut table, session, Some(1));
        }
        assert_eq!((table.remembered(), table.len()), (8, 0));
    }
}
