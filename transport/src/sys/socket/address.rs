//! Socket addresses between Rust and C.

use std::net::{Ipv6Addr, SocketAddrV6};

/// The `struct sockaddr_in6` for an address.
pub(crate) fn to_c(address: &SocketAddrV6) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: address.flowinfo(),
        sin6_addr: libc::in6_addr {
            s6_addr: address.ip().octets(),
        },
        sin6_scope_id: address.scope_id(),
    }
}

/// The address in a `struct sockaddr_in6`, without the flow information, which this crate does not use.
pub(crate) fn from_c(address: &libc::sockaddr_in6) -> SocketAddrV6 {
    SocketAddrV6::new(
        Ipv6Addr::from(address.sin6_addr.s6_addr),
        u16::from_be(address.sin6_port),
        0,
        address.sin6_scope_id,
    )
}
