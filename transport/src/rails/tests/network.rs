//! Simulated TCP connections: bytes take time, connections have buffers, break, stall, and vanish at one end or
//! at both without a word. Times are microseconds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The name of a connection.
pub type Conn = usize;
/// An end of a connection.
pub type Side = usize;
pub const OPENER: Side = 0;
pub const ACCEPTOR: Side = 1;

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Bytes(usize),
    Nothing,
    End,
    Broken,
}

/// How fast the connections over a path are.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    pub delay: u64,
    /// Bytes in a millisecond.
    pub rate: u64,
    /// Bytes that a connection holds.
    pub buffer: usize,
}

#[derive(Debug, Default)]
struct Pipe {
    segments: VecDeque<(u64, Vec<u8>)>,
    /// Bytes of the first segment that were read.
    read: usize,
    queued: usize,
    /// When the last byte so far has left.
    busy_until: u64,
    ended: bool,
    stalled_until: u64,
}

#[derive(Debug)]
struct Connection {
    path: usize,
    speed: Speed,
    /// Those that each side writes to.
    pipes: [Pipe; 2],
    /// When each side learns that the connection is broken.
    broken_at: [u64; 2],
    closed: [bool; 2],
    /// Bytes do not arrive any more.
    vanished: bool,
}

#[derive(Debug, Default)]
pub struct Network {
    pub now: u64,
    connections: Vec<Connection>,
    wakes: BinaryHeap<Reverse<u64>>,
}

const NEVER: u64 = u64::MAX;
/// Bytes that arrive at once.
const SEGMENT: usize = 1400;

impl Network {
    /// Lets `next` be no later than `at`.
    pub fn wake_at(&mut self, at: u64) {
        self.wakes.push(Reverse(at));
    }

    /// The time of the next event.
    pub fn next(&mut self) -> Option<u64> {
        while let Some(Reverse(at)) = self.wakes.peek() {
            if *at > self.now {
                return Some(*at);
            }
            self.wakes.pop();
        }
        None
    }

    pub fn connect(&mut self, path: usize, speed: Speed) -> Conn {
        self.connections.push(Connection {
            path,
            speed,
            pipes: Default::default(),
            broken_at: [NEVER; 2],
            closed: [false; 2],
            vanished: false,
        });
        self.connections.len() - 1
    }

    /// Connections over a path that both sides have, or think that they have.
    pub fn open_over(&self, path: usize) -> Vec<Conn> {
        let all = 0..self.connections.len();
        let is_open = |conn: &Conn| {
            let it = &self.connections[*conn];
            it.path == path && !(it.closed[0] || it.closed[1])
        };
        all.filter(is_open).collect()
    }

    pub fn write(&mut self, conn: Conn, side: Side, bytes: &[u8]) -> Option<usize> {
        let now = self.now;
        let it = &mut self.connections[conn];
        if it.broken_at[side] <= now {
            return None;
        }
        if it.closed[1 - side] {
            // It is answered by a reset.
            it.broken_at[side] = it.broken_at[side].min(now + 2 * it.speed.delay);
            let at = it.broken_at[side];
            self.wake_at(at);
            return Some(bytes.len());
        }
        let pipe = &mut it.pipes[side];
        let taken = bytes.len().min(it.speed.buffer - pipe.queued);
        pipe.queued += taken;
        if it.vanished {
            return Some(taken);
        }
        let mut times = Vec::new();
        for segment in bytes[..taken].chunks(SEGMENT) {
            let takes = 1 + segment.len() as u64 * 1000 / it.speed.rate;
            pipe.busy_until = pipe.busy_until.max(now) + takes;
            let at = pipe.busy_until + it.speed.delay;
            pipe.segments.push_back((at, segment.to_vec()));
            times.push(at);
        }
        for at in times {
            self.wake_at(at);
        }
        Some(taken)
    }

    pub fn read(&mut self, conn: Conn, side: Side, into: &mut [u8]) -> Read {
        let now = self.now;
        let it = &mut self.connections[conn];
        if it.broken_at[side] <= now {
            return Read::Broken;
        }
        let pipe = &mut it.pipes[1 - side];
        if it.vanished || pipe.stalled_until > now {
            return Read::Nothing;
        }
        match pipe.segments.front() {
            Some((at, bytes)) if *at <= now => {
                let length = into.len().min(bytes.len() - pipe.read);
                into[..length].copy_from_slice(&bytes[pipe.read..pipe.read + length]);
                pipe.read += length;
                pipe.queued -= length;
                if pipe.read == bytes.len() {
                    pipe.segments.pop_front();
                    pipe.read = 0;
                }
                Read::Bytes(length)
            }
            None if pipe.ended && pipe.busy_until + it.speed.delay <= now => Read::End,
            _ => Read::Nothing,
        }
    }

    /// Closes a side. Bytes that it did not read make it a reset, which can overtake what it wrote.
    pub fn close(&mut self, conn: Conn, side: Side, orderly: bool) {
        let now = self.now;
        let it = &mut self.connections[conn];
        if std::mem::replace(&mut it.closed[side], true) || it.vanished {
            return;
        }
        let is_reset = !orderly || it.pipes[1 - side].queued > 0;
        if is_reset {
            let at = now + it.speed.delay;
            it.broken_at[1 - side] = it.broken_at[1 - side].min(at);
            self.wake_at(at);
        } else {
            let pipe = &mut it.pipes[side];
            pipe.ended = true;
            pipe.busy_until = pipe.busy_until.max(now);
            let at = pipe.busy_until + it.speed.delay;
            self.wake_at(at);
        }
    }

    /// Bytes do not arrive any more. Each side sees an error after the given time.
    pub fn vanish(&mut self, conn: Conn, after: [u64; 2]) {
        let now = self.now;
        let it = &mut self.connections[conn];
        it.vanished = true;
        for (broken_at, after) in it.broken_at.iter_mut().zip(after) {
            *broken_at = (*broken_at).min(now + after);
        }
        for after in after {
            self.wake_at(now + after);
        }
    }

    /// Delays the bytes that a side sends.
    pub fn stall(&mut self, conn: Conn, side: Side, time: u64) {
        let until = self.now + time;
        let pipe = &mut self.connections[conn].pipes[side];
        pipe.stalled_until = pipe.stalled_until.max(until);
        self.wake_at(until);
    }
}
