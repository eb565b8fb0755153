//! A flood of pings from made-up addresses does not fill the kernel's neighbour table.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{
    LogLevel, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

/// How a ping begins (docs/WIRE.md).
const PING: [u8; 8] = 0x52_5454_5054_u64.to_be_bytes();
/// Made-up addresses: several times the size of the kernel's neighbour table.
const MADE_UP: u16 = 5000;
/// Addresses that one transport answers within a minute (SECURITY.md).
const ANSWERED: usize = 512;
/// How many of them it answers at once, and the rate after that.
const BURST: u64 = 256;
const EVERY: Duration = Duration::from_millis(250);

fn start(host: &Host, builder: ThunderboltTransportBuilder) -> Arc<ThunderboltTransport> {
    host.run(|| builder.build())
        .expect("a transport on thunderbolt0")
}

fn ping(token: u64) -> [u8; 16] {
    let mut ping = [0; 16];
    ping[..8].copy_from_slice(&PING);
    ping[8..].copy_from_slice(&token.to_be_bytes());
    ping
}

/// An address that no host has.
fn made_up(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xdead, 0, 0, n)
}

/// Sends a ping from a made-up address, on the attacking host.
fn ping_as(source: Ipv6Addr, index: u32, victim: &SocketAddrV6) {
    let from = SocketAddrV6::new(source, 0, 0, index);
    let socket = UdpSocket::bind(from).expect("ip_nonlocal_bind permits it");
    // A full buffer only loses this ping.
    let _ = socket.send_to(&ping(source.to_bits() as u64), victim);
}

fn bare(address: &str) -> Ipv6Addr {
    let bare = address.split('%').next().expect("an address");
    bare.parse().expect("IPv6")
}

/// The number of the kernel's entries for neighbours that do not answer.
fn made_up_neighbours(host: &Host) -> usize {
    let shown = host.ip(&["-6", "neigh", "show", "nud", "all", "dev", "thunderbolt0"]);
    shown
        .lines()
        .filter(|line| line.starts_with("fe80::dead:"))
        .count()
}

/// Creates a second network of `host`, with `neighbours` that answer each datagram.
fn second_network(host: &Host, far: &Host, neighbours: &[Ipv6Addr]) {
    let there = far.path();
    host.ip(&[
        "link", "add", "other0", "type", "veth", "peer", "name", "other0", "netns", &there,
    ]);
    for end in [host, far] {
        end.ip(&["link", "set", "other0", "up"]);
    }
    host.ip(&["address", "add", "fd00::1/64", "dev", "other0", "nodad"]);
    for address in neighbours {
        let address = format!("{address}/64");
        far.ip(&["address", "add", &address, "dev", "other0", "nodad"]);
    }
}

/// Ends the other threads of a test, even if it fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn echo(socket: &UdpSocket, done: &AtomicBool) {
    let pause = Some(Duration::from_millis(50));
    socket.set_read_timeout(pause).expect("a time limit");
    let mut buf = [0; 16];
    while !done.load(Ordering::Relaxed) {
        if let Ok((size, from)) = socket.recv_from(&mut buf) {
            let _ = socket.send_to(&buf[..size], from);
        }
    }
}

/// Whether a neighbour answers to one of a few datagrams.
fn reaches(neighbour: Ipv6Addr, port: u16) -> bool {
    let socket = UdpSocket::bind("[::]:0").expect("a socket");
    let limit = Some(Duration::from_millis(500));
    socket.set_read_timeout(limit).expect("a time limit");
    (0..4).any(|_| {
        socket.send_to(b"hello", (neighbour, port)).is_ok() && socket.recv(&mut [0; 16]).is_ok()
    })
}

