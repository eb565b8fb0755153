//! Pings, pongs and messages: distinguished only by the length of 16 bytes and the magic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thunderbolt_transport::fuzzing::wire;

fuzz_target!(|datagram: &[u8]| {
    let begins_with = |magic: [u8; 8]| datagram.len() == 16 && datagram[..8] == magic;
    let (ping, pong) = (wire::read_ping(datagram), wire::read_pong(datagram));
    // The numbers of docs/WIRE.md.
    assert_eq!(
        ping.is_some(),
        begins_with(0x52_5454_5054_u64.to_be_bytes())
    );
    assert_eq!(
        pong.is_some(),
        begins_with(0x52_5454_5053_u64.to_be_bytes())
    );
    if let Some(token) = ping {
        assert_eq!(wire::ping(token), datagram);
    }
    if let Some(token) = pong {
        assert_eq!(wire::pong(token), datagram);
    }
    // Every token is read back from its ping and its pong.
    if let Some(&bytes) = datagram.last_chunk() {
        let token = u64::from_le_bytes(bytes);
        let (ping, pong) = (wire::ping(token), wire::pong(token));
        assert_eq!(
            (wire::read_ping(&ping), wire::read_pong(&ping)),
            (Some(token), None)
        );
        assert_eq!(
            (wire::read_ping(&pong), wire::read_pong(&pong)),
            (None, Some(token))
        );
    }
});
