//! The interface: which one it is, and whether it can carry traffic.
//!
//! Unplugging a cable destroys the Linux interface, and replugging creates a new one with a new index, while
//! SO_BINDTODEVICE keeps the old index. So sockets belong to one *incarnation* of the interface; `interface_binding`
//! opens new ones for the next.

pub(crate) mod detect;
pub(crate) mod events;
mod failure;
mod state;
mod waiting;

use std::net::Ipv6Addr;
use std::sync::PoisonError;

use crate::error::{Result, TransportError};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{lock, Mutex, RwLock};
use crate::sys::netlink::{Kernel, Which};

pub(crate) use failure::Attempt;
#[cfg(all(loom, test))]
pub(crate) use state::CarrierLoss;
pub(crate) use state::{Absence, LinkState};
pub(crate) use waiting::LinkWait;
use waiting::Waiters;

/// The present state of the interface, for the threads that use it.
pub(crate) struct Link {
    /// Mirrors `current.state == Up` for the hot path.
    up: AtomicBool,
    /// How often it went down or came up since the transport started.
    changes: AtomicU64,
    epoch: AtomicU64,
    /// How often it went down.
    outages: AtomicU64,
    /// One more than the number of outages when a call reported an outage that was not announced yet; 0: no call did.
    doubted: AtomicU64,
    current: RwLock<Current>,
    /// The state that was announced last, and the addresses at that time.
    told: Mutex<(LinkState, Vec<Ipv6Addr>)>,
    waiters: Waiters,
    kernel: Kernel,
}

/// The known state of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    /// The configured name, or the present name of the interface that the sockets are bound to.
    pub name: String,
    /// The index that the sockets are bound to.
    pub index: Option<u32>,
    pub state: LinkState,
    pub multicast: bool,
    /// Our own addresses.
    pub addresses: Vec<Ipv6Addr>,
}

