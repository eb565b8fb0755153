//! ICMP errors about a peer, on a link that is up.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{move_to_next_processor, wait_until, Cable, GENEROUS};
use thunderbolt_transport::{
    Datagram, PingOptions, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

use crate::reaches;

/// Less time than the kernel takes to find out that an address does not resolve.
const SHORT: Duration = Duration::from_millis(300);

fn start(cable: &Cable) -> Arc<ThunderboltTransport> {
    let builder = ThunderboltTransportBuilder::new();
    cable.a().run(|| builder.build()).expect("a transport")
}

fn kind(error: &TransportError) -> Option<ErrorKind> {
    match error {
        TransportError::ConnectionFailed(_) => Some(error.kind()),
        _ => None,
    }
}

/// Sends messages of every kind, enough for a connected socket. ICMP errors of the peer fail none of them.
fn send_all(a: &ThunderboltTransport, peer: &str) {
    let batch = [Datagram { data: b"x", peer }; 16];
    for _ in 0..600 {
        a.send_message(b"message", peer).expect("it leaves");
    }
    for _ in 0..60 {
        let sent = a.send_batch(&batch);
        assert_eq!(sent.count, 16, "{:?}", sent.outcome);
    }
}
fn is_refused(a: &ThunderboltTransport, peer: &str) -> TransportError {
    wait_for_error(a, peer, SHORT, ErrorKind::ConnectionRefused)
}

/// Repeats a round trip until it fails as `wanted`. One may get no ICMP error: the kernel limits their rate, and each
/// processor has a single socket that sends them for all namespaces. Errors of any test whose receiver's address
/// does not resolve fill its buffer for 3 s.
fn wait_for_error(
    a: &ThunderboltTransport,
    peer: &str,
    timeout: Duration,
    wanted: ErrorKind,
) -> TransportError {
    let mut others = BTreeSet::new();
    let deadline = Instant::now() + GENEROUS;
    while Instant::now() < deadline {
        let error = a.round_trip(peer, Some(timeout)).expect_err(peer);
        if kind(&error) == Some(wanted) {
            return error;
        }
        others.insert(error.to_string());
        move_to_next_processor();
    }
    panic!("round trips to {peer} did not fail with {wanted:?}, but: {others:#?}")
}

fn is_unreachable(a: &ThunderboltTransport, peer: &str, timeout: Duration) -> TransportError {
    wait_for_error(a, peer, timeout, ErrorKind::HostUnreachable)
}

#[test]
fn a_peer_without_the_program_refuses_until_it_runs() {
    let cable = Cable::new();
    let a = start(&cable);
    let peer = cable.b().address();
    cable.a().run(|| {
        let error = is_refused(&a, peer);
        let words = format!("nothing listens on UDP port 5000 of {peer}");
        assert!(error.to_string().contains(&words), "{error}");
        let series = PingOptions {
            count: 1000,
            interval: Duration::from_millis(100),
            timeout: Some(SHORT),
        };
        let error = a.ping(peer, &series).expect_err("nothing listens there");
        assert_eq!(kind(&error), Some(ErrorKind::ConnectionRefused), "{error}");
        send_all(&a, peer);
        is_refused(&a, peer);
    });
    let stats = a.get_stats();
    assert!(stats.pings_undelivered >= 2);
    assert!(stats.link_up && stats.link_changes == 0);
    assert_eq!(stats.messages_sent, 600 + 960);

    let builder = ThunderboltTransportBuilder::new();
    let b = cable.b().run(|| builder.build()).expect("a transport");
    reaches(&cable, &a);
    cable.a().run(|| {
        send_all(&a, peer);
        let series = PingOptions {
            count: 100,
            interval: Duration::ZERO,
            timeout: Some(GENEROUS),
        };
        let summary = a.ping(peer, &series).expect("the program runs");
        assert_eq!((summary.sent, summary.received), (100, 100));
    });
    wait_until("messages arrive", GENEROUS, || {
        b.get_stats().messages_received > 0
    });
    assert!(a.get_stats().messages_sent == 2 * (600 + 960));
}

#[test]
fn an_error_is_that_of_the_peer_that_it_is_about() {
    let cable = Cable::new();
    let a = start(&cable);
    let builder = ThunderboltTransportBuilder::new();
    let _b = cable.b().run(|| builder.build()).expect("a transport");
    let peer = cable.b().address();
    let closed = format!("[{peer}]:6000");
    reaches(&cable, &a);
    cable.a().run(|| {
        for round in 0..5 {
            let error = is_refused(&a, &closed);
            let words = format!("UDP port 6000 of {peer}");
            assert!(error.to_string().contains(&words), "{error}");
            a.round_trip(peer, Some(GENEROUS))
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
            for to in [&closed, peer] {
                a.send_message(b"message", to).expect("it leaves");
            }
        }
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| is_refused(&a, &closed));
            for _ in 0..200 {
                a.round_trip(peer, Some(GENEROUS)).expect("an answer");
            }
            refused.join().expect("the other peer refuses");
        });
    });
}

#[test]
fn an_address_that_no_host_has_is_unreachable() {
    let cable = Cable::new();
    let a = start(&cable);
    let nobody = "fe80::dead%thunderbolt0";
    cable.a().run(|| {
        let error = is_unreachable(&a, nobody, Duration::from_secs(5));
        let words = ["[fe80::dead%thunderbolt0]:5000", "no host answers"];
        let text = error.to_string();
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
        // A call with a shorter timeout gets the error of an earlier one.
        let other = "fe80::beef%thunderbolt0";
        is_unreachable(&a, other, SHORT);
        send_all(&a, nobody);
    });
    assert!(a.get_stats().link_up);
    // Now a host gets the address.
    cable.b().ip(&[
        "address",
        "add",
        "fe80::beef/64",
        "dev",
        "thunderbolt0",
        "nodad",
    ]);
    let builder = ThunderboltTransportBuilder::new();
    let _b = cable.b().run(|| builder.build()).expect("a transport");
    cable.a().run(|| {
        wait_until("an answer", GENEROUS, || {
            a.round_trip("fe80::beef%thunderbolt0", Some(GENEROUS))
                .is_ok()
        });
    });
}
