//! Addresses without a route, on a link that is up.

use std::fs;
use std::time::Duration;

use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{
    Datagram, PingOptions, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

use crate::{advised, follow, ip, reaches, Watched};

/// No host of the cable has these addresses, and there is no route to them.
const UNROUTABLE: [&str; 5] = ["fd00::9", "2001:db8::1", "fec0::1", "64:ff9b::1", "::1"];

const PATIENCE: Option<Duration> = Some(GENEROUS);

/// The errors of all calls that send to an address.
fn calls(transport: &ThunderboltTransport, peer: &str) -> Vec<(&'static str, TransportError)> {
    let datagrams = [Datagram { data: b"x", peer }];
    let once = PingOptions {
        count: 1,
        timeout: PATIENCE,
        ..PingOptions::default()
    };
    vec![
        ("send", transport.send_message(b"x", peer).unwrap_err()),
        (
            "send without waiting",
            transport
                .send_message_timeout(b"x", peer, Some(Duration::ZERO))
                .unwrap_err(),
        ),
        (
            "batch",
            transport.send_batch(&datagrams).outcome.unwrap_err(),
        ),
        (
            "round trip",
            transport.round_trip(peer, PATIENCE).unwrap_err(),
        ),
        (
            "measure",
            transport.measure_rtt(peer, GENEROUS).unwrap_err(),
        ),
        ("series", transport.ping(peer, &once).unwrap_err()),
        ("stream", transport.open_data_stream(peer).unwrap_err()),
        (
            "stream, however long",
            transport.open_data_stream_timeout(peer, None).unwrap_err(),
        ),
    ]
}

fn port(call: &str) -> &'static str {
    if call.starts_with("stream") {
        "5001"
    } else {
        "5000"
    }
}

fn start(cable: &Cable, any: bool) -> Watched<'_> {
    let builder = ThunderboltTransportBuilder::new().allow_any_source(any);
    Watched::start(cable.a(), builder)
}

#[test]
fn an_address_without_a_route_is_not_link_down() {
    let cable = Cable::new();
    for any in [false, true] {
        let a = start(&cable, any);
        for address in UNROUTABLE {
            for (call, error) in cable.a().run(|| calls(&a.transport, address)) {
                let text = error.to_string();
                let case = format!("{call}, allow_any_source {any}: {text}");
                assert!(
                    matches!(error, TransportError::ConnectionFailed(_)),
                    "{case}"
                );
                assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH), "{case}");
                let endpoint = format!("[{address}%thunderbolt0]:{}", port(call));
                assert!(text.contains(&endpoint), "{case}");
                assert!(text.contains("thunderbolt0 is up"), "{case}");
                assert!(!text.contains("is down"), "{case}");
                let route = any && address != "::1";
                assert_eq!(text.contains("ip -6 route add"), route, "{case}");
            }
        }
        let stats = a.transport.get_stats();
        assert!(stats.link_up);
        assert_eq!((stats.link_changes, stats.streams_open), (0, 0));
        assert_eq!(a.event(), None, "the link did not change");
        a.transport.close();
    }
}

#[test]
fn the_same_calls_say_that_the_link_is_down_when_it_is() {
    let cable = Cable::new();
    for any in [false, true] {
        let a = start(&cable, any);
        ip(cable.a(), "link set thunderbolt0 down");
        a.reason_for_being_down();
        for address in UNROUTABLE.into_iter().chain(["fe80::1"]) {
            for (call, error) in cable.a().run(|| calls(&a.transport, address)) {
                let text = error.to_string();
                assert!(
                    matches!(error, TransportError::LinkDown { back: false, .. }),
                    "{call}: {text}"
                );
                assert!(text.contains("switched off"), "{call}: {text}");
                assert!(!text.contains("is up"), "{call}: {text}");
            }
        }
        ip(cable.a(), "link set thunderbolt0 up");
        a.is_up_again();
        a.transport.close();
    }
}

/// Following the advice adds a route.
#[test]
fn the_route_that_is_advised_helps() {
    let cable = Cable::new();
    let a = start(&cable, true);
    let b = Watched::start(
        cable.b(),
        ThunderboltTransportBuilder::new().allow_any_source(true),
    );
    ip(cable.b(), "addr add fd00::9/128 dev thunderbolt0 nodad");
    ip(cable.b(), "route add fe80::ff:fe00:a/128 dev thunderbolt0");
    let send = |data: &[u8]| cable.a().run(|| a.transport.send_message(data, "fd00::9"));
    let error = send(b"x").unwrap_err();
    follow(cable.a(), &advised(&error.to_string(), "ip -6 route add"));
    send(b"routed").expect("there is a route");
    let (size, _) = b
        .transport
        .recv(&mut [0; 64], PATIENCE)
        .expect("it arrives");
    assert_eq!(size, 6);
}

