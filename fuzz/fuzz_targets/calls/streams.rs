//! Streams: their connections, and how they open and end.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{BorrowedFd, FromRawFd};
use std::sync::Arc;
use std::thread;

use dcf_thunderbolt::fuzzing::*;
use socket2::SockRef;

use crate::contract::call;
use crate::operation::{Handle, Peer, Wait};
use crate::surroundings::{wait_until, GENEROUS_MS};
use crate::transports::{expect_text, read_forever};
use crate::world::{expired, timeout, Part, Target, World};

/// A connection: side 0 opened it, side 1 accepted it.
pub struct Connection {
    pub ends: [End; 2],
    /// The bytes that each side has written and the other has not read.
    pub pipes: [Pipe; 2],
    /// The port of side 0, which identifies the accepted connection.
    port: u16,
}

pub struct End {
    pub owner: usize,
    pub place: Place,
    /// The direction has ended.
    pub finished: bool,
    /// A file refused received bytes.
    pub leftover: bool,
}

pub enum Place {
    /// Waits for `dcf_tb_accept`.
    Pending,
    Open(dcf_tb_stream),
    /// Detached from the library.
    Detached(TcpStream),
    Closed,
}

/// One direction of a connection.
#[derive(Default)]
pub struct Pipe {
    pub parts: VecDeque<Part>,
    /// The connection may be reset: not all bytes need arrive, nor an orderly end.
    pub torn: bool,
}

impl Pipe {
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.length).sum()
    }

    /// Removes received bytes, which must be the next ones.
    pub fn arrived(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let part = self
                .parts
                .front_mut()
                .expect("more bytes than were written");
            let length = part.length.min(bytes.len());
            let next = Part {
                start: part.start,
                length,
            };
            assert_eq!(&bytes[..length], next.bytes());
            bytes = &bytes[length..];
            part.start += length;
            part.length -= length;
            if part.length == 0 {
                self.parts.pop_front();
            }
        }
    }
}

impl Connection {
    /// Records that an end was closed.
    pub fn close_end(&mut self, side: usize) {
        if matches!(self.ends[side].place, Place::Closed) {
            return;
        }
        self.ends[side].place = Place::Closed;
        // Closing a socket with unread bytes resets the connection.
        self.pipes[side].torn |= self.pipes[1 - side].len() > 0;
        self.pipes[1 - side].parts.clear();
    }

    pub fn is_closed(&self, side: usize) -> bool {
        matches!(self.ends[side].place, Place::Closed)
    }
}

