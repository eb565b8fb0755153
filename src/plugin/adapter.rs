//! The adapter behind all contracts: implements the operations of a plugin with a transport.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use thunderbolt_transport::support::TimeLimit;
use thunderbolt_transport::{LogLevel, TransportError};

use super::host::is_own;
use super::large::LENGTHS;
use super::params::Settings;
use super::queue::{Message, RecvError};
use super::session::{Inbound, PluginSession};
use crate::failure::{Failure, Outcome};
use crate::fork::Busy;
use crate::status::*;
use crate::sync::{lock, Mutex};

/// A peer counts as connected if anything came from it within this time.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// The pings of a health check, and the timeout of each. A check takes less than 3 s, so that three
/// failed checks fit into the 10 s in which DCF must notice a dead peer.
const PING_ATTEMPTS: u32 = 3;
const PING_TIMEOUT: Duration = Duration::from_millis(800);
const _: () = assert!(PING_ATTEMPTS as u128 * PING_TIMEOUT.as_millis() < 3000);

/// The state of a plugin. Calls before the setup and after the shutdown take no lock, because only a
/// running plugin holds the [`Busy`] that protects forked children from locks.
#[derive(Default)]
pub(super) struct Adapter {
    session: OnceLock<PluginSession>,
    /// One `setup` at a time.
    setting_up: Mutex<()>,
    ended: AtomicBool,
}

impl Adapter {
    fn session(&self) -> Result<&PluginSession, Failure> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(shut_down());
        }
        self.session.get().ok_or_else(|| {
            Failure::new(
                DCF_TB_ERR_NOT_INITIALIZED,
                "the plugin was not set up: call setup first",
            )
        })
    }

    /// Starts the transport and returns its native handle. A second setup with the same settings has no
    /// effect.
    pub(super) fn set_up(&self, settings: Settings) -> Result<u64, Failure> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(shut_down());
        }
        // From here on there are locks and threads.
        let _busy = Busy::transport()?;
        let _one_setup = lock(&self.setting_up);
        let session = match self.session.get() {
            Some(session) if !session.settings.agree_with(&settings) => {
                return Err(Failure::new(
                    ALREADY_INITIALIZED,
                    format!(
                        "the plugin was already set up with other settings, on {} with the ports {} and \
                         {}; destroy it first",
                        session.settings.interface,
                        session.settings.control_port,
                        session.settings.data_port,
                    ),
                ));
            }
            Some(session) => {
                // The same address was valid at the first setup. It may be gone now, with the cable.
                if session.settings.address != settings.address {
                    check_address(&settings)?;
                }
                session
            }
            None => {
                check_address(&settings)?;
                let session = PluginSession::start(settings)?;
                self.session.get_or_init(|| session)
            }
        };
        Ok(session.handle)
    }

    /// Sends a complete message, as a datagram or over a connection, or none of it.
    pub(super) fn send(&self, data: &[u8], recipient: &str, timeout: Option<Duration>) -> Outcome {
        let session = self.session()?;
        if data.len() > *LENGTHS.end() {
            return Err(Failure::new(
                DCF_TB_ERR_MESSAGE_TOO_LARGE,
                format!(
                    "a message of {} bytes is too large: at most {} are possible",
                    data.len(),
                    LENGTHS.end()
                ),
            ));
        }
        let limit = TimeLimit::start(timeout);
        let sent = match data.len() < *LENGTHS.start() {
            true => session.send_datagram(data, recipient, limit),
            false => session.send_large(data, recipient, limit),
        };
        sent.map_err(|error| {
            let size = data.len();
            let done = format_args!("the message of {size} bytes to {recipient} was not sent");
            failure(error, limit, done)
        })
    }

    /// Takes the oldest message out of the receive queue.
    pub(super) fn receive(&self, timeout: Option<Duration>) -> Result<Message, Failure> {
        let queue = &self.session()?.inbound.queue;
        let limit = TimeLimit::start(timeout);
        queue.recv(limit).map_err(|error| match error {
            RecvError::Closed => shut_down(),
            RecvError::TimedOut => limit.expired("no message came").into(),
        })
    }

    /// Whether anything came from the peer lately.
    pub(super) fn is_connected(&self, peer: &str) -> Result<bool, Failure> {
        let transport = &self.session()?.transport;
        if !transport.is_running() {
            return Err(shut_down());
        }
        let last = transport.last_heard(peer)?;
        Ok(last.is_some_and(|last| last.elapsed() <= CONNECTED_WITHIN))
    }

    /// Forgets a peer, and closes the connections to it and from it.
    pub(super) fn disconnect(&self, peer: &str) -> Outcome {
        let session = self.session()?;
        let address = session.transport.resolve(peer)?;
        session.outgoing.disconnect(address.ip());
        let Inbound {
            incoming, queue, ..
        } = &*session.inbound;
        incoming.disconnect(address.ip(), queue);
        // Last, because data that is read until now would be remembered again.
        Ok(session.transport.forget(peer)?)
    }

    /// Measures a round trip.
    pub(super) fn health_check(&self, peer: &str) -> Result<Duration, Failure> {
        let transport = &self.session()?.transport;
        let began = Instant::now();
        for _ in 0..PING_ATTEMPTS {
            match transport.round_trip(peer, Some(PING_TIMEOUT)) {
                Err(TransportError::Timeout) => {}
                answer => {
                    return answer.map_err(|error| {
                        let done = format_args!("no answer from {peer} to a ping");
                        failure(error, TimeLimit::start(None), done)
                    })
                }
            }
        }
        Err(Failure::new(
            DCF_TB_ERR_TIMEOUT,
            format!(
                "no answer from {peer} to {PING_ATTEMPTS} pings within {} ms",
                began.elapsed().as_millis()
            ),
        ))
    }

    /// A descriptor that is readable exactly while `receive` would return at once.
    pub(super) fn event_fd(&self) -> Result<i32, Failure> {
        // Also after the shutdown, when `receive` returns at once.
        let session = match self.session.get() {
            Some(session) => session,
            None => self.session()?,
        };
        session.inbound.queue.event_fd().map_err(|source| {
            let action = "cannot create an eventfd".to_owned();
            TransportError::TooManyFiles { action, source }.into()
        })
    }

    /// Closes the transport and wakes all waiting calls. The plugin cannot be set up again.
    pub(super) fn shut_down(&self) -> Outcome {
        let session = self.session()?;
        if self.ended.swap(true, Ordering::SeqCst) {
            return Err(shut_down());
        }
        session.close();
        Ok(())
    }

    /// Like `shut_down`, in any state.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(session) = self.session.get() {
            session.close();
        }
    }

    pub(super) fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        if let Some(session) = self.session.get() {
            session.transport.log(level, record);
        }
    }
}

fn check_address(settings: &Settings) -> Outcome {
    let interface = &settings.interface;
    match settings.address {
        Some(address) if !is_own(&address, interface) => Err(Failure::new(
            DCF_TB_ERR_CONFIG_INVALID,
            format!(
                "host {address}%{interface} is not an address of this host; `ip -6 address` lists them"
            ),
        )),
        _ => Ok(()),
    }
}

#[cold]
fn shut_down() -> Failure {
    Failure::new(DCF_TB_ERR_SHUTDOWN, "the plugin was shut down")
}

/// The contracts have one status for a shutdown and one for a cancelled call, and one each for a
/// timeout and for a call that was not to wait.
fn failure(error: TransportError, limit: TimeLimit, done: impl std::fmt::Display) -> Failure {
    match error {
        TransportError::Shutdown => shut_down(),
        TransportError::WouldBlock => limit.expired(done).into(),
        error => error.into(),
    }
}
