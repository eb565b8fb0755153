//! Two hosts whose cable is plugged in and unplugged.

#[path = "common/hosts.rs"]
mod hosts;

use std::io::{Read, Write};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use testkit::{wait_until, Cable, GENEROUS};
use thunderbolt_transport::{
    DataStream, PingOptions, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

use hosts::{both, start};

const PATIENCE: Option<Duration> = Some(GENEROUS);

/// Sends to `peer`, which is b, until a message arrives: right after a replug b may not listen yet, and
/// messages are lost. Returns the sender that b sees.
fn send_until_it_arrives(
    a: &ThunderboltTransport,
    peer: &str,
    b: &ThunderboltTransport,
    text: &str,
) -> String {
    let mut sender = String::new();
    wait_until("a message arrives", GENEROUS, || {
        let _ = a.send_message(text.as_bytes(), peer);
        let mut buf = [0; 64];
        match b.recv(&mut buf, Some(Duration::from_millis(100))) {
            // A message of an earlier round may have come twice.
            Ok((size, from)) if &buf[..size] == text.as_bytes() => {
                sender = from;
                true
            }
            _ => false,
        }
    });
    sender
}

fn assert_message_arrives(
    cable: &Cable,
    a: &ThunderboltTransport,
    b: &ThunderboltTransport,
    text: &str,
) {
    let sender = send_until_it_arrives(a, cable.b().address(), b, text);
    assert_eq!(sender, cable.a().address());
}

#[test]
fn messages_streams_and_round_trips_cross_the_cable() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    assert_message_arrives(&cable, &a, &b, "over the cable");
    cable.a().run(|| {
        let rtt = a.round_trip(cable.b().address(), PATIENCE).unwrap();
        assert!(rtt > Duration::ZERO);
        let mut stream = a.open_data_stream(cable.b().address()).unwrap();
        stream.write_all(b"weights").unwrap();
        stream.finish().unwrap();
        let mut accepted = b.accept(PATIENCE).unwrap();
        assert_eq!(accepted.peer(), cable.a().address());
        let mut received = String::new();
        accepted.read_to_string(&mut received).unwrap();
        assert_eq!(received, "weights");
    });
}

#[test]
fn discovery_finds_the_other_host_and_not_ourselves() {
    let cable = Cable::new();
    let [a, _b] = both(&cable);
    let peers = cable
        .a()
        .run(|| a.discover(Some(Duration::from_millis(300))))
        .unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address.as_str()).collect();
    assert_eq!(addresses, [cable.b().address()]);
    assert!(peers[0].rtt > Duration::ZERO);

    let first = cable.a().run(|| a.discover_first(1, None)).unwrap();
    assert_eq!(first[0].address, cable.b().address());
    assert!(a.get_stats().last_rtt_ns > 0);
    assert!(matches!(
        a.discover_first(0, None),
        Err(TransportError::OutOfRange { .. })
    ));
}

/// Messages to the group of all nodes reach every other host, but not the sender's own.
#[test]
fn a_message_to_all_nodes_reaches_the_other_hosts_only() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    for number in 0..20 {
        let text = format!("to all: {number}");
        for group in ["ff02::1", "ff02::1%thunderbolt0"] {
            cable
                .a()
                .run(|| a.send_message(text.as_bytes(), group))
                .unwrap();
            let mut buf = [0; 64];
            let (size, sender) = b.recv(&mut buf, PATIENCE).unwrap();
            assert_eq!(&buf[..size], text.as_bytes());
            assert_eq!(sender, cable.a().address());
        }
    }
    // This message was sent later and has arrived, so no earlier one is still in flight to this host.
    let own = cable.a().address().to_owned();
    cable
        .a()
        .run(|| a.send_message(b"to myself", &own))
        .unwrap();
    let mut buf = [0; 64];
    let (size, _) = a.recv(&mut buf, PATIENCE).unwrap();
    assert_eq!(&buf[..size], b"to myself");
    assert_eq!(a.get_stats().messages_received, 1);
    assert!(matches!(
        a.open_data_stream("ff02::1"),
        Err(TransportError::InvalidAddress(_))
    ));
    assert!(matches!(
        a.round_trip("ff02::1", PATIENCE),
        Err(TransportError::InvalidAddress(_))
    ));
}

#[test]
fn discovery_from_a_port_of_ones_own_gives_addresses_with_the_peers_port() {
    let cable = Cable::new();
    let own = || {
        ThunderboltTransportBuilder::new()
            .control_port(0)
            .data_port(0)
    };
    let (a, _b) = (
        start(cable.a(), own()),
        start(cable.b(), ThunderboltTransportBuilder::new()),
    );
    let wait = Some(Duration::from_millis(300));
    let peers = cable.a().run(|| a.discover_port(5000, wait)).unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address.as_str()).collect();
    assert_eq!(addresses, [format!("[{}]:5000", cable.b().address())]);
    cable
        .a()
        .run(|| a.round_trip(addresses[0], PATIENCE))
        .expect("every call accepts the address");
    assert!(matches!(
        a.discover_port(0, wait),
        Err(TransportError::OutOfRange { .. })
    ));
}

