//! Receiving large messages: what comes on a connection that a peer opened.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv6Addr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thunderbolt_transport::{DataStream, DropReason, ThunderboltTransport};

use super::format::{read_message, Source, Trouble};
use crate::plugin::lock;
use crate::plugin::peer::PeerText;
use crate::plugin::queue::{NoMore, Queue};
use crate::sync::Mutex;

/// How long a peer may take to begin, and to go on within a message.
const STALLED: Duration = Duration::from_secs(10);
/// A peer closes a connection that it does not use. One that forgets to is helped after this.
const IDLE: Duration = Duration::from_secs(60);

/// The connections that peers opened.
#[derive(Default)]
pub(in crate::plugin) struct Incoming {
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    open: HashMap<u64, DataStream>,
    next: u64,
}

impl Incoming {
    /// Reads messages until the connection ends. Runs on a thread of its own for each.
    pub(in crate::plugin) fn serve(
        &self,
        stream: &DataStream,
        queue: &Arc<Queue>,
        transport: &OnceLock<Arc<ThunderboltTransport>>,
    ) {
        let number = {
            let mut streams = lock(&self.streams);
            let number = streams.next;
            streams.next += 1;
            streams.open.insert(number, stream.clone());
            number
        };
        let drop_message = |reason: DropReason<'_>| {
            if let Some(transport) = transport.get() {
                transport.count_dropped(reason, 1);
            }
        };
        read_messages(stream, queue, drop_message);
        lock(&self.streams).open.remove(&number);
        stream.close();
    }

    /// Ends the connections from an address; what was arriving over them is dropped.
    pub(in crate::plugin) fn disconnect(&self, address: &Ipv6Addr) {
        let streams: Vec<_> = {
            let streams = lock(&self.streams);
            let from_it = |stream: &&DataStream| stream.peer_address().ip() == address;
            streams.open.values().filter(from_it).cloned().collect()
        };
        streams.iter().for_each(DataStream::close);
    }
}

fn read_messages(stream: &DataStream, queue: &Arc<Queue>, drop_message: impl Fn(DropReason<'_>)) {
    let sender = PeerText::new(stream.peer());
    let mut source = Patient {
        stream,
        next: STALLED,
    };
    let mut any = false;
    loop {
        let message = match read_message(&mut source, || queue.arriving()) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(trouble) => return give_up(stream, trouble, any, drop_message),
        };
        if let Err(refusal) = message.deliver(sender) {
            return give_up(stream, Trouble::Refused(refusal), any, drop_message);
        }
        any = true;
        source.next = IDLE;
    }
}

/// Counts and logs what has to be; `any`: whole messages came before.
fn give_up(
    stream: &DataStream,
    trouble: Trouble<NoMore>,
    any: bool,
    drop_message: impl Fn(DropReason<'_>),
) {
    let peer = stream.peer();
    match trouble {
        Trouble::Malformed(what) => {
            stream.reject(format_args!("no message of a DCF plugin host: {what}"));
        }
        Trouble::Cut { got, length } => drop_message(DropReason::Cut(format_args!(
            "of {length} bytes from {peer} came {got}, then the end of the connection"
        ))),
        Trouble::Failed {
            error,
            got,
            length: Some(length),
        } => {
            drop_message(DropReason::Cut(format_args!(
                "of {length} bytes from {peer} came {got}, then: {error}"
            )));
        }
        // Between messages: whoever was here is gone, or is done and does not say so.
        Trouble::Failed { error, .. } if any || error.kind() != io::ErrorKind::TimedOut => {}
        Trouble::Failed { .. } => {
            stream.reject(format_args!("nothing came for {STALLED:?}"));
        }
        Trouble::Refused(NoMore::Closed) => {}
        Trouble::Refused(NoMore::Memory) => drop_message(DropReason::Memory),
    }
}

/// A connection whose silence has an end.
struct Patient<'a> {
    stream: &'a DataStream,
    /// For how long the next bytes may keep us waiting. Those after them: [`STALLED`].
    next: Duration,
}

impl Source for Patient<'_> {
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
        let read = self.stream.read_uninit_timeout(room, Some(self.next))?;
        self.next = STALLED;
        Ok(read)
    }
}
