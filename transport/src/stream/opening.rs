//! Opening and accepting streams.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use std::net::SocketAddrV6;

use socket2::Socket;

use super::connection::{Stream, Streams};
use super::options::change_user_timeout;
use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::log::log;
use crate::sys::poll::Deadline;
use crate::sys::socket;

impl Stream {
    fn register(
        context: &Arc<Context>,
        streams: &Arc<Streams>,
        id: u64,
        socket: Socket,
        peer: &SocketAddrV6,
    ) -> Result<Arc<Self>> {
        let stream = Arc::new(Self::new(context, streams, id, socket, *peer));
        // From here on dropping the stream gives its place back.
        if streams.register(id, Arc::downgrade(&stream)) {
            Ok(stream)
        } else {
            Err(TransportError::Shutdown)
        }
    }

    /// Takes a connection from the listener, whose options it has.
    pub fn accepted(
        context: &Arc<Context>,
        streams: &Arc<Streams>,
        id: u64,
        socket: Socket,
        peer: &SocketAddrV6,
    ) -> Result<Arc<Self>> {
        let stream = Self::register(context, streams, id, socket, peer)?;
        stream.counts.opened();
        if context.live.dead_after_changed.load(Ordering::Acquire) {
            let keep_alive = context.settings.config.tcp_keepalive;
            change_user_timeout(&stream.socket, stream.dead_after, keep_alive);
        }
        streams.watch_silence(&stream);
        context.record_seen(peer.ip(), Instant::now);
        context.counters.cold.connections_accepted.increment();
        log!(context.log, Debug, "stream from {} accepted", stream.peer);
        Ok(stream)
    }

    /// Connects to the data port of a peer.
    pub fn open(
        context: &Arc<Context>,
        streams: &Arc<Streams>,
        peer: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<Self>> {
        let deadline = Deadline::after(timeout);
        let stream = Self::unconnected(context, streams, peer)?;
        stream.connect(&stream.address, deadline, timeout)?;
        stream.note_opened();
        Ok(stream)
    }

    /// A stream that is about to be connected to the data port of a peer.
    pub fn unconnected(
        context: &Arc<Context>,
        streams: &Arc<Streams>,
        peer: &str,
    ) -> Result<Arc<Self>> {
        if context.is_closing() {
            return Err(TransportError::Shutdown);
        }
        let to = context.resolve(peer, context.own_data_port())?;
        if to.ip().is_multicast() {
            return Err(TransportError::invalid_address(
                peer,
                "a stream goes to one peer, and this is a multicast address",
            ));
        }
        context.link.check()?;
        let id = streams.reserve()?;
        let interface = context.link.name();
        let prepared = socket::tcp(&interface)
            .map_err(|error| context.cannot_bind_device(&interface, error))
            .and_then(|socket| {
                streams.options.configure(&socket, context)?;
                Ok(socket)
            });
        match prepared {
            Ok(socket) => Self::register(context, streams, id, socket, &to),
            Err(error) => {
                streams.release(id);
                Err(error)
            }
        }
    }

    /// The stream is connected.
    pub fn note_opened(&self) {
        let context = &*self.context;
        self.counts.opened();
        context.record_seen(self.address.ip(), Instant::now);
        context.counters.cold.connections_initiated.increment();
        log!(context.log, Debug, "stream to {} opened", self.peer);
    }
}
