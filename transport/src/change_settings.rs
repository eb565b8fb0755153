//! Changing settings while the transport runs.
//!
//! Each setting is one atomic number where it is read, so a change takes no lock that traffic takes, and applies to
//! what begins after it. A change ends nothing: when a limit falls below the number in use, those stay, and new ones
//! are refused until there is room.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::core::{Core, ThunderboltTransport};
use crate::log::LogLevel;
use crate::settings::limit_user_timeout;
use crate::sys::socket;

impl Core {
    fn set_stream_dead_after(&self, time: Duration) {
        let (live, time) = (&self.context.live, limit_user_timeout(time));
        // Before any stream has the new time.
        live.shortest_dead_after.shorten(time);
        live.dead_after_changed.store(true, Ordering::Release);
        live.stream_dead_after.set(time);
        // The event loop checks streams with data to send as often as the shortest time requires.
        self.context.event_loop_wake.signal();
    }

    fn set_busy_poll(&self, time: Duration) {
        self.context.spin.set_budget(time);
        // A shorter time is always allowed; a longer one needs CAP_NET_ADMIN, as at the start.
        if let Some(socket) = self.control.socket() {
            socket::busy_poll(&socket, time);
        }
        // The next round trips open new sockets.
        self.round_trips.close_idle_sockets();
    }
}

/// # Settings while it runs
///
/// Each has the name, the meaning and the range that it has in [`ThunderboltTransportBuilder`]. A change
/// applies at once to what begins after it, on all threads. It ends nothing: when a limit falls below the number in
/// use, those stay, and new ones are refused until there is room. All other settings belong to the sockets and are
/// fixed when the transport starts.
///
/// [`ThunderboltTransportBuilder`]: crate::ThunderboltTransportBuilder
impl ThunderboltTransport {
    /// The lowest level that is logged.
    pub fn log_level(&self) -> LogLevel {
        self.core().context.log.lowest()
    }

    /// Changes the lowest level that is logged.
    pub fn set_log_level(&self, level: LogLevel) {
        self.core().context.log.set_lowest(level);
    }

    /// How long a waiting receiver or round trip spins before it sleeps.
    pub fn busy_poll(&self) -> Duration {
        self.core().context.spin.budget()
    }

    /// Changes how long a waiting receiver or round trip spins before it sleeps. Waits that have begun
    /// are not changed.
    pub fn set_busy_poll(&self, time: Duration) {
        self.core().set_busy_poll(time);
    }

    /// Messages kept for [`recv`](Self::recv).
    pub fn receive_queue(&self) -> usize {
        self.core().inbox.limit()
    }

    /// Changes how many messages are kept for [`recv`](Self::recv). With fewer than are kept now those
    /// stay, and new ones are dropped and counted until there is room.
    pub fn set_receive_queue(&self, messages: usize) {
        self.core().inbox.set_limit(messages);
    }

    /// The most bytes of these messages together.
    pub fn receive_queue_bytes(&self) -> usize {
        self.core().inbox.limit_bytes()
    }

    /// Changes how many bytes these messages may have together, as
    /// [`set_receive_queue`](Self::set_receive_queue) changes their number.
    pub fn set_receive_queue_bytes(&self, bytes: usize) {
        self.core().inbox.set_limit_bytes(bytes);
    }

    /// The most open data streams.
    pub fn max_streams(&self) -> u32 {
        self.core().streams.limit()
    }

    /// Changes how many data streams may be open. If more are open now, they stay open, and new ones are refused until
    /// enough have closed.
    pub fn set_max_streams(&self, streams: u32) {
        self.core().streams.set_limit(streams);
    }

    /// Streams that a peer opened and on which neither side has sent anything yet.
    pub fn max_silent_streams(&self) -> u32 {
        self.core().streams.silent_limits().0
    }

    /// Changes how many of them there may be. If there are more now, they stay, and each new one evicts the oldest or is
    /// refused, as always when there are too many. After 0, which is no limit, the streams that are silent now count.
    pub fn set_max_silent_streams(&self, streams: u32) {
        self.core().streams.set_max_silent(streams);
    }

    /// How long a stream may stay silent before it may be evicted.
    pub fn silent_after(&self) -> Duration {
        self.core().streams.silent_limits().1
    }

    /// Changes how long a stream may stay silent before it may be evicted, also for the streams that are silent now.
    pub fn set_silent_after(&self, time: Duration) {
        self.core().streams.set_silent_after(time);
    }

    /// How long opening a stream may take.
    pub fn connect_timeout(&self) -> Duration {
        self.core().context.live.connect_timeout.get()
    }

    /// Changes how long opening a stream may take. Calls that have begun are not changed.
    pub fn set_connect_timeout(&self, time: Duration) {
        self.core().context.live.connect_timeout.set(time);
    }

    /// How long a peer may leave sent data or keepalives unacknowledged before a stream ends.
    pub fn stream_dead_after(&self) -> Duration {
        self.core().context.live.stream_dead_after.get()
    }

    /// Changes how long a peer may leave sent data or keepalives unacknowledged before a stream ends, of
    /// streams that are opened or accepted next. Those that are open keep what they have.
    pub fn set_stream_dead_after(&self, time: Duration) {
        self.core().set_stream_dead_after(time);
    }

    /// Whether sources are served that are neither link-local nor loopback.
    pub fn allow_any_source(&self) -> bool {
        self.core()
            .context
            .live
            .allow_any_source
            .load(Ordering::Relaxed)
    }

    /// Changes whether sources are served that are neither link-local nor loopback. Their streams that are
    /// open stay open.
    pub fn set_allow_any_source(&self, on: bool) {
        let allowed = &self.core().context.live.allow_any_source;
        allowed.store(on, Ordering::Relaxed);
    }
}
