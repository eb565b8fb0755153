//! The handler for peers that appear and vanish.

mod common;

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{PeerEvent, ThunderboltTransport, ThunderboltTransportBuilder};

use common::loopback;

type Event = (bool, String);

/// A handler, and the events it gets.
fn recorder() -> (impl Fn(&PeerEvent<'_>) + Send + Sync, mpsc::Receiver<Event>) {
    let (tell, told) = mpsc::channel();
    let handler = move |event: &PeerEvent<'_>| {
        // The transport may outlive a failed test.
        let _ = tell.send((event.appeared, event.peer.to_owned()));
    };
    (handler, told)
}

#[track_caller]
fn next(told: &mpsc::Receiver<Event>, appeared: bool, peer: &str) {
    let event = told.recv_timeout(GENEROUS).expect("the handler is called");
    assert_eq!(event, (appeared, peer.to_owned()));
}

fn to(peer: &ThunderboltTransport) -> String {
    format!("[::1%lo]:{}", peer.control_port())
}

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_peer_appears_vanishes_after_silence_and_appears_again() {
    let (handler, told) = recorder();
    let builder = loopback().on_peer(handler).peer_timeout(SHORT);
    let a = builder.build().expect("a transport");
    let b = loopback().build().expect("a transport");
    assert_eq!(a.last_heard("::1").unwrap(), None);
    for _ in 0..3 {
        b.send_message(b"x", &to(&a)).unwrap();
        next(&told, true, "::1%lo");
        assert!(a.last_heard("::1").unwrap().is_some());
        next(&told, false, "::1%lo");
        assert!(
            a.last_heard("::1").unwrap().is_some(),
            "the peer is remembered"
        );
    }
    // A ping, a pong and a stream make it appear too.
    b.round_trip(&to(&a), Some(GENEROUS)).unwrap();
    next(&told, true, "::1%lo");
    next(&told, false, "::1%lo");
    a.round_trip(&to(&b), Some(GENEROUS)).unwrap();
    next(&told, true, "::1%lo");
    next(&told, false, "::1%lo");
    let stream = b.open_data_stream(&format!("[::1]:{}", a.data_port()));
    stream.expect("a stream");
    next(&told, true, "::1%lo");
    next(&told, false, "::1%lo");
    a.close();
    assert!(told.try_recv().is_err(), "no further event");
    assert_eq!(a.get_stats().peers_not_reported, 0);
}

#[test]
fn a_peer_that_is_forgotten_appears_again_and_was_not_reported_as_gone() {
    let (handler, told) = recorder();
    let builder = loopback().on_peer(handler).peer_timeout(Duration::ZERO);
    let a = builder.build().expect("a transport");
    let b = loopback().build().expect("a transport");
    for _ in 0..3 {
        b.send_message(b"x", &to(&a)).unwrap();
        next(&told, true, "::1%lo");
        a.forget("::1").unwrap();
        assert_eq!(a.last_heard("::1").unwrap(), None);
    }
}

#[test]
fn a_replacing_handler_gets_changes_and_after_a_gap_all_peers_appear_again() {
    let (first, told_first) = recorder();
    let a = loopback().on_peer(first).peer_timeout(Duration::ZERO);
    let a = a.build().expect("a transport");
    let b = loopback().build().expect("a transport");
    let send = || assert_eq!(b.send_message(b"x", &to(&a)).unwrap(), 1);
    send();
    next(&told_first, true, "::1%lo");

    let (second, told_second) = recorder();
    a.on_peer(second);
    assert!(told_first.recv().is_err(), "the first was dropped");
    send();
    a.recv(&mut [0], Some(GENEROUS)).unwrap();
    a.recv(&mut [0], Some(GENEROUS)).unwrap();
    assert!(told_second.try_recv().is_err(), "the peer is still present");

    a.set_peer_handler(None).unwrap();
    assert!(told_second.recv().is_err(), "the second was dropped");
    send();
    a.recv(&mut [0], Some(GENEROUS)).unwrap();
    let (third, told_third) = recorder();
    a.on_peer(third);
    send();
    next(&told_third, true, "::1%lo");
    a.close();
    assert!(a.set_peer_handler(None).is_err());
}

