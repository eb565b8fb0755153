//! A plugin after its setup: the transport, and the paths of messages in and out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thunderbolt_transport::support::TimeLimit;
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use super::large::incoming::Incoming;
use super::large::outgoing::Outgoing;
use super::params::Settings;
use super::peer_text::PeerText;
use super::queue::Queue;
use crate::boundary::silence_panics;
use crate::failure::Failure;
use crate::fork::Busy;
use crate::lifecycle::start_failure;
use crate::objects::{self, StreamSet};

/// The longest time that a datagram waits for room in the kernel's send queue. While the link works,
/// there is room within microseconds.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(1);

pub(super) struct PluginSession {
    pub(super) settings: Settings,
    pub(super) transport: Arc<ThunderboltTransport>,
    /// The transport's handle for the native functions.
    pub(super) handle: u64,
    pub(super) inbound: Arc<Inbound>,
    pub(super) outgoing: Arc<Outgoing>,
}

/// What the session shares with the transport's handlers, which may run before `build` has returned.
pub(super) struct Inbound {
    pub(super) queue: Arc<Queue>,
    pub(super) incoming: Incoming,
    transport: OnceLock<Arc<ThunderboltTransport>>,
}

impl PluginSession {
    pub(super) fn start(settings: Settings) -> Result<Self, Failure> {
        silence_panics();
        let busy = Busy::lock();
        let option = |key| settings.option(key) as usize;
        let max_streams = option("max_streams");
        let dead_after = Duration::from_millis(settings.option("stream_dead_after_ms"));
        let inbound = Arc::new(Inbound {
            queue: Queue::new(option("receive_queue"), option("receive_queue_bytes")),
            incoming: Incoming::new(max_streams, dead_after),
            transport: OnceLock::new(),
        });
        let connect_within = Duration::from_millis(settings.option("connect_timeout_ms"));
        let [messages, streams] = [0; 2].map(|_| Arc::clone(&inbound));
        let queue = Arc::clone(&inbound.queue);
        let transport = settings
            .builder()
            .remember_peers(true)
            .on_message(move |data, sender| messages.receive_datagram(data, sender.as_str()))
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
        // A close by the native handle waits for the handlers, which may wait for the queue. So it
        // closes the queue first.
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
        limit: TimeLimit,
    ) -> Result<(), TransportError> {
        let wait = limit.remaining_at_most(MAX_QUEUE_WAIT);
        let sent = self
            .transport
            .send_message_timeout(data, recipient, Some(wait));
        match sent {
            // The caller's time was shorter than the time for the queue.
            Err(TransportError::QueueFull { .. }) if wait < MAX_QUEUE_WAIT => {
                let size = data.len();
                Err(limit.expired(format_args!(
                    "no room in the send queue for a message of {size} bytes to {recipient}"
                )))
            }
            sent => sent.map(drop),
        }
    }

    pub(super) fn send_large(
        &self,
        data: &[u8],
        recipient: &str,
        limit: TimeLimit,
    ) -> Result<(), TransportError> {
        let transport = &self.transport;
        let to = transport.resolve(recipient)?;
        // The string names the control port. The data port is at the same distance from it as ours.
        let step = i32::from(self.settings.data_port) - i32::from(self.settings.control_port);
        let port = u16::try_from(i32::from(to.port()) + step).ok();
        let Some(port) = port.filter(|&port| port > 0) else {
            return Err(TransportError::InvalidAddress(format!(
                "invalid peer address \"{recipient}\": its data port would be {step} from its \
                 control port, and there is no such port"
            )));
        };
        self.outgoing.send(transport, (*to.ip(), port), data, limit)
    }

    pub(super) fn close(&self) {
        match objects::remove_transport(self.handle) {
            Ok(owner) => owner.close(),
            // The host closed it by the native handle. This waits until that close is complete.
            Err(_) => self.transport.close(),
        }
    }
}

impl Inbound {
    /// Queues a datagram, or counts it as dropped.
    fn receive_datagram(&self, data: &[u8], sender: &str) {
        let Err(reason) = self.queue.push(data, PeerText::new(sender)) else {
            return;
        };
        if let Some(transport) = self.transport.get() {
            transport.count_dropped(reason, 1);
        }
    }
}
