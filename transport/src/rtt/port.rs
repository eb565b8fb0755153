//! Sockets for round trips, kept for the next one.

use std::net::SocketAddrV6;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use socket2::{SockAddr, Socket};

use super::Mailbox;
use crate::control::cannot_bind_device;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::handlers::lock;
use crate::sys::socket;

/// Sockets that are kept at most.
const KEPT: usize = 8;

/// A socket of its own for one round trip at a time.
pub(super) struct Port {
    pub socket: Socket,
    pub mailbox: Arc<Mailbox>,
    /// Who it is connected to; `None`: it is not, for discovery.
    peer: Option<SocketAddrV6>,
    generation: u64,
}

/// Those that wait for the next round trip.
#[derive(Default)]
pub(super) struct Ports {
    kept: Mutex<Vec<Port>>,
    /// Goes up when the interface or its addresses change: older sockets are of no use.
    generation: AtomicU64,
}

impl Ports {
    /// A socket that is connected to `peer`.
    pub fn connected(&self, core: &Core, peer: &SocketAddrV6) -> Result<Port> {
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(port) = self.take(peer) {
            return Ok(port);
        }
        let mut port = Port::new(core, generation)?;
        let connected = port.socket.connect(&SockAddr::from(*peer));
        connected.map_err(|error| core.failed_to("cannot send a ping", peer, error))?;
        port.peer = Some(*peer);
        Ok(port)
    }

    fn take(&self, peer: &SocketAddrV6) -> Option<Port> {
        let mut kept = lock(&self.kept);
        let position = kept
            .iter()
            .position(|port| port.peer.as_ref() == Some(peer))?;
        Some(kept.swap_remove(position))
    }

    /// Keeps a socket for the next round trip to the same peer.
    pub fn give_back(&self, port: Port) {
        let mut kept = lock(&self.kept);
        if port.peer.is_some() && port.generation == self.generation.load(Ordering::Acquire) {
            if kept.len() >= KEPT {
                // The one that was not used for longest.
                kept.remove(0);
            }
            kept.push(port);
        }
    }

    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        lock(&self.kept).clear();
    }
}

impl Port {
    /// A socket that is connected to nobody.
    pub fn new(core: &Core, generation: u64) -> Result<Self> {
        let interface = core.link.name();
        let socket =
            socket::udp(&interface).map_err(|error| cannot_bind_device(&interface, error))?;
        let mailbox = Mailbox::new().map_err(|error| {
            TransportError::from_os("cannot make an eventfd", &interface, error)
        })?;
        Ok(Self {
            socket,
            mailbox: Arc::new(mailbox),
            peer: None,
            generation,
        })
    }
}
