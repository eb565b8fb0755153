//! The host string of a `setup`: which interface it means.

use std::ffi::{CStr, CString};
use std::net::Ipv6Addr;

use super::params::is_interface_name;

/// The name of the interface that `host` means: one of our own IPv6 addresses with its scope
/// (`fe80::1%thunderbolt0`, `::1%lo`), or the name itself.
pub(super) fn interface_of(host: &str) -> Result<String, String> {
    let Some((address, zone)) = host.split_once('%') else {
        return interface_named(host);
    };
    let address: Ipv6Addr = address
        .parse()
        .map_err(|_| format!("host \"{host}\" is not an IPv6 address with its interface"))?;
    let interface = match zone.parse() {
        Ok(index) => name_of(index).ok_or_else(|| {
            format!("host \"{host}\" is on the interface with the index {index}, and there is none")
        })?,
        Err(_) => zone.to_owned(),
    };
    if is_own(&address, &interface) {
        return Ok(interface);
    }
    Err(format!(
        "host \"{host}\" is not an address of this host on an interface \"{interface}\""
    ))
}

fn interface_named(host: &str) -> Result<String, String> {
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!(
            "host \"{host}\" does not say which interface it is on, as \"{host}%thunderbolt0\" does"
        ));
    }
    if is_interface_name(host) {
        // Whether it exists is found out when it is bound to.
        return Ok(host.to_owned());
    }
    Err(format!(
        "host \"{host}\" is neither an interface nor an IPv6 address with its interface"
    ))
}

fn name_of(index: u32) -> Option<String> {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the IF_NAMESIZE bytes that the call asks for.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    Some(name.to_string_lossy().into_owned())
}

/// Whether the interface has this address, also while it is being checked for duplicates.
fn is_own(address: &Ipv6Addr, interface: &str) -> bool {
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
    // SAFETY: not NULL, and a member of the list, which nobody changes.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: a NUL-terminated name, and NULL or an address whose family says what it is.
        found |= unsafe {
            CStr::from_ptr(entry.ifa_name) == interface.as_c_str()
                && ipv6(entry.ifa_addr).as_ref() == Some(address)
        };
        next = entry.ifa_next;
    }
    // SAFETY: from getifaddrs, and nothing points into it any more.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// # Safety
///
/// `address` is NULL or leads to an address as large as its family has it.
unsafe fn ipv6(address: *const libc::sockaddr) -> Option<Ipv6Addr> {
    // SAFETY: the caller's promise.
    let family = unsafe { address.as_ref() }?.sa_family;
    (i32::from(family) == libc::AF_INET6).then(|| {
        // SAFETY: an address of this family is a sockaddr_in6; it may lie anywhere.
        let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
        Ipv6Addr::from(address.sin6_addr.s6_addr)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_addresses_and_names_mean_an_interface() {
        for host in ["lo", "::1%lo", "0::1%lo", "::1%1"] {
            assert_eq!(interface_of(host).as_deref(), Ok("lo"), "{host}");
        }
        // Whether there is one is another question.
        assert_eq!(interface_of("thunderbolt7").as_deref(), Ok("thunderbolt7"));
    }

    #[test]
    fn everything_else_is_refused_and_quoted() {
        for host in [
            "",
            "::1",
            "fe80::1",
            "fe80::1234:5678%lo",
            "::1%none0",
            "::1%",
            "::1%999999",
            "::1%lo ",
            "127.0.0.1%lo",
            "%lo",
            "a-name-of-sixteen",
            "lo\0",
        ] {
            let error = interface_of(host).unwrap_err();
            assert!(error.contains(host), "{error}");
        }
    }
}
