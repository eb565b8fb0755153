//! The host string of a `setup`: the interface that it names, and whether its address is this host's.

use std::ffi::{CStr, CString};
use std::net::Ipv6Addr;

use thunderbolt_transport::address_in;

use super::params::is_interface_name;

/// A parsed host string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) interface: String,
    /// [`is_own`] checks whether this host has it.
    pub(super) address: Option<Ipv6Addr>,
}

impl Host {
    /// Parses an IPv6 address of this host with its scope (`fe80::1%thunderbolt0`, `::1%lo`), or the
    /// name of an interface.
    pub(super) fn parse(host: &str) -> Result<Self, String> {
        if let Some(own) = address_in(host).filter(|own| own != host) {
            return Err(format!(
                "host \"{host}\" has more than an address and its interface; did you mean \"{own}\"? \
                 Ports are separate settings"
            ));
        }
        let Some((address, zone)) = host.split_once('%') else {
            return Self::named(host);
        };
        let address: Ipv6Addr = address
            .parse()
            .map_err(|_| format!("host \"{host}\" is not an IPv6 address with its interface"))?;
        let interface = match zone.parse() {
            Ok(index) => name_of(index).ok_or_else(|| {
                format!("host \"{host}\": there is no interface with the index {index}")
            })?,
            Err(_) if is_interface_name(zone) => zone.to_owned(),
            Err(_) => {
                return Err(format!(
                    "host \"{host}\" does not end with the name of an interface"
                ))
            }
        };
        Ok(Self {
            interface,
            address: Some(address),
        })
    }

    fn named(host: &str) -> Result<Self, String> {
        if host.parse::<Ipv6Addr>().is_ok() {
            return Err(format!(
                "host \"{host}\" does not name its interface; write for example \"{host}%thunderbolt0\""
            ));
        }
        if !is_interface_name(host) {
            return Err(format!(
                "host \"{host}\" is neither an interface nor an IPv6 address with its interface"
            ));
        }
        // Binding to it finds out whether it exists.
        Ok(Self {
            interface: host.to_owned(),
            address: None,
        })
    }
}

fn name_of(index: u32) -> Option<String> {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the IF_NAMESIZE bytes that the call needs.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    Some(name.to_string_lossy().into_owned())
}

/// Whether the interface has this address, which may still be in duplicate address detection.
pub(super) fn is_own(address: &Ipv6Addr, interface: &str) -> bool {
    let Ok(interface) = CString::new(interface) else {
        return false;
    };
    let mut first = std::ptr::null_mut();
    // SAFETY: `first` gets a list, which is freed below.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return false;
    }
    let mut next = first;
    let mut found = false;
    // SAFETY: not NULL, and an entry of the list, which does not change.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: a NUL-terminated name; the address is NULL, or its family tells its type.
        found |= unsafe {
            CStr::from_ptr(entry.ifa_name) == interface.as_c_str()
                && ipv6(entry.ifa_addr).as_ref() == Some(address)
        };
        next = entry.ifa_next;
    }
    // SAFETY: from getifaddrs, and no reference into the list is left.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// # Safety
///
/// `address` is NULL or points to an address of the size of its family.
unsafe fn ipv6(address: *const libc::sockaddr) -> Option<Ipv6Addr> {
    // SAFETY: the caller's promise.
    let family = unsafe { address.as_ref() }?.sa_family;
    (i32::from(family) == libc::AF_INET6).then(|| {
        // SAFETY: an address of this family is a sockaddr_in6; it may be unaligned.
        let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
        Ipv6Addr::from(address.sin6_addr.s6_addr)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_scope_and_names_give_an_interface() {
        let loopback = Some(Ipv6Addr::LOCALHOST);
        for (host, interface, address) in [
            ("lo", "lo", None),
            ("::1%lo", "lo", loopback),
            ("0::1%lo", "lo", loopback),
            ("::1%1", "lo", loopback),
            // Parsing does not check whether the interface exists.
            ("thunderbolt7", "thunderbolt7", None),
            ("::1%thunderbolt7", "thunderbolt7", loopback),
        ] {
            let interface = interface.to_owned();
            let expected = Host { interface, address };
            assert_eq!(Host::parse(host), Ok(expected), "{host}");
        }
    }

    #[test]
    fn own_addresses_are_recognized() {
        assert!(is_own(&Ipv6Addr::LOCALHOST, "lo"));
        let others = Ipv6Addr::from([0xfe80, 0, 0, 0, 0, 0, 0x1234, 0x5678]);
        for (address, interface) in [
            (others, "lo"),
            (Ipv6Addr::LOCALHOST, "none0"),
            (Ipv6Addr::LOCALHOST, "lo "),
            (Ipv6Addr::LOCALHOST, "l\0"),
        ] {
            assert!(!is_own(&address, interface), "{address}%{interface}");
        }
    }

    #[test]
    fn everything_else_is_refused_and_quoted() {
        for host in [
            "",
            "::1",
            "fe80::1",
            "::1%",
            "::1%999999",
            "::1%a-name-of-sixteen",
            "127.0.0.1%lo",
            "%lo",
            "a-name-of-sixteen",
            "lo\0",
            "::1%lo:5000",
            "[::1%lo]:5000",
            "[::1%lo]",
        ] {
            let error = Host::parse(host).unwrap_err();
            assert!(error.contains(host), "{error}");
            let hint = error.contains("did you mean \"::1%lo\"?");
            assert_eq!(
                hint,
                host.contains("%lo") && host.len() > "::1%lo".len() && !host.starts_with("127"),
                "{error}"
            );
        }
    }
}
