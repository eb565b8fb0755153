//! Sending many control messages with as few system calls as possible.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::sync::Arc;

use socket2::Socket;

use super::channel::Control;
use super::outbound::Destination;
use super::send::{check_size, SEND_PATIENCE};
use crate::datagram::Datagram;
use crate::error::Result;
use crate::progress::Progress;
use crate::sys::report;
use crate::sys::send::{self, Outgoing, SEND_BATCH};

/// A part of a batch that is small enough for one system call.
#[derive(Default)]
struct Chunk<'a> {
    /// The destinations in order. One that is not adjacent to its last occurrence is listed again.
    peers: Vec<SocketAddrV6>,
    datagrams: Vec<Outgoing<'a>>,
    /// The peer's connected socket, if all datagrams go to one peer that has one.
    connected: Option<Arc<Socket>>,
}

impl Control {
    /// Sends in order until one fails. The count is that of the sent datagrams.
    pub fn send_batch<'a>(&self, datagrams: impl IntoIterator<Item = Datagram<'a>>) -> Progress {
        let mut datagrams = datagrams.into_iter();
        let mut chunk = Chunk::default();
        let mut count = 0;
        let outcome = loop {
            let addressed = self.fill(&mut chunk, &mut datagrams);
            // A bad datagram does not prevent sending those before it.
            let sent = self.send_chunk(&chunk);
            count += sent.count;
            match sent.outcome.and(addressed) {
                Ok(()) if chunk.datagrams.len() == SEND_BATCH => {}
                outcome => break outcome,
            }
        };
        self.context.count_progress(Progress { count, outcome })
    }

    /// Takes as many datagrams as one system call can send, checks them and resolves their destinations, up to the
    /// first bad one.
    fn fill<'a>(
        &self,
        chunk: &mut Chunk<'a>,
        datagrams: &mut impl Iterator<Item = Datagram<'a>>,
    ) -> Result<()> {
        let most = datagrams.size_hint().1.unwrap_or(SEND_BATCH);
        let expected = most.clamp(1, SEND_BATCH);
        chunk.peers.clear();
        chunk.datagrams.clear();
        chunk.datagrams.reserve(expected);
        chunk.connected = None;
        let mut last = "";
        for Datagram { peer, data } in datagrams.take(SEND_BATCH) {
            check_size(data)?;
            // The same string again is the common case, and comparing is cheaper than a lookup.
            if chunk.peers.is_empty() || !is_same(peer, last) {
                let found = self.destination(peer, expected as u32)?;
                last = peer;
                chunk.peers.push(found.address);
                // A connected socket is of use only if all datagrams go to its peer.
                chunk.connected = found.connected.filter(|_| chunk.peers.len() == 1);
            }
            let peer = chunk.peers.len() - 1;
            chunk.datagrams.push(Outgoing { peer, data });
        }
        Ok(())
    }

    fn send_chunk(&self, chunk: &Chunk<'_>) -> Progress {
        let mut rest = chunk.datagrams.as_slice();
        let mut outcome = Ok(());
        while let Some(first) = rest.first() {
            let destination = Destination {
                address: chunk.peers[first.peer],
                connected: chunk.connected.clone(),
            };
            let over_connected = |socket: &Socket| self.send_some(socket, &[], rest);
            let shared = |socket: &Socket| self.send_some(socket, &chunk.peers, rest);
            match self.send(&destination, Some(SEND_PATIENCE), over_connected, shared) {
                Ok(sent) => {
                    let bytes: usize = rest[..sent].iter().map(|one| one.data.len()).sum();
                    let counters = self.context.counters.sent.shard();
                    counters.messages.add(sent as u64);
                    counters.bytes.add(bytes as u64);
                    rest = &rest[sent..];
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        Progress {
            count: (chunk.datagrams.len() - rest.len()) as u64,
            outcome,
        }
    }

    /// Sends as many as one system call can send, several in one packet where the kernel splits it.
    fn send_some(
        &self,
        socket: &Socket,
        peers: &[SocketAddrV6],
        datagrams: &[Outgoing<'_>],
    ) -> io::Result<usize> {
        let largest = self.largest_segment();
        let socket_fd = socket.as_fd();
        let send = || send::send(socket_fd, peers, datagrams, largest);
        match report::send_despite(socket_fd, send) {
            // The kernel refused the first datagram for its size, and not because the queue was full.
            Err(error) if send::is_refused(&error) => {
                let size = datagrams[0].data.len();
                if size > largest || size == 0 {
                    return Err(error);
                }
                self.refuse_segments(match error.raw_os_error() {
                    // The interface has no checksum offload, so no size works.
                    Some(libc::EIO) => 1,
                    _ => size,
                });
                self.send_some(socket, peers, datagrams)
            }
            sent => sent,
        }
    }
}

fn is_same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}
