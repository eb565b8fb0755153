//! What has happened already when something fails half-way: batches that are refused in the middle, streams whose
//! cable is pulled, and sources that are not served.

#[path = "common/hosts.rs"]
mod hosts;

use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::Duration;

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{Datagram, ThunderboltTransportBuilder, TransportError};

use hosts::{both, start};

const PATIENCE: Option<Duration> = Some(GENEROUS);

#[test]
fn a_batch_that_meets_a_full_queue_counts_what_left_before() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    let peer = cable.b().address();
    cable
        .a()
        .run(|| a.round_trip(peer, PATIENCE))
        .expect("the link is up");
    // Some packets leave at once, some more fill the queue, and then nothing leaves for minutes.
    let queue = "qdisc add dev thunderbolt0 root tbf rate 8bit burst 4000 limit 20000";
    cable
        .a()
        .traffic_control(&queue.split(' ').collect::<Vec<_>>());
    let data = [7; 1000];
    let batch = [Datagram { peer, data: &data }; 200];
    let sent = cable.a().run(|| a.send_batch(&batch));
    assert!(
        matches!(sent.outcome, Err(TransportError::QueueFull { .. })),
        "{sent:?}"
    );
    assert!(sent.count > 0 && sent.count < 200, "{sent:?}");
    assert_eq!(a.get_stats().messages_sent, sent.count);

    // What the call counted arrives as soon as the queue is gone, or was dropped with it: never more than that.
    cable
        .a()
        .traffic_control(&["qdisc", "del", "dev", "thunderbolt0", "root"]);
    let last = cable.a().run(|| a.send_message(b"last", peer));
    last.expect("the queue is gone");
    let mut buf = [0; 1000];
    let mut received = 0;
    while b.recv(&mut buf, PATIENCE).expect("the last one").0 != 4 {
        received += 1;
    }
    assert!(
        received > 0 && received <= sent.count,
        "{received} of {sent:?}"
    );
}

#[test]
fn a_batch_whose_cable_is_pulled_counts_what_left_before() {
    let cable = Cable::new();
    let [a, _b] = both(&cable);
    let peer = cable.b().address();
    let data = [7; 100];
    let batch = [Datagram { peer, data: &data }; 64];
    let counted = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            cable.a().run(|| {
                let mut counted = 0;
                loop {
                    let sent = a.send_batch(&batch);
                    counted += sent.count;
                    match sent.outcome {
                        Ok(()) | Err(TransportError::QueueFull { .. }) => {}
                        Err(TransportError::LinkDown { .. }) => return counted,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        });
        wait_until("messages are sent", GENEROUS, || {
            a.get_stats().messages_sent > 1000
        });
        cable.unplug();
        sender.join().expect("the sender")
    });
    assert_eq!(a.get_stats().messages_sent, counted);
}

#[test]
fn what_arrived_before_the_cable_was_pulled_can_still_be_read() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    let data: Vec<u8> = (0..100_000_u32).map(|n| (n >> 3) as u8).collect();
    let (near, mut far) = cable.a().run(|| {
        let near = a
            .open_data_stream(cable.b().address())
            .expect("the link is up");
        (near, b.accept(PATIENCE).expect("the stream"))
    });
    near.write_timeout(&data, PATIENCE)
        .outcome
        .expect("there is room");
    wait_until("the other kernel has it all", GENEROUS, || {
        let stats = near.stats();
        stats.bytes_unsent == 0 && stats.bytes_unacknowledged == 0
    });
    let mut first = [0; 1000];
    far.read_exact(&mut first).expect("it has arrived");
    cable.unplug();
    wait_until("the link is down", GENEROUS, || !b.get_stats().link_up);
    let mut rest = vec![0; data.len() - first.len()];
    far.read_exact(&mut rest).expect("it has arrived, too");
    assert!([&first[..], &rest].concat() == data);
    let ended = far.read_timeout(&mut first, PATIENCE);
    assert!(
        matches!(ended, Err(TransportError::LinkDown { .. })),
        "{ended:?}"
    );
    let written = far.write_timeout(b"back", PATIENCE).outcome;
    assert!(
        matches!(written, Err(TransportError::LinkDown { .. })),
        "{written:?}"
    );
}

/// Sends a message and opens a connection from a routable address on the cable. Whether the connection stayed open.
fn knock(host: &Host, from: Ipv6Addr, to: Ipv6Addr) -> bool {
    host.run(|| {
        let socket = UdpSocket::bind((from, 0)).expect("our address");
        socket
            .send_to(b"hello", (to, 5000))
            .expect("the link is up");
        let to = SocketAddrV6::new(to, 5001, 0, 0);
        let Ok(mut stream) = TcpStream::connect(to) else {
            return false;
        };
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a time limit");
        let read = stream.read(&mut [0]);
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    })
}

#[test]
fn a_source_that_is_not_local_is_served_only_on_request() {
    let cable = Cable::new();
    let addresses = [1, 2].map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n));
    for (host, address) in [cable.a(), cable.b()].into_iter().zip(addresses) {
        let address = format!("{address}/64");
        host.ip(&["address", "add", &address, "dev", "thunderbolt0", "nodad"]);
    }
    let [own, stranger] = addresses;
    let local = start(cable.a(), ThunderboltTransportBuilder::new());
    assert!(!knock(cable.b(), stranger, own));
    wait_until("both are rejected", GENEROUS, || {
        local.get_stats().rejected_source == 2
    });
    let stats = local.get_stats();
    assert_eq!(
        (stats.messages_received, stats.connections_accepted),
        (0, 0)
    );
    let none = local.recv(&mut [0; 8], Some(Duration::ZERO));
    assert!(matches!(none, Err(TransportError::WouldBlock)), "{none:?}");
    local.close();

    let open = start(
        cable.a(),
        ThunderboltTransportBuilder::new().allow_any_source(true),
    );
    assert!(knock(cable.b(), stranger, own));
    let mut buf = [0; 8];
    let (size, sender) = open.recv(&mut buf, PATIENCE).expect("it is served");
    assert_eq!(&buf[..size], b"hello");
    assert!(sender.contains("fd00::2"), "{sender}");
    open.accept(PATIENCE).expect("it is served");
    assert_eq!(open.get_stats().rejected_source, 0);
}
