//! Strangers on the link, and a full queue of the own interface.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{
    Datagram, PingOptions, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
    MAX_DISCOVERED_PEERS,
};

/// A transport on a host, with the default interface and ports.
fn start(host: &Host) -> Arc<ThunderboltTransport> {
    host.run(|| ThunderboltTransportBuilder::new().build())
        .expect("a transport on thunderbolt0")
}

/// Ports of made-up answers: more than discovery has places for.
const MADE_UP: std::ops::Range<u16> = 20_000..20_000 + MAX_DISCOVERED_PEERS as u16 + 500;

/// How a pong begins (docs/WIRE.md).
const PING: [u8; 8] = 0x52_5454_5054_u64.to_be_bytes();
const PONG: [u8; 8] = 0x52_5454_5053_u64.to_be_bytes();

/// Answers each multicast ping from the control port, and then from many other ports, until `done`.
fn answer_in_many_names(done: &AtomicBool) {
    let listener = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 5000)).expect("the control port");
    let pause = Some(Duration::from_millis(50));
    listener.set_read_timeout(pause).expect("a time limit");
    let mut ping = [0; 64];
    let end = Instant::now() + 2 * GENEROUS;
    while !done.load(Ordering::Relaxed) && Instant::now() < end {
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
    // A port in use only means one made-up peer less.
    if let Ok(socket) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)) {
        let _ = socket.send_to(pong, to);
    }
}

#[test]
fn made_up_answers_to_discovery_are_limited_and_replace_no_earlier_ones() {
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

/// Gives host a's interface a slow queue of a few packets.
fn slow(host: &Host) {
    let queue = "qdisc add dev thunderbolt0 root tbf rate 40mbit burst 20kb limit 60kb";
    host.traffic_control(&queue.split(' ').collect::<Vec<_>>());
}

/// Receives messages until `most` have come, or none comes for long. Returns their number.
fn take(b: &ThunderboltTransport, most: u64) -> u64 {
    let mut buf = [0; 2000];
    (0..most)
        .take_while(|_| b.recv(&mut buf, Some(Duration::from_secs(5))).is_ok())
        .count() as u64
}

#[test]
fn sends_wait_for_a_full_queue_and_lose_nothing_silently() {
    const MESSAGES: u64 = 3000;
    let cable = Cable::new();
    let (a, b) = (start(cable.a()), start(cable.b()));
    slow(cable.a());
    let peer = cable.b().address();
    let data = [7; 1000];
    let arrived = std::thread::scope(|scope| {
        let arrived = scope.spawn(|| take(&b, 2 * MESSAGES));
        cable.a().run(|| {
            for _ in 0..MESSAGES {
                assert_eq!(a.send_message(&data, peer).expect("it waits"), data.len());
            }
            // The queue would split a batch that leaves as one packet, and drop a part silently.
            let batch = vec![Datagram { peer, data: &data }; 60];
            for _ in 0..MESSAGES / 60 {
                let sent = a.send_batch(&batch);
                sent.outcome.expect("it waits");
                assert_eq!(sent.count, 60);
            }
        });
        arrived.join().expect("no panic")
    });
    let (sent, received) = (a.get_stats(), b.get_stats());
    assert_eq!(sent.messages_sent, 2 * MESSAGES);
    assert_eq!((sent.send_drops, sent.errors), (0, 0));
    let lost = received.messages_dropped + received.kernel_drops;
    assert_eq!(arrived + lost, 2 * MESSAGES, "{sent:?} {received:?}");
}

#[test]
fn a_full_queue_is_an_error_without_waiting_and_counted_for_pongs_and_pings() {
    let cable = Cable::new();
    let (a, b) = (start(cable.a()), start(cable.b()));
    let peer = cable.b().address();
    cable
        .a()
        .run(|| a.round_trip(peer, None).expect("it is there"));
    // A burst gets through, then nothing for a minute. A packet or two fill the queue.
    let queue = "qdisc add dev thunderbolt0 root tbf rate 8bit burst 1540 limit 3000";
    cable
        .a()
        .traffic_control(&queue.split(' ').collect::<Vec<_>>());
    let fill = || a.send_message_timeout(&[7; 1000], peer, Some(Duration::ZERO));
    let mut refused = None;
    for _ in 0..100 {
        refused = refused.or(cable.a().run(fill).err());
    }
    assert!(
        matches!(refused, Some(TransportError::WouldBlock)),
        "{refused:?}"
    );
    let waited = cable.a().run(|| a.send_message(&[7; 1000], peer));
    assert!(
        matches!(waited, Err(TransportError::QueueFull { .. })),
        "{waited:?}"
    );
    assert_eq!(a.get_stats().send_drops, 1);

    // Small datagrams fill the rest of it.
    let one = PingOptions {
        count: 200,
        interval: Duration::from_micros(1),
        timeout: Some(Duration::from_millis(1)),
    };
    let summary = cable
        .a()
        .run(|| a.ping(peer, &one))
        .expect("loss is no error");
    assert_eq!(summary.sent, 200);
    let stats = a.get_stats();
    assert!(stats.send_drops > 1);
    assert_eq!(stats.send_drops - 1 + stats.pings_sent - 1, 200);
    let refused = cable
        .a()
        .run(|| a.round_trip(peer, Some(Duration::from_secs(1))));
    assert!(
        matches!(refused, Err(TransportError::QueueFull { .. })),
        "{refused:?}"
    );

    let before = a.get_stats().send_drops;
    cable
        .b()
        .run(|| b.ping(cable.a().address(), &one))
        .expect("loss is no error");
    wait_until("the pongs without room are counted", GENEROUS, || {
        let stats = a.get_stats();
        stats.send_drops > before && stats.errors == 2
    });
}

/// The address that send-only and connected sockets of this process are bound to (`control::connected`). No
/// datagram has it as its source.
fn unused_source(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0x0dcf, 0, number)
}