#[test]
fn made_up_sources_do_not_fill_the_neighbour_table_or_lock_out_peers() {
    let cable = Cable::new();
    let other = Host::alone();
    let new: Vec<_> = (0x10..0x20)
        .map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n))
        .collect();
    second_network(cable.a(), &other, &new);
    let far = other.run(|| UdpSocket::bind("[::]:7000").expect("free"));
    let records = Arc::new(Mutex::new(Vec::new()));
    let logged = Arc::clone(&records);
    let builder = ThunderboltTransportBuilder::new().logger(move |level, text: &str| {
        if level >= LogLevel::Warn {
            logged.lock().unwrap().push(text.to_owned());
        }
    });
    let started = Instant::now();
    let a = start(cable.a(), builder);
    let b = start(cable.b(), ThunderboltTransportBuilder::new());
    let peer = cable.a().address();
    // From now on the peer is known.
    let known = || cable.b().run(|| b.round_trip(peer, Some(GENEROUS)));
    known().expect("the link is up");

    let victim = SocketAddrV6::new(bare(peer), 5000, 0, cable.index() + 1);
    cable
        .b()
        .run(|| fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1"))
        .expect("a host of our own");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| echo(&far, &done));
        // Repeats the same addresses up to twenty times, until the test ends.
        scope.spawn(|| {
            cable.b().run(|| {
                for n in (0..20).flat_map(|_| 0..MADE_UP) {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    ping_as(made_up(n), victim.scope_id(), &victim);
                }
            })
        });
        wait_until("the flood has begun", GENEROUS, || {
            let stats = a.get_stats();
            stats.pings_answered + stats.pings_limited > u64::from(MADE_UP)
        });
        let reached = |neighbour: &&Ipv6Addr| cable.a().run(|| reaches(**neighbour, 7000));
        let unreached: Vec<_> = new.iter().filter(|one| !reached(one)).collect();
        let answered = known();
        let neighbours = made_up_neighbours(cable.a());
        assert!(unreached.is_empty(), "cannot reach {unreached:?}");
        answered.expect("a known peer is answered");
        assert!(neighbours > 0 && neighbours <= ANSWERED, "{neighbours}");
    });
    let stats = a.get_stats();
    assert!(stats.pings_limited > 0);
    let more = started.elapsed().as_millis() / EVERY.as_millis();
    let most = BURST + u64::try_from(more).unwrap() + 2;
    // Answered addresses repeat, so count neighbour entries and not pings.
    let kept = made_up_neighbours(cable.a()) as u64;
    assert!(kept <= most, "{kept} of {most}");
    assert!(stats.pings_answered >= BURST.min(kept));
    let records = records.lock().unwrap();
    let about_it = |text: &&String| text.starts_with("did not answer a ping of [fe80::dead:");
    let told = records.iter().filter(about_it).count();
    assert!(told > 0 && told <= started.elapsed().as_secs() as usize + 1);
}

/// A mesh in which each peer pings once a second, and all begin at once.
#[test]
fn two_hundred_peers_are_all_answered() {
    const PEERS: u16 = 200;
    let cable = Cable::new();
    let a = start(cable.a(), ThunderboltTransportBuilder::new());
    let b = cable.b();
    let index = cable.index() + 1;
    let own: Vec<_> = (1..=PEERS)
        .map(|n| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n))
        .collect();
    for address in &own {
        let address = format!("{address}/64");
        b.ip(&["address", "add", &address, "dev", "thunderbolt0", "nodad"]);
    }
    let to = SocketAddrV6::new(bare(cable.a().address()), 5000, 0, index);
    let sockets: Vec<_> = b.run(|| {
        own.iter()
            .map(|own| UdpSocket::bind(SocketAddrV6::new(*own, 0, 0, index)).expect("our address"))
            .collect()
    });
    for round in 0..5 {
        for socket in &sockets {
            socket.send_to(&ping(round), to).expect("the link is up");
        }
        for socket in &sockets {
            socket.set_read_timeout(Some(GENEROUS)).unwrap();
            assert_eq!(socket.recv(&mut [0; 16]).expect("a pong"), 16);
        }
    }
    let stats = a.get_stats();
    let all = u64::from(PEERS) * 5;
    assert_eq!((stats.pings_answered, stats.pings_limited), (all, 0));
}

#[test]
fn programs_that_answer_every_sender_have_the_same_limit() {
    let cable = Cable::new();
    let a = start(cable.a(), ThunderboltTransportBuilder::new());
    let name = |n| format!("{}%thunderbolt0", made_up(n));
    let may = |n| {
        cable
            .a()
            .run(|| a.may_answer(&name(n)).expect("an address"))
    };
    let admitted = (0..600).filter(|n| may(*n)).count();
    assert!(
        (BURST as usize..=ANSWERED).contains(&admitted),
        "{admitted}"
    );
    assert!(may(0), "it was answered a moment ago");
    let error = cable.a().run(|| a.may_answer("nobody").unwrap_err());
    assert!(
        matches!(error, TransportError::InvalidAddress(_)),
        "{error}"
    );
}