impl Link {
    /// A link that is not there yet, in the network namespace of this thread.
    pub fn absent(name: &str) -> Self {
        Self {
            up: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            epoch: AtomicU64::new(next_epoch()),
            outages: AtomicU64::new(0),
            doubted: AtomicU64::new(0),
            current: RwLock::new(Current {
                name: name.to_owned(),
                index: None,
                state: LinkState::Absent(Absence::NotThere),
                multicast: false,
                addresses: Vec::new(),
            }),
            told: Mutex::new((LinkState::Absent(Absence::NotThere), Vec::new())),
            waiters: Waiters::default(),
            kernel: Kernel::new(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// A number that changes with the state, and that no other link of this process ever has. A conclusion from the
    /// state is valid as long as the number is the same.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The kernel's interfaces, in this transport's network namespace.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Fails with the reason while the link cannot carry traffic.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self.is_up() {
            true => Ok(()),
            false => self.why_down(),
        }
    }

    #[cold]
    fn why_down(&self) -> Result<()> {
        let (state, name) = self.with(|current| (current.state.clone(), current.name.clone()));
        let state = match state {
            // The kernel does not announce that it begins to check an address, nor most changes of settings.
            LinkState::Addressless(_) => match self.present_state() {
                Some(now @ LinkState::Addressless(_)) => now,
                _ => state,
            },
            state => state,
        };
        match state {
            // It came up a moment ago.
            LinkState::Up => Ok(()),
            state => Err(TransportError::LinkDown {
                reason: state.reason(&name),
                interface: name,
                errno: None,
                back: false,
            }),
        }
    }

    /// The error of a call that failed because the link was down, or was another incarnation, a moment ago.
    pub fn down(&self, reason: &str) -> TransportError {
        TransportError::LinkDown {
            interface: self.name(),
            reason: reason.to_owned(),
            errno: None,
            back: self.is_up(),
        }
    }

    /// The kernel's present state of the interface that the sockets are bound to; `None` if the query fails.
    fn present_state(&self) -> Option<LinkState> {
        let (index, state) = self.with(|current| (current.index, current.state.clone()));
        let Some(index) = index else {
            return Some(state);
        };
        let interface = self.kernel.interface(Which::Index(index)).ok()?;
        Some(
            interface.map_or(LinkState::Absent(Absence::Gone), |interface| {
                LinkState::of(&interface)
            }),
        )
    }

    /// A call reports that the link is down. The outage and its end are then announced, even if the link is up again
    /// before the next look.
    fn doubt(&self, outages: u64) {
        self.doubted.store(outages + 1, Ordering::SeqCst);
    }

    /// Whether a call reported an outage that was not announced yet. True once for each.
    pub fn take_doubt(&self) -> bool {
        let doubted = self.doubted.swap(0, Ordering::SeqCst);
        doubted == self.outages.load(Ordering::SeqCst) + 1
    }

    pub fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed) != 0
    }

    /// Reads the present state. `read` runs under the lock and must not call back.
    pub fn with<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        read(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn name(&self) -> String {
        self.with(|current| current.name.clone())
    }

    /// The state when the transport starts, which is no change.
    pub fn begin(&self, new: Current) {
        self.tell(&new);
        self.set(new);
        self.changes.store(0, Ordering::SeqCst);
    }

    pub fn set(&self, new: Current) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Most notifications concern other interfaces; the epoch stays if nothing changed.
        if *current == new {
            return;
        }
        let up = new.state == LinkState::Up;
        *current = new;
        self.note_change(up);
        drop(current);
        self.waiters.wake();
    }

    /// A call learned from the kernel that this incarnation of the interface is down, before the event loop did. The
    /// state is set before the call returns. False if the state had changed already.
    fn found_down(&self, index: Option<u32>, state: LinkState) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.state != LinkState::Up || current.index != index {
            return false;
        }
        current.state = state;
        self.note_change(false);
        // The event loop looks again, and announces this outage in any case.
        self.doubt(self.outages.load(Ordering::SeqCst));
        drop(current);
        self.waiters.wake();
        true
    }

    /// Called with `current` locked, so that the numbers follow each other as the states do.
    fn note_change(&self, up: bool) {
        self.epoch.store(next_epoch(), Ordering::Release);
        let was_up = self.up.swap(up, Ordering::SeqCst);
        if was_up != up {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        if was_up && !up {
            self.outages.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often it went down or came up since the transport started.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Sets the announced state. Returns the state that was announced before, and whether the addresses are the same.
    pub fn tell(&self, new: &Current) -> (LinkState, bool) {
        let mut told = lock(&self.told);
        let state = std::mem::replace(&mut told.0, new.state.clone());
        let same_addresses = told.1 == new.addresses;
        if !same_addresses {
            told.1.clone_from(&new.addresses);
        }
        (state, same_addresses)
    }
}

fn next_epoch() -> u64 {
    use std::sync::atomic::AtomicU64;
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_begins_a_new_epoch() {
        let link = Link::absent("thunderbolt0");
        let before = link.epoch();
        let now = || link.with(Current::clone);
        link.set(now());
        assert_eq!(link.epoch(), before);
        link.set(Current {
            index: Some(7),
            state: LinkState::Up,
            ..now()
        });
        assert_ne!(link.epoch(), before);
        assert!(link.is_up());
    }

    #[test]
    fn calls_fail_with_the_reason_while_the_link_is_down() {
        let link = Link::absent("thunderbolt0");
        let error = link.check().unwrap_err().to_string();
        assert!(
            error.contains("thunderbolt0") && error.contains("cable"),
            "{error}"
        );
    }

    #[test]
    fn a_doubt_holds_until_the_next_outage() {
        let link = Link::absent("thunderbolt0");
        let set = |state| {
            link.set(Current {
                state,
                ..link.with(Current::clone)
            })
        };
        set(LinkState::Up);
        assert!(!link.is_doubted() && !link.take_doubt());
        link.doubt(0);
        assert!(link.is_doubted() && link.take_doubt());
        assert!(!link.take_doubt(), "once");
        link.doubt(0);
        set(LinkState::Down);
        set(LinkState::Up);
        assert!(!link.take_doubt(), "it was announced meanwhile");
    }
}