/// A made-up ICMPv6 error about a datagram from `from` to `to`. The kernel fills in the checksum.
fn made_up_error(kind: u8, code: u8, from: SocketAddrV6, to: SocketAddrV6) -> Vec<u8> {
    let mut error = vec![kind, code, 0, 0, 0, 0, 0x05, 0];
    error.extend([0x60, 0, 0, 0, 0, 24, 17, 64]);
    error.extend(from.ip().octets());
    error.extend(to.ip().octets());
    error.extend(from.port().to_be_bytes());
    error.extend(to.port().to_be_bytes());
    error.extend([0, 24, 0, 0]);
    // A ping with a token that was never sent.
    error.extend(PING);
    error.extend([0; 8]);
    error
}

/// Port unreachable, prohibited, packet too big, unknown next header.
const ERRORS: [(u8, u8); 4] = [(1, 4), (1, 1), (2, 0), (4, 1)];

fn raw_socket() -> Socket {
    let raw = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("a raw socket");
    raw.bind_device(Some(b"thunderbolt0"))
        .expect("an interface");
    raw
}

/// Sends made-up errors about each ping before it answers, until `done`.
fn answer_after_errors(own: Ipv6Addr, done: &AtomicBool) {
    let own = SocketAddrV6::new(own, 5000, 0, 0);
    let listener = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 5000)).expect("the control port");
    let pause = Some(Duration::from_millis(50));
    listener.set_read_timeout(pause).expect("a time limit");
    let raw = raw_socket();
    let mut ping = [0; 64];
    let end = Instant::now() + 2 * GENEROUS;
    while !done.load(Ordering::Relaxed) && Instant::now() < end {
        let Ok((16, SocketAddr::V6(from))) = listener.recv_from(&mut ping) else {
            continue;
        };
        let to = SocketAddrV6::new(*from.ip(), 0, 0, from.scope_id());
        for (kind, code) in ERRORS {
            let error = made_up_error(kind, code, from, own);
            raw.send_to(&error, &to.into()).expect("a made-up error");
        }
        ping[..8].copy_from_slice(&PONG);
        listener.send_to(&ping[..16], from).expect("a pong");
    }
}

/// Sends made-up errors about datagrams of the control port, until `done`.
fn flood_with_errors(own: Ipv6Addr, victim: Ipv6Addr, done: &AtomicBool) {
    let raw = raw_socket();
    let own = SocketAddrV6::new(own, 5000, 0, 0);
    let to = SocketAddrV6::new(victim, 0, 0, 0);
    let end = Instant::now() + 2 * GENEROUS;
    while !done.load(Ordering::Relaxed) && Instant::now() < end {
        for ip in (0..64).map(unused_source).chain([victim]) {
            let from = SocketAddrV6::new(ip, 5000, 0, 0);
            for (kind, code) in ERRORS {
                let error = made_up_error(kind, code, from, own);
                raw.send_to(&error, &to.into()).expect("a made-up error");
            }
        }
    }
}

