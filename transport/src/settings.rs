//! The settings of a transport, and their defaults.

use std::time::Duration;

use crate::log::LogLevel;

/// The name that Linux gives the network interface of the first Thunderbolt cable.
pub const DEFAULT_INTERFACE: &str = "thunderbolt0";
/// UDP port of control messages and pings.
pub const DEFAULT_CONTROL_PORT: u16 = 5000;
/// TCP port of data streams.
pub const DEFAULT_DATA_PORT: u16 = 5001;
/// Bytes of socket buffer to request from the kernel: 64 MiB.
pub const DEFAULT_BUFFER_SIZE: usize = 64 << 20;

/// The six settings that all implementations of this protocol share.
///
/// Each other setting is a method of
/// [`ThunderboltTransportBuilder`](crate::ThunderboltTransportBuilder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThunderboltConfig {
    /// Name of the network interface, `thunderbolt0` by default. `auto` selects the interface whose
    /// driver is `thunderbolt-net`. If there are several, give the name.
    pub interface: String,
    /// UDP port of control messages and pings, 5000 by default. 0 lets the kernel choose a free port.
    /// Other hosts do not have the same one then, so peer strings must include the peer's port,
    /// except for loopback.
    pub control_port: u16,
    /// TCP port of data streams, 5001 by default. 0 lets the kernel choose a free port, as for
    /// `control_port`.
    pub data_port: u16,
    /// Bytes of socket buffer to request from the kernel, 64 MiB by default. The granted sizes are
    /// logged and in [`Stats`](crate::Stats). Sockets for which the kernel's automatic tuning is
    /// better keep it.
    pub buffer_size: usize,
    /// TCP_NODELAY on data streams, on by default: small writes are sent without delay.
    pub tcp_nodelay: bool,
    /// SO_KEEPALIVE on data streams, on by default: a dead peer is detected on an idle stream.
    pub tcp_keepalive: bool,
}

impl Default for ThunderboltConfig {
    fn default() -> Self {
        Self {
            interface: DEFAULT_INTERFACE.to_owned(),
            control_port: DEFAULT_CONTROL_PORT,
            data_port: DEFAULT_DATA_PORT,
            buffer_size: DEFAULT_BUFFER_SIZE,
            tcp_nodelay: true,
            tcp_keepalive: true,
        }
    }
}

/// The longest TCP_USER_TIMEOUT that the kernel accepts: an int of milliseconds, 24 days.
pub(crate) const MAX_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Limits a `stream_dead_after` to the longest TCP_USER_TIMEOUT.
pub(crate) fn limit_user_timeout(time: Duration) -> Duration {
    time.min(MAX_USER_TIMEOUT)
}

/// All settings of a transport.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub config: ThunderboltConfig,
    pub allow_any_source: bool,
    pub wait_for_interface: bool,
    pub name_settings: bool,
    pub remember_peers: bool,
    pub peer_timeout: Duration,
    pub busy_poll: Duration,
    pub receive_queue: usize,
    pub receive_queue_bytes: usize,
    pub max_streams: u32,
    pub max_silent_streams: u32,
    pub silent_after: Duration,
    pub connect_timeout: Duration,
    pub stream_dead_after: Duration,
    pub log_level: LogLevel,
}

impl Settings {
    /// The part of a log record that names a setting: `words`, or an empty string while
    /// `name_settings` is off.
    pub fn hint(&self, words: &'static str) -> &'static str {
        match self.name_settings {
            true => words,
            false => "",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: ThunderboltConfig::default(),
            allow_any_source: false,
            wait_for_interface: false,
            name_settings: true,
            remember_peers: false,
            peer_timeout: Duration::from_secs(5),
            busy_poll: Duration::from_micros(50),
            receive_queue: 1024,
            receive_queue_bytes: 64 << 20,
            max_streams: 1024,
            max_silent_streams: 1000,
            silent_after: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            stream_dead_after: Duration::from_secs(10),
            log_level: LogLevel::Info,
        }
    }
}
