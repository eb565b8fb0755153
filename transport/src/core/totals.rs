//! The statistics of a transport, from its counters and the kernel's.

use super::Core;
use crate::stats::Stats;

impl Core {
    /// All counters since the start.
    pub fn totals(&self) -> Stats {
        let context = &*self.context;
        let (counters, cold) = (&context.counters, &context.counters.cold);
        let handlers = &self.handlers;
        let failures = [
            handlers.on_message.failures(),
            handlers.on_stream.failures(),
            handlers.on_link.failures(),
            handlers.on_peer.failures(),
            context.log.handler.failures(),
        ];
        let mut totals = Stats {
            link_up: context.link.is_up(),
            messages_sent: counters.sent.sum(|sent| &sent.messages),
            messages_received: counters.received.messages.get(),
            bytes_sent: counters.sent.sum(|sent| &sent.bytes),
            bytes_received: counters.received.bytes.get(),
            kernel_drops: cold.kernel_drops_before.get() + self.control.kernel_drops(),
            stream_bytes_sent: counters.stream_bytes_sent.sum(|bytes| bytes),
            stream_bytes_received: counters.stream_bytes_received.sum(|bytes| bytes),
            streams_open: self.streams.open() as u64,
            last_rtt_ns: cold.last_rtt_ns.get(),
            link_changes: context.link.changes(),
            callback_failures: failures.iter().sum(),
            udp_send_buffer: self.control.send_buffer.get(),
            udp_receive_buffer: self.control.receive_buffer.get(),
            ..Stats::default()
        };
        cold.read_into(&mut totals);
        totals
    }
}
