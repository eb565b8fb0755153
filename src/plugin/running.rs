//! A plugin that was set up: its transport, what comes in and what goes out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thunderbolt_transport::{ThunderboltTransport, TransportError};

use super::large::incoming::Incoming;
use super::large::outgoing::Outgoing;
use super::limit::Limit;
use super::params::Settings;
use super::peer::PeerText;
use super::queue::Queue;
use crate::boundary::silence_panics;
use crate::failure::Failure;
use crate::fork::Busy;
use crate::lifecycle::start_failure;
use crate::objects::{self, StreamSet};

/// How long a datagram waits for room in the kernel's queue at most. It is there within microseconds
/// while the link works.
const ROOM: Duration = Duration::from_secs(1);

pub(super) struct Running {
    pub(super) settings: Settings,
    pub(super) transport: Arc<ThunderboltTransport>,
    /// The transport's handle in the native interface.
    pub(super) handle: u64,
    pub(super) inbound: Arc<Inbound>,
    pub(super) outgoing: Arc<Outgoing>,
}

/// What the transport's handlers share with us. They may run before the transport is known.
pub(super) struct Inbound {
    pub(super) queue: Arc<Queue>,
    pub(super) incoming: Incoming,
    transport: OnceLock<Arc<ThunderboltTransport>>,
}

impl Running {
    pub(super) fn start(settings: Settings) -> Result<Self, Failure> {
        silence_panics();
        let busy = Busy::lock();
        let number = |key| settings.option(key) as usize;
        let max_streams = number("max_streams");
        let dead_after = Duration::from_millis(settings.option("stream_dead_after_ms"));
        let inbound = Arc::new(Inbound {
            queue: Queue::new(number("receive_queue"), number("receive_queue_bytes")),
            incoming: Incoming::new(max_streams, dead_after),
            transport: OnceLock::new(),
        });
        let connect_within = Duration::from_millis(settings.option("connect_timeout_ms"));
        let [messages, streams] = [0; 2].map(|_| Arc::clone(&inbound));
        let queue = Arc::clone(&inbound.queue);
        let transport = settings
            .builder()
            .remember_peers(true)
            .on_message(move |data, sender| messages.take(data, sender.as_str()))
            .on_stream(move |stream| {
                let Inbound {
                    queue,
                    incoming,
                    transport,
                } = &*streams;
                incoming.serve(&stream, queue, transport);
            })
            .on_closed(move || drop(busy))
            .build()
            .map_err(start_failure)?;
        inbound.transport.get_or_init(|| Arc::clone(&transport));
        // Whoever closes it by its native handle closes the queue too, before it waits for threads
        // that wait for the queue.
        let handle = objects::add_transport(Arc::clone(&transport), StreamSet::new(), move || {
            queue.close();
        });
        let handle = handle.inspect_err(|_| transport.close())?;
        Ok(Self {
            settings,
            transport,
            handle,
            inbound,
            outgoing: Outgoing::new(connect_within, max_streams),
        })
    }

    pub(super) fn send_datagram(
        &self,
        data: &[u8],
        recipient: &str,
        limit: Limit,
    ) -> Result<(), TransportError> {
        let room = limit.left_of(ROOM);
        let sent = self
            .transport
            .send_message_timeout(data, recipient, Some(room));
        match sent {
            // It was not the queue that had its time, but the caller's that was up.
            Err(TransportError::QueueFull { .. }) if room < ROOM => Err(limit.expired(|| {
                let size = data.len();
                format!("no room in the send queue for a message of {size} bytes to {recipient}")
            })),
            sent => sent.map(drop),
        }
    }

    pub(super) fn send_large(
        &self,
        data: &[u8],
        recipient: &str,
        limit: Limit,
    ) -> Result<(), TransportError> {
        let transport = &self.transport;
        let to = transport.resolve(recipient)?;
        // Who names a port names the control port, and the data port is as far from it as ours.
        let step = i32::from(self.settings.data_port) - i32::from(self.settings.control_port);
        let port = u16::try_from(i32::from(to.port()) + step).ok();
        let Some(port) = port.filter(|&port| port > 0) else {
            return Err(TransportError::InvalidAddress(format!(
                "invalid peer address \"{recipient}\": no data port is {step} away from its control \
                 port"
            )));
        };
        self.outgoing.send(transport, (*to.ip(), port), data, limit)
    }

    pub(super) fn close(&self) {
        match objects::remove_transport(self.handle) {
            Ok(owner) => owner.close(),
            // The host did so by the native handle. This waits until it is done.
            Err(_) => self.transport.close(),
        }
    }
}

impl Inbound {
    /// Takes a datagram.
    fn take(&self, data: &[u8], sender: &str) {
        let Err(reason) = self.queue.push(data, PeerText::new(sender)) else {
            return;
        };
        if let Some(transport) = self.transport.get() {
            transport.count_dropped(reason, 1);
        }
    }
}
