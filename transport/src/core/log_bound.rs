//! The log records of a transport that is bound.

use super::Core;
use crate::log::log;

impl Core {
    /// Logs that the sockets are bound to this interface, and what the kernel granted. Programs search for the first
    /// words of these records.
    pub fn log_bound(&self, interface: &str, index: u32) {
        let (context, control) = (&*self.context, &self.control);
        log!(
            context.log,
            Info,
            "Initialized interface {interface} (index {index})"
        );
        log!(
            context.log,
            Info,
            "UDP socket bound to port {}; buffers: {} bytes asked, {} granted to send and {} to receive",
            context.control_port(),
            context.settings.config.buffer_size,
            control.send_buffer.get(),
            control.receive_buffer.get(),
        );
        log!(
            context.log,
            Info,
            "TCP listener bound to port {}; buffers: {}",
            context.data_port(),
            match self.streams.send_buffer() {
                0 => "tuned by the kernel".to_owned(),
                bytes => format!("{bytes} bytes granted to send, receiving tuned by the kernel"),
            },
        );
    }
}