fn ip(peer: &str) -> Ipv6Addr {
    let (address, _) = peer.split_once('%').expect("a scope");
    address.parse().expect("an address")
}

#[test]
fn made_up_errors_fail_no_send_and_no_round_trip() {
    let cable = Cable::new();
    let a = start(cable.a());
    let peer = cable.b().address();
    let (own, victim) = (ip(peer), ip(cable.a().address()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| cable.b().run(|| answer_after_errors(own, &done)));
        scope.spawn(|| cable.b().run(|| flood_with_errors(own, victim, &done)));
        cable.a().run(|| {
            wait_until("the stranger answers", GENEROUS, || {
                a.round_trip(peer, Some(Duration::from_millis(100))).is_ok()
            });
            // Until the stranger listens, the errors of its kernel are real.
            a.reset_stats();
            let series = PingOptions {
                count: 500,
                interval: Duration::ZERO,
                timeout: Some(GENEROUS),
            };
            let summary = a.ping(peer, &series);
            // To many ports: a busy peer would get a connected socket.
            let messages = (0..5000).try_for_each(|n| {
                let peer = format!("[{peer}]:{}", 6000 + n % 100);
                a.send_message(b"message", &peer).map(drop)
            });
            let data = [7; 100];
            let batch = vec![Datagram { peer, data: &data }; 64];
            let batches = (0..100).try_for_each(|_| a.send_batch(&batch).outcome);
            done.store(true, Ordering::Relaxed);
            assert_eq!(summary.expect("a series").received, 500);
            messages.expect("every message leaves");
            batches.expect("every batch leaves");
        });
    });
    let stats = a.get_stats();
    assert_eq!((stats.messages_sent, stats.errors), (5000 + 6400, 0));
    assert!(
        stats.pongs_ignored > 0,
        "the errors arrived and were ignored"
    );
    assert_eq!(stats.pings_undelivered, 0);
    assert_eq!(stats.send_drops, 0);
}

/// A stream that was evicted while it waited for accept is removed from the queue.
#[test]
fn evicted_silent_streams_take_no_place_in_the_queue() {
    const SILENT: u32 = 4;
    let host = Host::alone();
    host.run(|| {
        let builder = || {
            ThunderboltTransportBuilder::new()
                .interface("lo")
                .control_port(0)
                .data_port(0)
                .max_silent_streams(SILENT)
                .silent_after(Duration::ZERO)
        };
        let (server, client) = (builder().build().unwrap(), builder().build().unwrap());
        let peer = format!("[::1]:{}", server.data_port());
        for opened in 1..=100 {
            let stream = client.open_data_stream(&peer).expect("it is accepted");
            wait_until("the stream is counted as accepted", GENEROUS, || {
                server.get_stats().connections_accepted == opened
            });
            drop(stream);
        }
        let mut waiting = 0;
        while server.accept(Some(Duration::ZERO)).is_ok() {
            waiting += 1;
        }
        assert!(waiting <= SILENT, "{waiting} wait");
    });
}

#[test]
fn messages_for_a_blocked_handler_are_limited() {
    const ROOM: usize = 100_000;
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let builder = || {
        let builder = ThunderboltTransportBuilder::new().interface("lo");
        builder.control_port(0).data_port(0)
    };
    let receiver = builder()
        .buffer_size(ROOM)
        .message_handler(move |_, _| {
            // The first call waits here until the test ends.
            let _ = wait.lock().expect("no panic").recv();
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    let sender = builder().build().unwrap();
    let peer = format!("[::1]:{}", receiver.control_port());
    wait_until("there is no room for more", GENEROUS, || {
        sender.send_message(&[7; 1000], &peer).expect("it is there");
        receiver.get_stats().dropped_memory > 0
    });
    drop(go_on);
    let stats = receiver.get_stats();
    let came = stats.messages_received - stats.messages_dropped;
    assert!(came as usize <= ROOM / 1000 + 40, "{stats:?}");
    wait_until("the kept messages are handled", GENEROUS, || {
        taken.load(Ordering::Relaxed) as u64 >= came
    });
}
