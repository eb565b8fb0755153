//! Hosts that are gone. For seconds, while it asks for their hardware address, the kernel keeps messages
//! to them in the sender's buffer.

use std::sync::Arc;
use std::time::Duration;

use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{ThunderboltTransport, ThunderboltTransportBuilder, TransportError};

const PATIENCE: Option<Duration> = Some(GENEROUS);

/// Sends more messages to absent hosts than the control socket's buffer holds.
fn fill_with_messages_to_the_dead(transport: &ThunderboltTransport) {
    let message = vec![0; 60_000];
    for dead in 1..=4 {
        let peer = format!("fe80::dead:{dead}");
        for _ in 0..10 {
            match transport.send_message_timeout(&message, &peer, Some(Duration::ZERO)) {
                Ok(_) | Err(TransportError::WouldBlock) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn hosts(cable: &Cable) -> [Arc<ThunderboltTransport>; 2] {
    [cable.a(), cable.b()].map(|host| {
        // The smallest buffers.
        let builder = ThunderboltTransportBuilder::new().buffer_size(0);
        host.run(|| builder.build()).expect("a transport")
    })
}

#[test]
fn a_live_peer_does_not_wait_for_dead_ones() {
    let cable = Cable::new();
    let [a, b] = hosts(&cable);
    let live = cable.b().address();
    cable.a().run(|| {
        // Resolve its hardware address first.
        a.round_trip(live, PATIENCE).unwrap();
        fill_with_messages_to_the_dead(&a);
        for number in 0..10 {
            a.send_message_timeout(&[number], live, Some(Duration::ZERO))
                .expect("there is room for a live peer");
        }
    });
    for number in 0..10 {
        let mut buf = [0; 8];
        let (size, sender) = b.recv(&mut buf, PATIENCE).unwrap();
        assert_eq!(&buf[..size], &[number]);
        assert_eq!(sender, cable.a().address());
    }
}

#[test]
fn a_host_with_dead_peers_answers_the_pings_of_live_ones() {
    let cable = Cable::new();
    let [a, b] = hosts(&cable);
    cable.a().run(|| {
        a.round_trip(cable.b().address(), PATIENCE).unwrap();
        fill_with_messages_to_the_dead(&a);
    });
    let before = a.get_stats().pings_answered;
    cable.b().run(|| {
        for _ in 0..10 {
            // Less time than the kernel needs to give up on the absent hosts.
            b.round_trip(cable.a().address(), Some(Duration::from_millis(500)))
                .expect("an answer");
        }
    });
    assert_eq!(a.get_stats().pings_answered - before, 10);
}
