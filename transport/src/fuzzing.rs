//! Internal functions for the fuzz targets in `fuzz/`. The module exists under `cfg(fuzzing)` only,
//! which cargo-fuzz sets.

pub mod rails;

/// Pings and pongs.
pub mod wire {
    use crate::wire::{classify, Kind};

    /// The ping with this token.
    pub fn ping(token: u64) -> [u8; 16] {
        crate::wire::ping(token)
    }

    /// The pong that answers it.
    pub fn pong(token: u64) -> [u8; 16] {
        crate::wire::pong(token)
    }

    /// The token of a ping.
    pub fn read_ping(datagram: &[u8]) -> Option<u64> {
        match classify(datagram) {
            Kind::Ping(token) => Some(token),
            Kind::Pong(_) | Kind::Message => None,
        }
    }

    /// The token of a pong.
    pub fn read_pong(datagram: &[u8]) -> Option<u64> {
        match classify(datagram) {
            Kind::Pong(token) => Some(token),
            Kind::Ping(_) | Kind::Message => None,
        }
    }
}

/// Peer strings.
pub mod peer {
    use std::net::SocketAddrV6;
    use std::sync::OnceLock;

    use crate::address::{self, OwnPort, Scope};
    use crate::error::Result;
    use crate::sys::netlink::Kernel;

    /// Parses a peer string for a transport on `interface`.
    pub fn parse(
        text: &str,
        interface: &str,
        index: Option<u32>,
        default_port: u16,
    ) -> Result<SocketAddrV6> {
        static KERNEL: OnceLock<Kernel> = OnceLock::new();
        let scope = Scope {
            interface,
            index,
            kernel: KERNEL.get_or_init(Kernel::new),
        };
        address::parse(text, scope, OwnPort::Configured(default_port))
    }

    /// The string for an address.
    pub fn format(address: &SocketAddrV6, interface: &str, own_port: u16) -> String {
        address::format(address, interface, OwnPort::Configured(own_port))
    }
}

/// Netlink messages about interfaces.
pub mod netlink {
    use std::io;
    use std::net::Ipv6Addr;

    use crate::sys::netlink::{add_addresses, link, LinkChanges};

    /// Name and addresses of the interface in an answer, with the addresses of the next datagram.
    pub fn read(answer: &[u8], addresses: &[u8]) -> io::Result<Option<(String, Vec<Ipv6Addr>)>> {
        let Some(mut interface) = link(answer)? else {
            return Ok(None);
        };
        add_addresses(&mut interface, addresses)?;
        Ok(Some((interface.name, interface.addresses)))
    }

    /// Indices of the deleted interfaces in a notification, and whether a part of it could not be
    /// parsed.
    pub fn deleted(notification: &[u8]) -> (Vec<u32>, bool) {
        let mut changes = LinkChanges::default();
        changes.add(notification);
        (changes.deleted, changes.incomplete)
    }
}
