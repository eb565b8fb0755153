//! The bytes of streams: all counted bytes arrive in order, once.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use dcf_thunderbolt::fuzzing::*;

use crate::contract::{call, Outcome};
use crate::operation::{Handle, Sink, Wait};
use crate::streams::Place;
use crate::surroundings::{memory_file, wait_until, BLOCK_FILE, BLOCK_SIZE, GENEROUS_MS};
use crate::world::{expired, timeout, Part, World};

/// Bytes that the kernel buffers even if they are not read.
const LITTLE: usize = 16 << 10;

impl World {
    pub fn write(&mut self, to: Handle, size: usize, wait: Wait) {
        let part = self.part(size.min(BLOCK_SIZE));
        let (number, live) = self.stream(to);
        let sure = live.is_some_and(|(index, side)| {
            self.connections[index].pipes[side].len() + part.length < LITTLE
        });
        let timeout_ms = timeout(wait, sure);
        let (data, mut written) = (part.bytes(), usize::MAX);
        let outcome = call!(dcf_tb_stream_write(
            number,
            data.as_ptr(),
            data.len(),
            timeout_ms,
            &mut written,
        ));
        let Some((index, side)) = live else {
            assert_eq!(written, 0);
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        assert_eq!(outcome.is_ok(), written == data.len());
        let gone = self.sent_bytes(
            index,
            side,
            Part {
                length: written,
                ..part
            },
        );
        let finished = self.connections[index].ends[side].finished && !data.is_empty();
        if !gone {
            let late = expired(timeout_ms);
            match (finished, timeout_ms == GENEROUS_MS) {
                (true, _) => outcome.gives(DCF_TB_ERR_BROKEN_PIPE),
                (false, true) => outcome.gives(DCF_TB_OK),
                (false, false) => outcome.gives_one_of(&[DCF_TB_OK, late]),
            }
        }
    }

    /// Records written bytes. Returns whether the other end is closed.
    fn sent_bytes(&mut self, index: usize, side: usize, part: Part) -> bool {
        let connection = &mut self.connections[index];
        let counted = &mut self.transports[connection.ends[side].owner].counted;
        counted.stream_bytes_sent += part.length as u64;
        let gone = connection.is_closed(1 - side);
        if gone && part.length > 0 {
            // The other end answers data on a closed connection with a reset.
            connection.pipes[1 - side].torn = true;
        } else if part.length > 0 {
            connection.pipes[side].parts.push_back(part);
        }
        gone || connection.pipes[1 - side].torn
    }

    pub fn send_file(&mut self, to: Handle, offset: u64, count: u64, beyond: u8, wait: Wait) {
        let (number, live) = self.stream(to);
        let offset = offset % (BLOCK_SIZE as u64 + 4096);
        // An offset beyond the file's end, and one beyond the largest file.
        let (offset, count) = match beyond {
            0 => (offset, u64::MAX),
            1 => (u64::MAX - offset, count),
            _ => (offset, count),
        };
        let timeout_ms = timeout(wait, false);
        let (fd, mut sent) = (BLOCK_FILE.as_raw_fd(), u64::MAX);
        let outcome = call!(dcf_tb_stream_send_file(
            number, fd, offset, count, timeout_ms, &mut sent
        ));
        let Some((index, side)) = live else {
            assert_eq!(sent, 0);
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        if i64::try_from(offset).is_err() {
            assert_eq!(sent, 0);
            return outcome.gives(DCF_TB_ERR_OUT_OF_RANGE);
        }
        let there = (BLOCK_SIZE as u64).saturating_sub(offset);
        assert!(sent <= there.min(count));
        assert_eq!(outcome.is_ok(), sent == count);
        assert!(outcome.status != DCF_TB_EOF || sent == there);
        let part = Part {
            start: offset as usize,
            length: sent as usize,
        };
        let gone = self.sent_bytes(index, side, part);
        if !gone && !self.connections[index].ends[side].finished {
            outcome.gives_one_of(&[DCF_TB_OK, DCF_TB_EOF, expired(timeout_ms)]);
        }
    }

    pub fn read(&mut self, from: Handle, cap: usize, wait: Wait) {
        let (number, live) = self.stream(from);
        let sure = live.is_some_and(|(index, side)| self.something_comes(index, side));
        let timeout_ms = timeout(wait, sure);
        let (mut buffer, mut count) = (vec![0x5A_u8; cap], usize::MAX);
        let buf = buffer.as_mut_ptr();
        let outcome = call!(dcf_tb_stream_read(number, buf, cap, timeout_ms, &mut count));
        assert!(buffer[count.min(cap)..].iter().all(|&byte| byte == 0x5A));
        let Some((index, side)) = live else {
            assert_eq!(count, 0);
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        if cap == 0 {
            assert_eq!(count, 0);
            return outcome.gives(DCF_TB_OK);
        }
        assert_eq!(outcome.is_ok(), count > 0);
        let expected = self.connections[index].pipes[1 - side].len();
        self.received_bytes(index, side, &buffer[..count]);
        self.expect_end(index, side, outcome, timeout_ms, expected > 0);
    }

    /// Whether bytes or the end of the stream are in flight to that end.
    fn something_comes(&self, index: usize, side: usize) -> bool {
        let connection = &self.connections[index];
        let incoming = &connection.pipes[1 - side];
        let ended = connection.is_closed(1 - side) || connection.ends[1 - side].finished;
        !incoming.torn && (incoming.len() > 0 || ended)
    }

    fn received_bytes(&mut self, index: usize, side: usize, bytes: &[u8]) {
        let connection = &mut self.connections[index];
        connection.pipes[1 - side].arrived(bytes);
        let counted = &mut self.transports[connection.ends[side].owner].counted;
        counted.stream_bytes_received += bytes.len() as u64;
    }

    /// Checks the status of a receiving call, with or without bytes in flight to it.
    fn expect_end(
        &self,
        index: usize,
        side: usize,
        outcome: Outcome,
        timeout_ms: u32,
        some_were_coming: bool,
    ) {
        let connection = &self.connections[index];
        if connection.pipes[1 - side].torn {
            return assert!(!outcome.is_ok() || some_were_coming);
        }
        let ended = connection.is_closed(1 - side) || connection.ends[1 - side].finished;
        let mut allowed = Vec::new();
        if some_were_coming {
            allowed.push(DCF_TB_OK);
        } else if ended {
            allowed.push(DCF_TB_EOF);
        }
        if timeout_ms != GENEROUS_MS {
            allowed.push(expired(timeout_ms));
        }
        outcome.gives_one_of(&allowed);
    }

    pub fn receive_file(&mut self, from: Handle, into: Sink, offset: u64, count: u64, wait: Wait) {
        let (number, live) = self.stream(from);
        let timeout_ms = timeout(wait, false);
        // Descriptors without a position accept no offset.
        let offset = match into {
            Sink::Pipe | Sink::Full if offset % 8 != 0 => 0,
            _ => offset,
        };
        let (fd, mut opened) = open_sink(into);
        let mut received = u64::MAX;
        let outcome = call!(dcf_tb_stream_receive_file(
            number,
            fd,
            offset,
            count,
            timeout_ms,
            &mut received
        ));
        let Some((index, side)) = live else {
            assert_eq!(received, 0);
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        match into {
            Sink::NotOpen => return outcome.gives(DCF_TB_ERR_IO),
            Sink::Negative => return outcome.gives(DCF_TB_ERR_OUT_OF_RANGE),
            Sink::Pipe | Sink::Full if offset > 0 => return outcome.gives(DCF_TB_ERR_OUT_OF_RANGE),
            _ => {}
        }
        let expected = self.connections[index].pipes[1 - side].len() as u64;
        assert!(received <= count.min(expected));
        assert_eq!(outcome.is_ok(), received == count);
        if let Sink::Full = into {
            assert_eq!(received, 0);
            self.connections[index].ends[side].leftover |= expected > 0;
            if outcome.status == DCF_TB_ERR_IO {
                assert_eq!(dcf_tb_last_errno(), libc::ENOSPC);
                return assert!(expected > 0);
            }
        }
        let mut bytes = vec![0; received as usize];
        match into {
            Sink::Memory => opened[0].read_exact_at(&mut bytes, offset).expect("memory"),
            Sink::Pipe => opened[1].read_exact(&mut bytes).expect("a pipe"),
            _ => {}
        }
        self.received_bytes(index, side, &bytes);
        let connection = &self.connections[index];
        if connection.pipes[1 - side].torn || outcome.is_ok() {
            return;
        }
        let ended = connection.is_closed(1 - side) || connection.ends[1 - side].finished;
        match outcome.status {
            DCF_TB_EOF => assert!(ended && received == expected),
            _ => outcome.gives(expired(timeout_ms)),
        }
    }

    /// Checks that all written bytes arrive, and then the end of the stream if it was sent.
    pub fn drain(&mut self) {
        for index in 0..self.connections.len() {
            for side in [0, 1] {
                match self.connections[index].ends[side].place {
                    Place::Open(stream) => self.drain_open(index, side, stream),
                    Place::Detached(_) => self.drain_detached(index, side),
                    Place::Pending | Place::Closed => {}
                }
            }
        }
    }

    fn drain_open(&mut self, index: usize, side: usize, stream: dcf_tb_stream) {
        let mut buffer = vec![0; 64 << 10];
        while self.something_comes(index, side) {
            let (buf, cap, mut count) = (buffer.as_mut_ptr(), buffer.len(), 0);
            let outcome = call!(dcf_tb_stream_read(
                stream,
                buf,
                cap,
                GENEROUS_MS,
                &mut count
            ));
            let expected = self.connections[index].pipes[1 - side].len();
            self.received_bytes(index, side, &buffer[..count]);
            self.expect_end(index, side, outcome, GENEROUS_MS, expected > 0);
            if !outcome.is_ok() {
                break;
            }
        }
    }

    fn drain_detached(&mut self, index: usize, side: usize) {
        let mut buffer = vec![0; 64 << 10];
        while self.something_comes(index, side) {
            let Place::Detached(socket) = &mut self.connections[index].ends[side].place else {
                return;
            };
            let mut count = 0;
            wait_until("bytes arrive at a detached stream", || {
                match socket.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
                    read => {
                        count = read.expect("an orderly end");
                        true
                    }
                }
            });
            self.connections[index].pipes[1 - side].arrived(&buffer[..count]);
            if count == 0 {
                assert_eq!(self.connections[index].pipes[1 - side].len(), 0);
                break;
            }
        }
    }
}

/// The descriptor to receive into, and the files that must stay open meanwhile. For a pipe, the second
/// one is the end to read from.
fn open_sink(into: Sink) -> (RawFd, Vec<File>) {
    let files = match into {
        Sink::Memory => vec![memory_file()],
        Sink::Full => vec![File::options()
            .write(true)
            .open("/dev/full")
            .expect("always there")],
        Sink::Pipe => {
            let (read, write) = std::io::pipe().expect("descriptors");
            vec![OwnedFd::from(write).into(), OwnedFd::from(read).into()]
        }
        Sink::NotOpen => return (1_000_000, Vec::new()),
        Sink::Negative => return (-1, Vec::new()),
    };
    (files[0].as_raw_fd(), files)
}
