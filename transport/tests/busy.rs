//! Much traffic to one peer uses a connected socket, which must make no visible difference.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{Datagram, ThunderboltTransport, ThunderboltTransportBuilder};

const PATIENCE: Option<Duration> = Some(GENEROUS);
/// More messages than make a peer busy.
const MANY: u32 = 2000;

/// The received messages, with their senders.
type Arrived = Arc<Mutex<Vec<(Vec<u8>, String)>>>;

fn builder() -> ThunderboltTransportBuilder {
    ThunderboltTransportBuilder::new()
}

/// A transport that keeps the messages it receives.
fn keeping(host: &Host) -> (Arc<ThunderboltTransport>, Arrived) {
    let arrived = Arrived::default();
    let kept = Arc::clone(&arrived);
    let transport = host.run(|| {
        let keep = builder().on_message(move |data, sender| {
            let message = (data.to_vec(), sender.as_str().to_owned());
            kept.lock().unwrap().push(message);
        });
        keep.build().expect("a transport on thunderbolt0")
    });
    (transport, arrived)
}

/// Waits for `count` messages and removes them.
fn take(arrived: &Arrived, count: usize) -> Vec<(Vec<u8>, String)> {
    wait_until("all messages arrive", GENEROUS, || {
        arrived.lock().unwrap().len() >= count
    });
    std::mem::take(&mut *arrived.lock().unwrap())
}

/// A message of `size` bytes with a number.
fn message(number: u32, size: usize) -> Vec<u8> {
    (0..size)
        .map(|place| (number as usize * 31 + place * 7) as u8)
        .collect()
}

/// Sends single messages, with answers in between, and checks that all arrive in order from one sender.
fn converse(
    cable: &Cable,
    a: &ThunderboltTransport,
    arrived: [&Arrived; 2],
    b: &ThunderboltTransport,
) {
    let [at_a, at_b] = arrived;
    for round in 0..MANY / 100 {
        let number = |n| round * 100 + n;
        for n in 0..100 {
            a.send_message(&message(number(n), 64), cable.b().address())
                .unwrap();
        }
        // Wait for them, so that no buffer is full, and check that answers arrive.
        for (n, (data, sender)) in take(at_b, 100).into_iter().enumerate() {
            assert_eq!(data, message(number(n as u32), 64));
            assert_eq!(sender, cable.a().address());
        }
        cable
            .b()
            .run(|| b.send_message(b"go on", cable.a().address()).unwrap());
        let [(answer, sender)] = &take(at_a, 1)[..] else {
            panic!("more than one answer");
        };
        assert_eq!(
            (answer.as_slice(), sender.as_str()),
            (&b"go on"[..], cable.b().address())
        );
    }
}

#[test]
fn messages_to_a_busy_peer_keep_their_order_and_their_sender_through_a_replug() {
    let cable = Cable::new();
    let ((a, at_a), (b, at_b)) = (keeping(cable.a()), keeping(cable.b()));
    cable.a().run(|| converse(&cable, &a, [&at_a, &at_b], &b));
    cable.unplug();
    cable.plug();
    wait_until("the link is up again on both", GENEROUS, || {
        a.get_stats().link_up && b.get_stats().link_up
    });
    cable.a().run(|| converse(&cable, &a, [&at_a, &at_b], &b));
    a.close();
    // No socket to the peer holds the port any more.
    let again = cable
        .a()
        .run(|| builder().build())
        .expect("the ports are free");
    again.close();
}

#[test]
fn a_busy_pinger_is_answered_from_the_control_port() {
    let cable = Cable::new();
    let (b, _) = keeping(cable.b());
    cable.a().run(|| {
        let pinger = std::net::UdpSocket::bind("[::]:0").unwrap();
        pinger.set_read_timeout(PATIENCE).unwrap();
        let scope = interface_index("thunderbolt0");
        let bare = cable.b().address().split('%').next().unwrap();
        let to = std::net::SocketAddrV6::new(bare.parse().unwrap(), 5000, 0, scope);
        for n in 0..u64::from(MANY) {
            let token = n.to_be_bytes();
            pinger
                .send_to(&[b"\0\0\0RTTPT", &token[..]].concat(), to)
                .unwrap();
            let mut pong = [0; 32];
            let (size, from) = pinger.recv_from(&mut pong).unwrap();
            assert_eq!(&pong[..size], [b"\0\0\0RTTPS", &token[..]].concat());
            assert_eq!(from, to.into());
        }
    });
    assert_eq!(b.get_stats().pings_answered, u64::from(MANY));
}

/// The index of an interface in the network namespace of this thread.
fn interface_index(interface: &str) -> u32 {
    let shown = std::process::Command::new("ip")
        .args(["-o", "link", "show", interface])
        .output()
        .expect("ip runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let index = shown.split(':').next().and_then(|index| index.parse().ok());
    index.expect("an index")
}

/// Batches of equal sizes, of mixed sizes, and of sizes larger than a packet of the link.
fn batches(mtu: &str) {
    let cable = Cable::new();
    for host in [cable.a(), cable.b()] {
        host.ip(&["link", "set", "thunderbolt0", "mtu", mtu]);
    }
    let (_b, at_b) = keeping(cable.b());
    let a = cable.a().run(|| builder().build()).unwrap();
    let runs: [&[usize]; 6] = [
        &[64; 200],
        &[1000; 100],
        &[8192; 40],
        &[64, 64, 64, 1, 0, 0, 16, 16, 64, 1452, 1452, 1453, 30],
        &[30_000, 30_000, 30_000, 65_507, 65_507],
        &[64; 200],
    ];
    // Several times: later ones go over the connected socket.
    for round in 0..8 {
        for sizes in runs {
            let messages: Vec<Vec<u8>> = (round..)
                .zip(sizes)
                .map(|(number, &size)| message(number, size))
                .collect();
            let batch: Vec<_> = messages
                .iter()
                .map(|data| Datagram {
                    peer: cable.b().address(),
                    data,
                })
                .collect();
            let sent = cable.a().run(|| a.send_batch(&batch));
            sent.outcome.unwrap();
            assert_eq!(sent.count, messages.len() as u64);
            let arrived: Vec<Vec<u8>> = take(&at_b, messages.len())
                .into_iter()
                .map(|(data, sender)| {
                    assert_eq!(sender, cable.a().address());
                    data
                })
                .collect();
            assert!(arrived == messages, "sizes {sizes:?} at MTU {mtu}");
        }
    }
    let sent = a.get_stats();
    let expected: usize = runs.iter().map(|sizes| sizes.len()).sum();
    assert_eq!(sent.messages_sent, 8 * expected as u64);
    assert_eq!(sent.errors, 0);
}

#[test]
fn batches_arrive_as_single_messages_at_a_large_mtu() {
    batches("65520");
}

#[test]
fn batches_arrive_as_single_messages_at_the_default_mtu() {
    batches("1500");
}