#[test]
fn a_handler_may_call_forget_replace_and_close_and_none_runs_after_close() {
    let (tell, told) = mpsc::channel();
    let a = loopback().peer_timeout(SHORT).on_peer(move |event| {
        let transport = event.transport();
        assert!(transport.last_heard(event.peer).unwrap().is_some());
        transport.forget(event.peer).unwrap();
        let tell = tell.clone();
        transport.on_peer(move |event| {
            event.transport().close();
            tell.send(event.peer.to_owned()).unwrap();
        });
    });
    let a = a.build().expect("a transport");
    let b = loopback().build().expect("a transport");
    wait_until("the second handler closes", GENEROUS, || {
        let _ = b.send_message(b"x", &to(&a));
        !a.is_running()
    });
    assert_eq!(told.recv_timeout(GENEROUS).expect("it ran"), "::1%lo");
    a.close();
    wait_until("the handler is dropped", GENEROUS, || {
        matches!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    });
}

#[test]
fn a_handler_that_panics_is_counted_and_called_again() {
    let a = loopback()
        .peer_timeout(SHORT)
        .on_peer(|_| panic!("on purpose"));
    let a = a.build().expect("a transport");
    let b = loopback().build().expect("a transport");
    b.send_message(b"x", &to(&a)).unwrap();
    wait_until("both calls are counted", GENEROUS, || {
        a.get_stats().callback_failures == 2
    });
}

/// A transport on each host, and the events of the first one. Its peers only vanish when the link goes down.
fn watched(cable: &Cable) -> ([Arc<ThunderboltTransport>; 2], mpsc::Receiver<Event>) {
    let (handler, told) = recorder();
    let builder = ThunderboltTransportBuilder::new()
        .on_peer(handler)
        .peer_timeout(Duration::ZERO);
    let start = |host: &Host, builder: ThunderboltTransportBuilder| {
        host.run(|| builder.build()).expect("a transport")
    };
    let a = start(cable.a(), builder);
    let b = start(cable.b(), ThunderboltTransportBuilder::new());
    ([a, b], told)
}

#[test]
fn all_vanish_when_the_link_goes_down_and_appear_when_it_is_back() {
    let cable = Cable::new();
    let ([a, b], told) = watched(&cable);
    let there = cable.b().address();
    let ping = || {
        let timeout = Some(Duration::from_millis(100));
        cable.b().run(|| b.round_trip(cable.a().address(), timeout))
    };
    ping().expect("it is there");
    next(&told, true, there);
    for _ in 0..2 {
        cable.unplug();
        next(&told, false, there);
        let last = a.last_heard(there).expect("an address");
        assert!(last.is_some(), "the peer is remembered");
        cable.plug();
        // The kernel delivers messages a moment before it reports the link as up. No peer appears before the report.
        wait_until("the link is up again", GENEROUS, || a.get_stats().link_up);
        wait_until("the cable works again", GENEROUS, || ping().is_ok());
        next(&told, true, there);
    }
}

/// More peers than may appear at once.
const MADE_UP: u16 = 1500;

/// Sends a message from each of many addresses that no host has.
fn flood(victim: Ipv6Addr, index: u32) {
    fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").expect("this namespace is ours");
    let victim = SocketAddrV6::new(victim, 5000, 0, index);
    for n in 0..MADE_UP {
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xdead, 0, n);
        let socket = UdpSocket::bind(SocketAddrV6::new(source, 0, 0, index));
        // A full buffer only loses this message.
        let _ = socket.expect("a socket").send_to(b"x", victim);
    }
}

#[test]
fn a_flood_of_made_up_sources_is_limited_counted_and_makes_no_peer_vanish() {
    let cable = Cable::new();
    let ([a, b], told) = watched(&cable);
    let ping = || {
        let pong = cable
            .b()
            .run(|| b.round_trip(cable.a().address(), Some(GENEROUS)));
        pong.expect("an answer");
    };
    ping();
    next(&told, true, cable.b().address());
    let victim = b.resolve(cable.a().address()).expect("an address");
    cable.b().run(|| flood(*victim.ip(), victim.scope_id()));
    wait_until("the peers beyond the limit are counted", GENEROUS, || {
        let stats = a.get_stats();
        stats.peers_not_reported > 0 && stats.messages_received >= u64::from(MADE_UP) / 2
    });
    ping();
    let refused = a.get_stats().peers_not_reported;
    let mut events = Vec::new();
    wait_until(
        "as many peers appear as the limit permits",
        GENEROUS,
        || {
            events.extend(told.try_iter());
            events.len() >= 255
        },
    );
    a.close();
    events.extend(told.try_iter());
    assert!(events.iter().all(|event| event.0), "no peer may vanish");
    assert!(events.iter().all(|event| event.1 != cable.b().address()));
    assert!(events.len() < 1024, "{}", events.len());
    assert!(events.len() as u64 + refused <= MADE_UP.into());
}
