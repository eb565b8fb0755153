//! The one adapter behind all contracts: what a plugin does, in the words of the transport.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use thunderbolt_transport::{LogLevel, TransportError};

use super::host::is_own;
use super::large::LENGTHS;
use super::limit::Limit;
use super::lock;
use super::params::Settings;
use super::queue::{Message, Nothing};
use super::running::{Inbound, Running};
use crate::failure::{Failure, Outcome};
use crate::fork::Busy;
use crate::status::*;
use crate::sync::Mutex;

/// A peer that was not heard from for longer is not connected.
const CONNECTED: Duration = Duration::from_secs(10);
/// How often a health check asks, and how long it waits for each answer: less than 3 s in all, so
/// that three that fail fit into the 10 s in which DCF wants to know.
const QUESTIONS: u32 = 3;
const ANSWER: Duration = Duration::from_millis(800);
const _: () = assert!(QUESTIONS as u128 * ANSWER.as_millis() < 3000);

/// A plugin's state. Before it is set up, and after it was shut down, calls take no lock: only while it
/// runs is the process marked as one whose forks can do nothing with it.
#[derive(Default)]
pub(super) struct Adapter {
    running: OnceLock<Running>,
    /// One `setup` at a time.
    setting_up: Mutex<()>,
    ended: AtomicBool,
}

impl Adapter {
    fn running(&self) -> Result<&Running, Failure> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(shut_down());
        }
        self.running.get().ok_or_else(|| {
            Failure::new(
                DCF_TB_ERR_NOT_INITIALIZED,
                "the plugin was not set up: call setup first",
            )
        })
    }

    /// Starts the transport; gives its native handle. The same settings again: nothing happens.
    pub(super) fn set_up(&self, settings: Settings) -> Result<u64, Failure> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(shut_down());
        }
        // From here on there are locks and threads.
        let _busy = Busy::transport()?;
        let _one_at_a_time = lock(&self.setting_up);
        let running = match self.running.get() {
            Some(running) if !running.settings.agree_with(&settings) => {
                return Err(Failure::new(
                    ALREADY_INITIALIZED,
                    format!(
                        "the plugin was set up on {} with the ports {} and {}, or with other \
                         parameters; destroy it first",
                        running.settings.interface,
                        running.settings.control_port,
                        running.settings.data_port,
                    ),
                ));
            }
            Some(running) => {
                // The address that it was set up with may be gone for the moment, with the cable.
                if running.settings.address != settings.address {
                    check_address(&settings)?;
                }
                running
            }
            None => {
                check_address(&settings)?;
                let running = Running::start(settings)?;
                self.running.get_or_init(|| running)
            }
        };
        Ok(running.handle)
    }

    /// Sends a message, as a datagram or over a connection, whole or not at all.
    pub(super) fn send(&self, data: &[u8], recipient: &str, timeout: Option<Duration>) -> Outcome {
        let running = self.running()?;
        if data.len() > *LENGTHS.end() {
            return Err(Failure::new(
                DCF_TB_ERR_MESSAGE_TOO_LARGE,
                format!(
                    "message of {} bytes is too large: {} are the most",
                    data.len(),
                    LENGTHS.end()
                ),
            ));
        }
        let limit = Limit::after(timeout);
        let sent = match data.len() < *LENGTHS.start() {
            true => running.send_datagram(data, recipient, limit),
            false => running.send_large(data, recipient, limit),
        };
        sent.map_err(|error| {
            let size = data.len();
            let nothing = || format!("the message of {size} bytes to {recipient} was not sent");
            failure(error, limit, nothing)
        })
    }

    /// Takes the oldest message that has come.
    pub(super) fn receive(&self, timeout: Option<Duration>) -> Result<Message, Failure> {
        let queue = &self.running()?.inbound.queue;
        let limit = Limit::after(timeout);
        queue.take(limit).map_err(|nothing| match nothing {
            Nothing::Closed => shut_down(),
            Nothing::InTime => limit.expired(|| "no message came".to_owned()).into(),
        })
    }

    /// Whether the peer was heard from lately.
    pub(super) fn is_connected(&self, peer: &str) -> Result<bool, Failure> {
        let transport = &self.running()?.transport;
        if !transport.is_running() {
            return Err(shut_down());
        }
        let last = transport.last_heard(peer)?;
        Ok(last.is_some_and(|last| last.elapsed() <= CONNECTED))
    }

    /// Forgets a peer, and closes what is open to it and from it.
    pub(super) fn disconnect(&self, peer: &str) -> Outcome {
        let running = self.running()?;
        let address = running.transport.resolve(peer)?;
        running.outgoing.disconnect(address.ip());
        let Inbound {
            incoming, queue, ..
        } = &*running.inbound;
        incoming.disconnect(address.ip(), queue);
        // Last: what was still read until then is not news of it.
        Ok(running.transport.forget(peer)?)
    }

    /// Measures a round trip.
    pub(super) fn health_check(&self, peer: &str) -> Result<Duration, Failure> {
        let transport = &self.running()?.transport;
        let began = Instant::now();
        for _ in 0..QUESTIONS {
            match transport.round_trip(peer, Some(ANSWER)) {
                Err(TransportError::Timeout) => {}
                answer => {
                    return answer.map_err(|error| {
                        let nothing = || format!("no answer from {peer} to a ping");
                        failure(error, Limit::after(None), nothing)
                    })
                }
            }
        }
        Err(Failure::new(
            DCF_TB_ERR_TIMEOUT,
            format!(
                "no answer from {peer} to {QUESTIONS} pings within {} ms",
                began.elapsed().as_millis()
            ),
        ))
    }

    /// A descriptor that is readable exactly while `receive` would return at once.
    pub(super) fn descriptor(&self) -> Result<i32, Failure> {
        // After the shutdown too: it returns at once then.
        let running = match self.running.get() {
            Some(running) => running,
            None => self.running()?,
        };
        running
            .inbound
            .queue
            .descriptor()
            .ok_or_else(|| Failure::os(DCF_TB_ERR_TOO_MANY_FILES, "cannot make an eventfd"))
    }

    /// Closes the transport, for good, and wakes who waits.
    pub(super) fn shut_down(&self) -> Outcome {
        let running = self.running()?;
        if self.ended.swap(true, Ordering::SeqCst) {
            return Err(shut_down());
        }
        running.close();
        Ok(())
    }

    /// The same at the end: no matter in what state it is.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(running) = self.running.get() {
            running.close();
        }
    }

    pub(super) fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        if let Some(running) = self.running.get() {
            running.transport.log(level, record);
        }
    }
}

fn check_address(settings: &Settings) -> Outcome {
    let interface = &settings.interface;
    match settings.address {
        Some(address) if !is_own(&address, interface) => Err(Failure::new(
            DCF_TB_ERR_CONFIG_INVALID,
            format!("host {address}%{interface} is not an address of this host"),
        )),
        _ => Ok(()),
    }
}

#[cold]
fn shut_down() -> Failure {
    Failure::new(DCF_TB_ERR_SHUTDOWN, "the plugin was shut down")
}

/// The contracts tell a shutdown from a cancelled call, and a time that is up from one that was 0.
fn failure(error: TransportError, limit: Limit, nothing: impl FnOnce() -> String) -> Failure {
    match error {
        TransportError::Shutdown => shut_down(),
        TransportError::WouldBlock => limit.expired(nothing).into(),
        error => error.into(),
    }
}