#[test]
fn a_peer_has_to_name_its_port_where_our_own_is_any_free_one() {
    let cable = Cable::new();
    let builder = ThunderboltTransportBuilder::new()
        .control_port(0)
        .data_port(0);
    let (a, b) = (
        start(cable.a(), builder),
        start(cable.b(), ThunderboltTransportBuilder::new()),
    );
    let peer = cable.b().address();
    let says = |error: TransportError, setting: &str| {
        let text = error.to_string();
        assert!(matches!(error, TransportError::InvalidAddress(_)), "{text}");
        let advice = format!("{setting} is 0): write [{peer}]:PORT");
        assert!(text.contains(peer) && text.contains(&advice), "{text}");
    };
    cable.a().run(|| {
        says(a.send_message(b"x", peer).unwrap_err(), "control_port");
        let batch = [thunderbolt_transport::Datagram { peer, data: b"x" }];
        says(a.send_batch(&batch).outcome.unwrap_err(), "control_port");
        says(a.round_trip(peer, PATIENCE).unwrap_err(), "control_port");
        says(
            a.ping(peer, &PingOptions::default()).unwrap_err(),
            "control_port",
        );
        says(a.resolve(peer).unwrap_err(), "control_port");
        says(a.open_data_stream(peer).unwrap_err(), "data_port");
        assert_eq!(a.last_heard(peer).expect("its port does not matter"), None);
        a.forget(peer).expect("its port does not matter");
        let found = a.discover(Some(Duration::from_millis(1)));
        let error = found.expect_err("the peer does not have this port");
        assert!(
            matches!(error, TransportError::OutOfRange { .. }),
            "{error}"
        );
        // Everything else works, and the sender string is unchanged.
        let named = format!("[{peer}]:5000");
        let sender = send_until_it_arrives(&a, &named, &b, "named");
        let own = format!("[{}]:{}", cable.a().address(), a.control_port());
        assert_eq!(sender, own);
        b.send_message(b"back", &sender).unwrap();
        let (_, sender) = a.recv(&mut [0; 8], PATIENCE).unwrap();
        assert_eq!(sender, named);
        assert_eq!(a.send_message(b"again", &sender).unwrap(), 5);
        a.open_data_stream(&format!("[{peer}]:5001")).unwrap();
    });
    // On the loopback interface, a bare loopback address means the transport itself.
    let own = ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
        .build()
        .unwrap();
    own.send_message(b"self", "::1").unwrap();
    let (_, sender) = own.recv(&mut [0; 8], PATIENCE).unwrap();
    assert_eq!(sender, "::1%lo");
    assert_eq!(own.discover(Some(Duration::from_millis(1))).unwrap(), []);
}

#[test]
fn a_second_short_address_works_as_well() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    let add = ["addr", "add", "fe80::2/64", "dev", "thunderbolt0", "nodad"];
    cable.b().ip(&add);
    // Not at once: host b has to learn of the address first.
    for address in ["fe80::2", cable.b().address()] {
        wait_until("the address answers", GENEROUS, || {
            let timeout = Some(Duration::from_millis(100));
            cable.a().run(|| a.round_trip(address, timeout)).is_ok()
        });
    }
    assert!(b.get_stats().pings_answered >= 2);
}

#[test]
fn a_cable_can_be_pulled_and_plugged_again() {
    let cable = Cable::new();
    let (events, seen) = mpsc::channel();
    let a = start(
        cable.a(),
        ThunderboltTransportBuilder::new().on_link(move |event| events.send(event.up).unwrap()),
    );
    let b = start(cable.b(), ThunderboltTransportBuilder::new());
    let silent = cable.b().run(|| std::net::UdpSocket::bind("[::]:6000"));
    let _silent = silent.expect("a socket that does not answer");
    let mute = format!("[{}]:6000", cable.b().address());
    for round in 0..5 {
        assert_message_arrives(&cable, &a, &b, &format!("round {round}"));
        let stream = cable
            .a()
            .run(|| a.open_data_stream(cable.b().address()))
            .unwrap();
        let reader = stream.clone();
        let reading = std::thread::spawn(move || reader.read_timeout(&mut [0; 16], None));
        let waiting = {
            let (a, silent) = (Arc::clone(&a), mute.clone());
            cable.a().spawn(move || a.round_trip(&silent, None))
        };
        cable.unplug();
        assert!(!seen.recv_timeout(GENEROUS).unwrap());
        let sent = a.send_message(b"nowhere", cable.b().address());
        assert!(
            matches!(sent, Err(TransportError::LinkDown { .. })),
            "{sent:?}"
        );
        let read = reading.join().unwrap();
        assert!(
            matches!(read, Err(TransportError::LinkDown { .. })),
            "{read:?}"
        );
        let pinged = waiting.join().unwrap();
        assert!(
            matches!(pinged, Err(TransportError::LinkDown { .. })),
            "{pinged:?}"
        );
        cable.plug();
        assert!(seen.recv_timeout(GENEROUS).unwrap());
        while let Ok(old) = b.accept(Some(Duration::ZERO)) {
            drop(old);
        }
    }
    let stats = a.get_stats();
    assert_eq!((stats.link_changes, stats.streams_open), (10, 0));
    assert!(stats.link_up);
}