impl World {
    pub fn open(&mut self, from: Handle, to: &Peer, wait: Wait) {
        let (number, live) = self.transport(from);
        let mut stream = 0;
        let Some(from) = live else {
            let outcome = call!(dcf_tb_open_stream(number, c"::1".as_ptr(), 1, &mut stream));
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let text = self.text(from, to, true);
        let target = self.target(from, &text, true);
        let opener = &self.transports[from];
        // 0 means the configured limit.
        let wait = match (&target, wait) {
            (Target::Live(_) | Target::Nobody, Wait::No) if opener.connect_timeout_ms > 5000 => 0,
            (Target::Elsewhere, _) => 1,
            _ => GENEROUS_MS,
        };
        let outcome = call!(dcf_tb_open_stream(number, text.as_ptr(), wait, &mut stream));
        let to = match target {
            Target::Refused(status) => return outcome.gives(status),
            Target::Everybody => return outcome.gives(DCF_TB_ERR_INVALID_ADDRESS),
            _ if !opener.up => return outcome.gives(DCF_TB_ERR_LINK_DOWN),
            _ if opener.open >= opener.max_streams => {
                return outcome.gives(DCF_TB_ERR_TOO_MANY_CONNECTIONS)
            }
            Target::Nobody => return outcome.gives(DCF_TB_ERR_CONNECTION_REFUSED),
            Target::Elsewhere => return assert!(!outcome.is_ok()),
            Target::Live(to) => to,
        };
        self.transports[from].open += 1;
        let has_room = self.transports[to].open < self.transports[to].max_streams;
        if has_room {
            outcome.gives(DCF_TB_OK);
            self.transports[to].open += 1;
            self.transports[to].counted.connections_accepted += 1;
        } else {
            // The status depends on whether the reset has arrived.
            outcome.gives_one_of(&[DCF_TB_OK, DCF_TB_ERR_CONNECTION_RESET]);
            self.transports[to].counted.rejected += 1;
        }
        if outcome.is_ok() {
            self.transports[from].counted.connections_initiated += 1;
            self.connected(from, to, stream, has_room);
        } else {
            self.transports[from].open -= 1;
        }
        wait_until("the connection is accepted, or refused", || {
            let (stats, counted) = (self.transports[to].stats(), &self.transports[to].counted);
            stats.connections_accepted == counted.connections_accepted
                && stats.rejected == counted.rejected
        });
        if self.transports[to].on_stream {
            self.streams_called(to);
        }
    }

    fn connected(&mut self, from: usize, to: usize, stream: dcf_tb_stream, accepted: bool) {
        let end = |owner, place| End {
            owner,
            place,
            finished: false,
            leftover: false,
        };
        let place = if accepted {
            Place::Pending
        } else {
            Place::Closed
        };
        let mut connection = Connection {
            ends: [end(from, Place::Open(stream)), end(to, place)],
            pipes: Default::default(),
            port: addresses(stream).0.expect("a socket has an address").port(),
        };
        connection.pipes[1].torn = !accepted;
        let index = self.connections.len();
        self.connections.push(connection);
        self.streams.push((stream, index, 0));
        if accepted {
            self.transports[to].pending.push_back(index);
        }
    }

    /// Records the handle of a stream that a peer opened.
    fn taken(&mut self, index: usize, stream: dcf_tb_stream) {
        assert_ne!(stream, 0);
        self.connections[index].ends[1].place = Place::Open(stream);
        self.streams.push((stream, index, 1));
    }

    /// Waits until the stream callback has received all pending streams. It may run for several at once.
    pub fn streams_called(&mut self, at: usize) {
        let recorder = Arc::clone(&self.transports[at].recorder);
        let expected = self.transports[at].streams_called + self.transports[at].pending.len();
        wait_until("stream callbacks are called", || {
            recorder.streams().len() >= expected
        });
        let calls = recorder.streams();
        assert_eq!(calls.len(), expected);
        for (stream, peer) in &calls[self.transports[at].streams_called..] {
            assert_eq!(peer, "::1%lo");
            let pending = &mut self.transports[at].pending;
            let port = addresses(*stream).1.map(|address| address.port());
            let connections = &self.connections;
            let place = pending.iter().position(|&index| match port {
                Some(port) => connections[index].port == port,
                // The connection was reset, so it has no peer.
                None => connections[index].is_closed(0),
            });
            let index = pending
                .remove(place.expect("a stream that was not opened"))
                .expect("found");
            self.taken(index, *stream);
        }
        self.transports[at].streams_called = expected;
    }

    pub fn accept(&mut self, at: Handle, wait: Wait) {
        let (number, live) = self.transport(at);
        let next = live.and_then(|at| self.transports[at].pending.front().copied());
        let timeout_ms = timeout(wait, next.is_some());
        let mut stream = 0;
        let outcome = call!(dcf_tb_accept(number, timeout_ms, &mut stream));
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        match next {
            None => outcome.gives(expired(timeout_ms)),
            // The stream was counted, but may not be in the queue yet.
            Some(_) if timeout_ms != GENEROUS_MS && outcome.status == expired(timeout_ms) => {}
            Some(index) => {
                outcome.gives(DCF_TB_OK);
                self.transports[at].pending.pop_front();
                if let Some(peer) = addresses(stream).1 {
                    assert_eq!(
                        peer.port(),
                        self.connections[index].port,
                        "streams are accepted in order"
                    );
                }
                self.taken(index, stream);
            }
        }
    }

    pub fn finish(&mut self, stream: Handle) {
        let (number, live) = self.stream(stream);
        let outcome = call!(dcf_tb_stream_finish(number));
        let Some((index, side)) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let connection = &mut self.connections[index];
        let gone = connection.is_closed(1 - side) || connection.pipes[1 - side].torn;
        if !gone && !connection.ends[side].finished {
            outcome.gives(DCF_TB_OK);
        }
        connection.ends[side].finished |= outcome.is_ok();
    }

    pub fn close_stream(&mut self, stream: Handle) {
        let (number, live) = self.stream(stream);
        let outcome = call!(dcf_tb_stream_close(number));
        let Some((index, side)) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        outcome.gives(DCF_TB_OK);
        self.stream_closed(index, side);
        call!(dcf_tb_stream_close(number)).gives(DCF_TB_ERR_INVALID_HANDLE);
    }

    fn stream_closed(&mut self, index: usize, side: usize) {
        let connection = &mut self.connections[index];
        self.transports[connection.ends[side].owner].open -= 1;
        connection.close_end(side);
    }

    pub fn close_stream_under_reader(&mut self, stream: Handle) {
        let (number, Some((index, side))) = self.stream(stream) else {
            return self.close_stream(stream);
        };
        if !self.is_quiet(index, side) {
            return self.close_stream(stream);
        }
        thread::scope(|scope| {
            let reader = scope.spawn(move || read_forever(number));
            call!(dcf_tb_stream_close(number)).gives(DCF_TB_OK);
            let outcome = reader.join().expect("no panic");
            // INVALID_HANDLE if the call began too late.
            outcome.gives_one_of(&[DCF_TB_CANCELLED, DCF_TB_ERR_INVALID_HANDLE]);
        });
        self.stream_closed(index, side);
    }

    /// Whether a read would wait.
    fn is_quiet(&self, index: usize, side: usize) -> bool {
        let connection = &self.connections[index];
        let (far, incoming) = (&connection.ends[1 - side], &connection.pipes[1 - side]);
        let ended = connection.is_closed(1 - side) || far.finished || incoming.torn;
        incoming.len() == 0 && !ended
    }

    /// A stream of that transport on which a read would wait.
    pub fn quiet_stream(&self, at: usize) -> Option<dcf_tb_stream> {
        let of_transport = self
            .streams
            .iter()
            .filter(|&&(_, index, side)| self.connections[index].ends[side].owner == at);
        let mut open = of_transport.filter_map(|&(_, index, side)| {
            match self.connections[index].ends[side].place {
                Place::Open(stream) => Some((stream, index, side)),
                _ => None,
            }
        });
        let quiet = open.find(|&(_, index, side)| self.is_quiet(index, side));
        quiet.map(|(stream, ..)| stream)
    }

    pub fn stream_peer(&mut self, of: Handle, cap: usize) {
        let (number, live) = self.stream(of);
        let (mut buffer, mut length) = (vec![0x5A_u8; cap], usize::MAX);
        let buf = buffer.as_mut_ptr().cast();
        let outcome = call!(dcf_tb_stream_peer(number, buf, cap, &mut length));
        match live {
            Some(_) => expect_text(outcome, &buffer, length, "::1%lo"),
            None => outcome.gives(DCF_TB_ERR_INVALID_HANDLE),
        }
    }

    pub fn detach(&mut self, stream: Handle) {
        let (number, live) = self.stream(stream);
        let mut fd = -1;
        let outcome = call!(dcf_tb_stream_detach(number, &mut fd));
        let Some((index, side)) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let end = &mut self.connections[index].ends[side];
        if end.leftover && outcome.status == DCF_TB_ERR_INVALID_MESSAGE {
            return;
        }
        outcome.gives(DCF_TB_OK);
        // SAFETY: it is ours now.
        let socket = unsafe { TcpStream::from_raw_fd(fd) };
        // SAFETY: asks for flags.
        assert_eq!(
            unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK,
            0
        );
        socket.set_nonblocking(true).expect("an open socket");
        end.place = Place::Detached(socket);
        self.transports[end.owner].open -= 1;
        call!(dcf_tb_stream_detach(number, &mut fd)).gives(DCF_TB_ERR_INVALID_HANDLE);
    }

    pub fn close_detached(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.connections.len()) else {
            return;
        };
        for side in [0, 1] {
            if matches!(self.connections[index].ends[side].place, Place::Detached(_)) {
                self.connections[index].close_end(side);
            }
        }
    }
}

/// The own and the peer's address of the socket of a stream.
fn addresses(stream: dcf_tb_stream) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let mut fd = -1;
    call!(dcf_tb_stream_fd(stream, &mut fd)).gives(DCF_TB_OK);
    // SAFETY: open as long as the stream, which nobody else closes.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = SockRef::from(&fd);
    let address = |address: std::io::Result<socket2::SockAddr>| address.ok()?.as_socket();
    (address(socket.local_addr()), address(socket.peer_addr()))
}
