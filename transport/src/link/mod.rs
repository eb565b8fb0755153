//! The interface: which one it is, and whether it can carry traffic.
//!
//! Unplugging a cable destroys the Linux interface, and replugging makes a new one with a new
//! index, while SO_BINDTODEVICE holds on to the index. So sockets belong to one *incarnation* of
//! the interface; the watcher (`watch`) opens new ones for the next.

mod detect;
pub(crate) mod watch;

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::PoisonError;

use crate::error::{Result, TransportError};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::RwLock;
use crate::sys::netlink::Interface;

/// What the interface is able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// There is no such interface: no cable, or the driver is not loaded.
    Absent,
    /// `ip link set … down`.
    Down,
    /// The other end is asleep, rebooting or not configured.
    NoCarrier,
    /// No IPv6 address that could be a source; `tentative`: duplicate address detection runs.
    Addressless {
        tentative: bool,
    },
    /// It could carry traffic, but our sockets could not be bound.
    Unbound(String),
    Up,
}

impl LinkState {
    /// What an interface can do, as far as the kernel is concerned.
    pub fn of(interface: Option<&Interface>) -> Self {
        match interface {
            None => Self::Absent,
            Some(interface) if !interface.up => Self::Down,
            Some(interface) if !interface.carrier => Self::NoCarrier,
            Some(interface) if interface.addresses.is_empty() => Self::Addressless {
                tentative: interface.tentative,
            },
            Some(_) => Self::Up,
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the interface is gone (is the cable plugged in?)"),
            Self::Down => f.write_str("the interface is switched off (ip link set it up)"),
            Self::NoCarrier => f.write_str("no carrier (is the other machine awake?)"),
            Self::Addressless { tentative: true } => {
                f.write_str("its address is still being checked for duplicates")
            }
            Self::Addressless { tentative: false } => {
                f.write_str("it has no IPv6 address (is IPv6 disabled on it?)")
            }
            Self::Unbound(why) => f.write_str(why),
            Self::Up => f.write_str("up"),
        }
    }
}

/// The interface as it is now, for the threads that use it.
pub(crate) struct Link {
    /// Mirrors `current.state == Up` for the hot path.
    up: AtomicBool,
    epoch: AtomicU64,
    current: RwLock<Current>,
}

/// What is known about the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    /// The configured name, or the present one of the interface that we are bound to.
    pub name: String,
    /// The index that our sockets are bound to.
    pub index: Option<u32>,
    pub state: LinkState,
    pub multicast: bool,
    /// Our own addresses.
    pub addresses: Vec<Ipv6Addr>,
}

impl Link {
    /// A link that is not there yet.
    pub fn absent(name: &str) -> Self {
        Self {
            up: AtomicBool::new(false),
            epoch: AtomicU64::new(next_epoch()),
            current: RwLock::new(Current {
                name: name.to_owned(),
                index: None,
                state: LinkState::Absent,
                multicast: false,
                addresses: Vec::new(),
            }),
        }
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// A number that no other link of this process ever has, and that changes with the state: what
    /// was concluded from it holds as long as the number stays.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Fails with the reason while the link cannot carry traffic.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self.is_up() {
            true => Ok(()),
            false => Err(self.why_down()),
        }
    }

    #[cold]
    fn why_down(&self) -> TransportError {
        self.down(&self.with(|current| current.state.to_string()))
    }

    /// The error of a call that finds the link down.
    pub fn down(&self, reason: &str) -> TransportError {
        TransportError::LinkDown {
            interface: self.name(),
            reason: reason.to_owned(),
            errno: None,
        }
    }

    /// Reads the present state. `read` runs under the lock and must not call back.
    pub fn with<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        read(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn name(&self) -> String {
        self.with(|current| current.name.clone())
    }

    pub fn set(&self, new: Current) {
        let up = new.state == LinkState::Up;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Most news are of other interfaces, and what was concluded still holds.
        if *current == new {
            return;
        }
        *current = new;
        drop(current);
        self.epoch.store(next_epoch(), Ordering::Release);
        self.up.store(up, Ordering::SeqCst);
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

    fn interface() -> Interface {
        Interface {
            index: 7,
            name: "thunderbolt0".to_owned(),
            up: true,
            carrier: true,
            multicast: true,
            mtu: 65520,
            hardware: Vec::new(),
            addresses: vec!["fe80::1".parse().unwrap()],
            tentative: false,
        }
    }

    #[test]
    fn an_interface_is_up_only_with_carrier_and_address() {
        let of = |change: fn(&mut Interface)| {
            let mut interface = interface();
            change(&mut interface);
            LinkState::of(Some(&interface))
        };
        assert_eq!(LinkState::of(None), LinkState::Absent);
        assert_eq!(of(|_| ()), LinkState::Up);
        assert_eq!(of(|i| i.up = false), LinkState::Down);
        assert_eq!(of(|i| i.carrier = false), LinkState::NoCarrier);
        assert_eq!(
            of(|i| i.addresses.clear()),
            LinkState::Addressless { tentative: false }
        );
    }

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
}