#[test]
fn a_lost_carrier_is_reported_and_streams_survive() {
    let cable = Cable::new();
    let (events, seen) = mpsc::channel();
    let a = start(
        cable.a(),
        ThunderboltTransportBuilder::new().on_link(move |event| events.send(event.up).unwrap()),
    );
    let b = start(cable.b(), ThunderboltTransportBuilder::new());
    let mut stream = cable
        .a()
        .run(|| a.open_data_stream(cable.b().address()))
        .unwrap();
    let mut accepted = b.accept(PATIENCE).unwrap();
    let opening = {
        let a = Arc::clone(&a);
        cable
            .a()
            .spawn(move || a.open_data_stream_timeout("fe80::1", None))
    };
    wait_until("the connect is in progress", GENEROUS, || {
        a.get_stats().streams_open == 2
    });
    cable.carrier(false);
    assert!(!seen.recv_timeout(GENEROUS).unwrap());
    let opened = opening.join().unwrap();
    assert!(
        matches!(opened, Err(TransportError::LinkDown { .. })),
        "{opened:?}"
    );
    let sent = a.send_message(b"nowhere", cable.b().address());
    assert!(
        matches!(sent, Err(TransportError::LinkDown { .. })),
        "{sent:?}"
    );
    cable.carrier(true);
    assert!(seen.recv_timeout(GENEROUS).unwrap());
    stream.write_all(b"still here").unwrap();
    let mut buf = [0; 10];
    accepted.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still here");
}

#[test]
fn a_transport_can_start_before_its_interface() {
    let cable = Cable::unplugged();
    let missing = cable
        .a()
        .run(|| ThunderboltTransportBuilder::new().build())
        .unwrap_err();
    assert!(matches!(missing, TransportError::InterfaceNotFound(_)));
    let waiting = || {
        ThunderboltTransportBuilder::new()
            .wait_for_interface(true)
            .control_port(0)
            .data_port(5001)
    };
    let [a, b] = [cable.a(), cable.b()].map(|host| start(host, waiting()));
    assert_ne!(a.control_port(), 0, "a free port is chosen at once");
    let peer = format!("[{}]:{}", cable.b().address(), b.control_port());
    let sent = a.send_message(b"too early", &peer);
    assert!(
        matches!(sent, Err(TransportError::LinkDown { .. })),
        "{sent:?}"
    );
    cable.plug();
    send_until_it_arrives(&a, &peer, &b, "now");
}

#[test]
fn an_address_that_is_still_being_checked_is_no_link_yet() {
    let cable = Cable::unplugged();
    cable.duplicate_address_detection(true);
    cable.plug_without_waiting();
    let a = start(cable.a(), ThunderboltTransportBuilder::new());
    let b = start(cable.b(), ThunderboltTransportBuilder::new());
    // If the address is usable by now, there is nothing to check.
    if let Err(error) = a.send_message(b"early", cable.b().address()) {
        assert!(matches!(error, TransportError::LinkDown { .. }), "{error}");
    }
    wait_until("both links are up", GENEROUS, || {
        a.get_stats().link_up && b.get_stats().link_up
    });
    assert_message_arrives(&cable, &a, &b, "checked");
}

#[test]
fn a_renamed_interface_is_still_the_same_cable() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    cable.a().ip(&["link", "set", "thunderbolt0", "down"]);
    cable
        .a()
        .ip(&["link", "set", "thunderbolt0", "name", "tb-left"]);
    cable.a().ip(&["link", "set", "tb-left", "up"]);
    wait_until("the transport knows the new name", GENEROUS, || {
        a.interface() == "tb-left"
    });
    let peer = cable.b().address().replace("thunderbolt0", "tb-left");
    send_until_it_arrives(&a, &peer, &b, "renamed");
}

#[test]
fn a_stuck_stream_handler_does_not_block_other_streams() {
    let cable = Cable::new();
    let (release, stuck) = mpsc::channel::<()>();
    let stuck = std::sync::Mutex::new(stuck);
    let b = start(
        cable.b(),
        ThunderboltTransportBuilder::new().on_stream(move |mut stream: DataStream| {
            let mut first = [0];
            stream.read_exact(&mut first).unwrap();
            if first[0] == b'w' {
                stuck.lock().unwrap().recv().unwrap();
            }
            stream.write_all(&first).unwrap();
        }),
    );
    let a = start(cable.a(), ThunderboltTransportBuilder::new());
    cable.a().run(|| {
        let exchange = |byte: &[u8; 1]| {
            let mut stream = a.open_data_stream(cable.b().address()).unwrap();
            stream.write_all(byte).unwrap();
            stream
        };
        let mut waits = exchange(b"w");
        for _ in 0..20 {
            let mut back = [0];
            exchange(b"e").read_exact(&mut back).unwrap();
            assert_eq!(&back, b"e");
        }
        release.send(()).unwrap();
        let mut back = [0];
        waits.read_exact(&mut back).unwrap();
    });
    b.close();
}
