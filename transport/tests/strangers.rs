//! What strangers on the link may do, and may not.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use testkit::{Cable, Host};
use thunderbolt_transport::{
    ThunderboltTransport, ThunderboltTransportBuilder, MAX_DISCOVERED_PEERS,
};

/// A transport on a host, with the default interface and ports.
fn start(host: &Host) -> Arc<ThunderboltTransport> {
    host.run(|| ThunderboltTransportBuilder::new().build())
        .expect("a transport on thunderbolt0")
}

/// More ports than discovery has places for, in which answers are made up.
const MADE_UP: std::ops::Range<u16> = 20_000..20_000 + MAX_DISCOVERED_PEERS as u16 + 500;

/// How a pong begins (docs/WIRE.md).
const PONG: [u8; 8] = 0x52_5454_5053_u64.to_be_bytes();

/// Answers each ping to everybody from the control port, and then in made-up names until `done`.
fn answer_in_many_names(done: &AtomicBool) {
    let listener = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 5000)).expect("the control port");
    let pause = Some(Duration::from_millis(50));
    listener.set_read_timeout(pause).expect("a time limit");
    let mut ping = [0; 64];
    while !done.load(Ordering::Relaxed) {
        let Ok((16, from)) = listener.recv_from(&mut ping) else {
            continue;
        };
        let mut pong = ping[..16].to_vec();
        pong[..8].copy_from_slice(&PONG);
        listener.send_to(&pong, from).expect("an honest answer");
        MADE_UP.for_each(|port| answer_from(port, &pong, from));
    }
}

fn answer_from(port: u16, pong: &[u8], to: SocketAddr) {
    // A port that somebody else has is one made-up name less.
    if let Ok(socket) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)) {
        let _ = socket.send_to(pong, to);
    }
}

#[test]
fn made_up_answers_to_discovery_are_limited_and_push_out_none_that_came_before() {
    let cable = Cable::new();
    let a = start(cable.a());
    let done = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| cable.b().run(|| answer_in_many_names(&done)));
        let found = cable.a().run(|| a.discover(Some(Duration::from_secs(3))));
        done.store(true, Ordering::Relaxed);
        found.expect("the limit is no error")
    });
    assert_eq!(found.len(), MAX_DISCOVERED_PEERS);
    let honest = cable.b().address();
    assert!(found.iter().any(|peer| peer.address == honest));
    assert!(a.get_stats().discovery_dropped > 0);
}
