//! The state that all parts of a transport share: settings, link state, counters, log. It imports none of the parts.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Instant;

use crate::address::{self, OwnPort, Scope};
use crate::bind;
use crate::error::{Result, TransportError};
use crate::last_seen::{LastSeen, Seen};
use crate::link::{Attempt, Link};
use crate::live_settings::LiveSettings;
use crate::log::{LogHandler, Logger};
use crate::peer_cache;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::spin::Spin;
use crate::stats::Counters;
use crate::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use crate::sys::event::EventFd;
use crate::sys::socket::SocketError;

/// The state that the control channel, the streams and the round trips of a transport share.
pub(crate) struct Context {
    /// The settings at the start. Those that can change later are read where they are used, or from `live`.
    pub settings: Settings,
    pub live: LiveSettings,
    pub log: Logger,
    pub counters: Counters,
    pub link: Link,
    pub last_seen: LastSeen,
    pub spin: Spin,
    /// Wakes the event loop.
    pub event_loop_wake: EventFd,
    control_port: AtomicU16,
    data_port: AtomicU16,
    closing: AtomicBool,
}

impl Context {
    pub fn new(
        settings: Settings,
        on_log: Option<LogHandler>,
        has_peer_handler: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            live: LiveSettings::new(
                settings.allow_any_source,
                settings.connect_timeout,
                settings.stream_dead_after,
            ),
            log: Logger::new(settings.log_level, on_log),
            counters: Counters::default(),
            link: Link::absent(&settings.config.interface),
            last_seen: LastSeen::new(settings.remember_peers, settings.peer_timeout, || {
                has_peer_handler
            }),
            spin: Spin::new(settings.busy_poll),
            event_loop_wake: EventFd::new()?,
            control_port: AtomicU16::new(0),
            data_port: AtomicU16::new(0),
            closing: AtomicBool::new(false),
            settings,
        })
    }

    #[inline]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// From now on the transport closes. True if it was closing already.
    pub fn begin_close(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// The UDP port of the control socket; 0 before it was chosen.
    #[inline]
    pub fn control_port(&self) -> u16 {
        self.control_port.load(Ordering::Relaxed)
    }

    pub fn set_control_port(&self, port: u16) {
        self.control_port.store(port, Ordering::Relaxed);
    }

    /// The TCP port of the listener; 0 before it was chosen.
    pub fn data_port(&self) -> u16 {
        self.data_port.load(Ordering::Relaxed)
    }

    pub fn set_data_port(&self, port: u16) {
        self.data_port.store(port, Ordering::Relaxed);
    }

    /// The control port of a peer whose string names none.
    pub fn own_control_port(&self) -> OwnPort {
        let configured = self.settings.config.control_port;
        OwnPort::new(configured, self.control_port(), "control_port")
    }

    /// The data port of a peer whose string names none.
    pub fn own_data_port(&self) -> OwnPort {
        let configured = self.settings.config.data_port;
        OwnPort::new(configured, self.data_port(), "data_port")
    }

    pub fn allows_any_source(&self) -> bool {
        self.live.allow_any_source.load(Ordering::Relaxed)
    }

    /// Whether traffic from this source is accepted.
    pub fn serves(&self, source: &Ipv6Addr) -> bool {
        address::is_local(source) || self.allows_any_source()
    }

    /// Counts the failure of a call, if it is one.
    pub fn count<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.count_error(error);
        }
        result
    }

    /// Counts the failure of a call that stopped half-way, if it is one.
    pub fn count_progress(&self, progress: Progress) -> Progress {
        if let Err(error) = &progress.outcome {
            self.count_error(error);
        }
        progress
    }

    pub fn count_error(&self, error: &TransportError) {
        if error.counts() {
            self.counters.cold.errors.increment();
        }
    }

    /// Records that something came from this address. It calls no handler, so locks may be held.
    #[inline]
    pub fn record_seen(&self, from: &Ipv6Addr, at: impl FnOnce() -> Instant) {
        let name = || {
            let up = self.link.is_up();
            up.then(|| format!("{from}%{}", self.link.name()))
        };
        match self.last_seen.record(from, at, name) {
            Seen::Known => {}
            // The event loop starts the thread that calls the peer handler.
            Seen::Appeared => self.event_loop_wake.signal(),
            Seen::Refused => self.counters.cold.peers_not_reported.increment(),
        }
    }

    /// Parses a peer string, or takes its address from this thread's cache.
    pub fn resolve(&self, peer: &str, own_port: OwnPort) -> Result<SocketAddrV6> {
        let epoch = self.link.epoch();
        match peer_cache::lookup(peer, epoch, own_port.number(), |cached| cached.address) {
            Some(address) => Ok(address),
            None => self.parse_peer(peer, epoch, own_port),
        }
    }

    /// Parses a peer string and caches its address.
    pub fn parse_peer(&self, peer: &str, epoch: u64, own_port: OwnPort) -> Result<SocketAddrV6> {
        let address = self.link.with(|current| {
            let scope = Scope {
                interface: &current.name,
                index: current.index,
                kernel: self.link.kernel(),
            };
            address::parse(peer, scope, own_port)
        })?;
        peer_cache::insert(peer, epoch, own_port.number(), address);
        Ok(address)
    }

    /// An address with its port, as a peer string.
    pub fn endpoint(&self, to: &SocketAddrV6) -> String {
        // No peer has port 0, so the port is always written.
        address::format(to, &self.link.name(), OwnPort::Configured(0))
    }

    /// The error of a system call that failed on a socket of the link.
    pub fn failed(&self, attempt: Attempt<'_>, action: String, error: io::Error) -> TransportError {
        let any_source = self.allows_any_source();
        let error = self.link.failed(attempt, action, error, any_source);
        if self.link.is_doubted() {
            self.event_loop_wake.signal();
        }
        error
    }

    /// The error of a datagram that the kernel refused.
    pub fn failed_to(&self, action: &str, to: &SocketAddrV6, error: io::Error) -> TransportError {
        let action = format!("{action} to {}", self.endpoint(to));
        self.failed(Attempt::Send(to), action, error)
    }

    /// The error of a call that cannot bind a socket to the interface, although the transport could.
    pub fn cannot_bind_device(&self, interface: &str, error: SocketError) -> TransportError {
        let no_device = |error: &io::Error| error.raw_os_error() == Some(libc::ENODEV);
        match error {
            SocketError::Device(source) if no_device(&source) => {
                let action = format!("cannot bind a socket to \"{interface}\"");
                self.failed(Attempt::Bind(interface), action, source)
            }
            error => bind::cannot_bind_device(interface, error),
        }
    }
}
