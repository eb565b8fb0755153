//! The link does what its record says, and the kernel detects corrupted packets.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::{Faults, LossyCable};
use crate::{wait_until, Host, GENEROUS};

const PORT: u16 = 7000;
const AT_ONCE: usize = 50;

/// A socket on b, one on a, and b's address as a sees it.
fn datagrams(cable: &LossyCable) -> (UdpSocket, UdpSocket, SocketAddrV6) {
    let receiver = cable
        .b()
        .run(|| UdpSocket::bind(("::", PORT)).expect("free"));
    receiver.set_nonblocking(true).expect("a socket");
    let sender = cable.a().run(|| UdpSocket::bind("[::]:0").expect("free"));
    (receiver, sender, at(cable.a(), cable.b()))
}

/// The address of `there`, on `here`.
fn at(here: &Host, there: &Host) -> SocketAddrV6 {
    let (address, name) = there.address().split_once('%').expect("a scope");
    let shown = here.ip(&["-o", "link", "show", name]);
    let index = shown.split(':').next().and_then(|index| index.parse().ok());
    let address: Ipv6Addr = address.parse().expect("an address");
    SocketAddrV6::new(address, PORT, 0, index.expect("an index"))
}

/// Sends `count` numbered datagrams from a to b, and returns the numbers that arrive.
fn exchange(cable: &LossyCable, count: u32) -> Vec<u32> {
    let (receiver, sender, to) = datagrams(cable);
    let before = cable.a_to_b().record().udp;
    let mut arrived = Vec::new();
    // Not more at once than the receiver's buffer holds.
    for first in (0..count).step_by(AT_ONCE) {
        let numbers = first..count.min(first + AT_ONCE as u32);
        for number in numbers.clone() {
            let sent = sender.send_to(&number.to_be_bytes(), to);
            sent.expect("the link is up");
        }
        wait_until("the link has forwarded all datagrams", GENEROUS, || {
            let mut buf = [0; 8];
            while let Ok(size) = receiver.recv(&mut buf) {
                let number: [u8; 4] = buf[..size].try_into().expect("whole");
                arrived.push(u32::from_be_bytes(number));
            }
            let udp = cable.a_to_b().record().udp;
            udp.sent - before.sent == u64::from(numbers.end)
                && arrived.len() as u64 >= udp.delivered - before.delivered
        });
    }
    arrived
}

/// A counter of the kernel, such as `Udp6InCsumErrors`.
fn counter(host: &Host, name: &str) -> u64 {
    let counters = host.run(|| std::fs::read_to_string("/proc/thread-self/net/snmp6"));
    let counters = counters.expect("procfs");
    let line = counters.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in:\n{counters}"))
}

#[test]
fn a_perfect_link_carries_everything_in_order() {
    let cable = LossyCable::new();
    // Otherwise the first packets fill the queue that waits for neighbour discovery.
    cable.set_neighbours();
    let all: Vec<u32> = (0..500).collect();
    assert_eq!(exchange(&cable, 500), all);
    let udp = cable.a_to_b().record().udp;
    assert_eq!((udp.sent, udp.delivered), (500, 500));
}

#[test]
fn the_packets_that_the_seed_lets_through_arrive() {
    let both = [1, 1, 2].map(|seed| {
        let cable = LossyCable::new();
        cable.set_neighbours();
        cable.set_faults(Faults::dropping(0.5, seed));
        exchange(&cable, 200)
    });
    assert_eq!(both[0], both[1]);
    assert_ne!(both[0], both[2]);
    assert!((50..150).contains(&both[0].len()), "{}", both[0].len());
}

#[test]
fn packets_come_twice_and_out_of_order() {
    let cable = LossyCable::new();
    cable.set_neighbours();
    cable.set_faults(Faults {
        duplicate: 0.2,
        reorder: 0.2,
        delay: 0.02,
        seed: 5,
        ..Faults::default()
    });
    let arrived = exchange(&cable, 300);
    let udp = cable.a_to_b().record().udp;
    assert!(
        udp.duplicated > 30 && udp.reordered > 30 && udp.delayed > 0,
        "{udp:?}"
    );
    assert_eq!(arrived.len() as u64, 300 + udp.duplicated);
    assert!(!arrived.is_sorted());
    let mut once = arrived;
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_flipped_bit_is_seen_by_the_checksums() {
    let cable = LossyCable::new();
    cable.set_neighbours();
    let faults = Faults {
        corrupt: 0.3,
        seed: 6,
        ..Faults::default()
    };
    cable.set_faults(faults);
    let arrived = exchange(&cable, 300);
    let udp = cable.a_to_b().record().udp;
    assert!(udp.corrupted > 50, "{udp:?}");
    // Every datagram is one that was sent, without changes or duplicates.
    assert!(arrived.is_sorted_by(|a, b| a < b) && arrived.iter().all(|n| *n < 300));
    wait_until(
        "the kernel detects every corrupted datagram",
        GENEROUS,
        || {
            // A flipped bit in the length is found before the checksum is verified.
            counter(cable.b(), "Udp6InErrors") == udp.corrupted
        },
    );
    assert!(counter(cable.b(), "Udp6InCsumErrors") > udp.corrupted / 2);
}

#[test]
fn a_tcp_stream_gets_through() {
    let cable = LossyCable::new();
    cable.set_faults(Faults {
        drop: 0.02,
        corrupt: 0.02,
        duplicate: 0.02,
        reorder: 0.02,
        delay: 0.02,
        seed: 8,
    });
    let listener = cable
        .b()
        .run(|| TcpListener::bind(("::", PORT)).expect("free"));
    let to = at(cable.a(), cable.b());
    let sender = cable.a().spawn(move || {
        let mut stream = TcpStream::connect(to).expect("the link is up");
        // Write small pieces, so that there are many packets.
        for number in 0..2000_u32 {
            stream
                .write_all(&number.to_be_bytes().repeat(256))
                .expect("connected");
        }
    });
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("connected");
    sender.join().expect("it was sent");
    let sent: Vec<u8> = (0..2000_u32)
        .flat_map(|n| n.to_be_bytes().repeat(256))
        .collect();
    assert!(received == sent);
}

#[test]
fn a_cut_link_is_silent_and_keeps_its_carrier() {
    let cable = LossyCable::new();
    cable.set_neighbours();
    cable.cut();
    assert_eq!(exchange(&cable, 20), []);
    let udp = cable.a_to_b().record().udp;
    assert_eq!((udp.sent, udp.cut), (20, 20));
    let shown = cable.a().ip(&["link", "show", "thunderbolt0"]);
    assert!(shown.contains("LOWER_UP"), "{shown}");
    cable.mend();
    assert_eq!(exchange(&cable, 20).len(), 20);
}

#[test]
fn both_ends_are_as_a_cable_has_them() {
    let cable = LossyCable::new();
    for host in [cable.a(), cable.b()] {
        let shown = host.ip(&["address", "show", "dev", "thunderbolt0"]);
        assert!(shown.contains("mtu 65520"), "{shown}");
        assert_eq!(shown.matches("inet").count(), 1, "{shown}");
        let (address, _) = host.address().split_once('%').expect("a scope");
        assert!(shown.contains(address), "{shown}");
    }
}

#[test]
fn dropping_the_cable_removes_the_interfaces() {
    let cable = LossyCable::new();
    let left = cable.a().spawn(|| {
        let gone = || {
            !std::fs::read_to_string("/proc/thread-self/net/dev")
                .expect("procfs")
                .contains("thunderbolt0")
        };
        wait_until("the interface is gone", Duration::from_secs(20), gone);
    });
    drop(cable);
    left.join().expect("it is gone");
}