#[test]
fn the_route_of_link_local_addresses_can_be_missing_and_is_named() {
    let cable = Cable::new();
    let a = start(&cable, false);
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    ip(cable.a(), "-6 route del fe80::/64 dev thunderbolt0");
    let calls = cable.a().run(|| calls(&a.transport, cable.b().address()));
    for (call, error) in &calls {
        let text = error.to_string();
        let is_unreachable = matches!(error, TransportError::ConnectionFailed(_));
        assert!(is_unreachable, "{call}: {text}");
        assert!(text.contains("thunderbolt0 is up"), "{call}: {text}");
    }
    let text = calls[0].1.to_string();
    follow(cable.a(), &advised(&text, "ip -6 route add"));
    reaches(&cable, &a.transport);
}

#[test]
fn a_routing_rule_that_forbids_an_address_is_not_link_down() {
    let cable = Cable::new();
    let a = start(&cable, false);
    ip(cable.a(), "-6 rule add to fd00::/16 prohibit");
    ip(cable.a(), "-6 rule add to fd01::/16 blackhole");
    for (call, error) in cable.a().run(|| calls(&a.transport, "fd00::9")) {
        let is_forbidden = matches!(error, TransportError::PermissionDenied { .. });
        let text = error.to_string();
        assert!(is_forbidden && text.contains("prohibit"), "{call}: {text}");
    }
    for (call, error) in cable.a().run(|| calls(&a.transport, "fd01::9")) {
        let is_swallowed = matches!(error, TransportError::Io(_));
        let text = error.to_string();
        assert!(is_swallowed && text.contains("blackhole"), "{call}: {text}");
    }
}

/// The other host is a router, which sends ICMP errors about the address.
#[test]
fn icmp_errors_of_a_router_do_not_mean_link_down() {
    let cable = Cable::new();
    let a = start(&cable, false);
    cable.b().run(|| {
        let forwarding = "/proc/sys/net/ipv6/conf/all/forwarding";
        fs::write(forwarding, "1").expect("our own namespace");
    });
    let gateway = cable.b().address().replace("%thunderbolt0", "");
    ip(
        cable.a(),
        &format!("-6 route add fd00::/16 via {gateway} dev thunderbolt0"),
    );
    let opened = |address: &str| {
        let opened = cable
            .a()
            .run(|| a.transport.open_data_stream_timeout(address, PATIENCE));
        opened.unwrap_err()
    };
    let nowhere = opened("fd00::9");
    assert_eq!(nowhere.raw_os_error(), Some(libc::ENETUNREACH), "{nowhere}");
    assert!(nowhere.to_string().contains("a router"), "{nowhere}");
    // It has a route now, but does not forward packets from a link-local address.
    ip(cable.b(), "link add other0 type veth peer name other1");
    for name in ["other0", "other1"] {
        ip(cable.b(), &format!("link set {name} up"));
    }
    ip(cable.b(), "-6 route add fd00::/16 dev other0");
    let beyond = opened("fd00::9");
    assert_eq!(beyond.raw_os_error(), Some(libc::EHOSTUNREACH), "{beyond}");
    assert!(beyond.to_string().contains("the link is up"), "{beyond}");
    for error in [beyond, nowhere] {
        let text = error.to_string();
        assert!(
            matches!(error, TransportError::ConnectionFailed(_)),
            "{text}"
        );
        assert!(text.contains("[fd00::9%thunderbolt0]:5001"), "{text}");
        assert!(!text.contains("is down"), "{text}");
    }
    assert!(a.transport.get_stats().link_up);
}

/// A rejection by the peer's firewall ("administratively prohibited") is not reported as a missing local
/// permission. A rejected ping does not fail an answered one.
#[test]
fn a_peer_that_rejects_us_does_not_make_us_lack_a_permission() {
    let cable = Cable::new();
    let a = start(&cable, false);
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    reaches(&cable, &a.transport);
    let address = cable.b().address().replace("%thunderbolt0", "/128");
    ip(cable.b(), "-6 rule add pref 1 lookup local");
    ip(cable.b(), "-6 rule del pref 0");
    ip(
        cable.b(),
        &format!("-6 rule add pref 0 to {address} iif thunderbolt0 prohibit"),
    );
    cable.a().run(|| {
        let error = a
            .transport
            .open_data_stream(cable.b().address())
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{text}");
        assert!(
            matches!(error, TransportError::ConnectionFailed(_)),
            "{text}"
        );
        assert!(text.contains("firewall of the peer"), "{text}");
        for _ in 0..20 {
            let timeout = Some(Duration::from_millis(10));
            let error = a
                .transport
                .round_trip(cable.b().address(), timeout)
                .unwrap_err();
            // Kernels limit these errors.
            let rejected = error.to_string().contains("firewall of the peer");
            assert!(
                rejected || matches!(error, TransportError::Timeout),
                "{error}"
            );
        }
    });
    ip(
        cable.b(),
        &format!("-6 rule del pref 0 to {address} iif thunderbolt0 prohibit"),
    );
    reaches(&cable, &a.transport);
    assert!(a.transport.get_stats().link_up);
}
