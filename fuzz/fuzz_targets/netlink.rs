//! Netlink messages about interfaces and addresses: any bytes are parsed without a panic, at a cost
//! bounded by their length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thunderbolt_transport::fuzzing::netlink;

fuzz_target!(|datagram: &[u8]| {
    if let Ok(Some((name, addresses))) = netlink::read(datagram, datagram) {
        assert!(name.len() <= datagram.len());
        assert!(addresses.len() <= datagram.len() / 16);
    }
    let (deleted, _) = netlink::deleted(datagram);
    assert!(deleted.len() <= datagram.len() / 16);
});
