//! An attacker on the same link: it sends from the other host, at a bounded rate.

use std::io::Write;
use std::mem;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Undo;
use crate::testbed::Testbed;

const CONTROL_PORT: u16 = 5000;
const DATA_PORT: u16 = 5001;
/// Prefixes of a ping and of a pong.
const PING: &[u8] = b"\x00\x00\x00RTTPT";
const PONG: &[u8] = b"\x00\x00\x00RTTPS";
/// Pause between two datagrams, and between two connections.
const PACE: Duration = Duration::from_millis(2);
const CONNECTION_PACE: Duration = Duration::from_millis(50);
/// Source ports and addresses that the attacker uses: the library keeps an entry for each.
const STRANGERS: u16 = 64;
/// The first of the source ports.
const PORTS: u16 = 20_000;
/// Connections that are open at once, at most. More would use up `max_streams`, and the peer's
/// streams would be refused.
const CONNECTIONS: usize = 12;

/// Attacks one host until the fault ends.
pub fn attack(testbed: &mut Testbed, victim: usize, detail: u64) -> Result<Undo, String> {
    let address = testbed.host(victim).address();
    let stop = Arc::new(AtomicBool::new(false));
    let threads = [datagrams, connections].map(|work| {
        let (stop, rng) = (Arc::clone(&stop), Rng::with_seed(detail));
        testbed
            .host(1 - victim)
            .spawn(move || work(address, &stop, rng))
    });
    Ok(Box::new(move |_| {
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "an attacker panicked")?;
        }
        Ok(())
    }))
}

/// The victim's address with the current index of our interface, if that exists.
fn target(victim: &str, port: u16) -> Option<SocketAddrV6> {
    match (victim, port).to_socket_addrs().ok()?.next()? {
        SocketAddr::V6(address) => Some(address),
        SocketAddr::V4(_) => None,
    }
}

fn datagrams(victim: &str, stop: &AtomicBool, mut rng: Rng) {
    while !stop.load(Ordering::Relaxed) {
        if let Some(to) = target(victim, CONTROL_PORT) {
            let bytes = datagram(&mut rng);
            // The link may be down, which is another fault.
            let _ = match rng.u8(..4) {
                0 => send_from(spoofed(&mut rng), &bytes, to),
                _ => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORTS + rng.u16(..STRANGERS)))
                    .and_then(|socket| socket.send_to(&bytes, to)),
            };
        }
        thread::sleep(PACE);
    }
}

/// An almost valid datagram, or noise.
fn datagram(rng: &mut Rng) -> Vec<u8> {
    let mut random = |size: usize| -> Vec<u8> { (0..size).map(|_| rng.u8(..)).collect() };
    let token = random(8);
    match rng.u8(..6) {
        // A pong without a ping.
        0 => [PONG, &token].concat(),
        // A ping. The answer goes to a port where nothing listens.
        1 => [PING, &token].concat(),
        // A ping that is too short.
        2 => PING[..rng.usize(1..=PING.len())].to_vec(),
        3 => [PING, &token, &[0]].concat(),
        // Never a valid message of the soak.
        _ => {
            let size = rng.usize(..3000);
            [&[0xFF], &random_bytes(rng, size)[..]].concat()
        }
    }
}

fn random_bytes(rng: &mut Rng, size: usize) -> Vec<u8> {
    (0..size).map(|_| rng.u8(..)).collect()
}

/// An address that this host does not have: link-local, or global.
fn spoofed(rng: &mut Rng) -> Ipv6Addr {
    let network = if rng.bool() { 0xfe80 } else { 0x2001 };
    Ipv6Addr::new(network, 0, 0, 0, 0, 0, 0xbad, rng.u16(..STRANGERS))
}

fn send_from(source: Ipv6Addr, bytes: &[u8], to: SocketAddrV6) -> std::io::Result<usize> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_freebind_v6(true)?;
    let port = CONTROL_PORT + 1;
    socket.bind(&SockAddr::from(SocketAddrV6::new(
        source,
        port,
        0,
        to.scope_id(),
    )))?;
    socket.send_to(bytes, &SockAddr::from(to))
}

fn connections(victim: &str, stop: &AtomicBool, mut rng: Rng) {
    let mut silent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(stream) = connect(victim) {
            match rng.u8(..4) {
                // A connection that sends nothing.
                0 => silent.push(stream),
                // A connection that is reset before it is accepted.
                1 => reset(stream),
                // One byte, then a close.
                2 => {
                    let _ = (&stream).write_all(&[0]);
                }
                // Noise, then silence.
                _ => {
                    let noise = random_bytes(&mut rng, 3000);
                    let _ = (&stream).write_all(&noise);
                    silent.push(stream);
                }
            }
        }
        if silent.len() > CONNECTIONS {
            mem::take(&mut silent).into_iter().for_each(reset);
        }
        thread::sleep(CONNECTION_PACE);
    }
}

fn connect(victim: &str) -> Option<TcpStream> {
    let to = target(victim, DATA_PORT)?;
    TcpStream::connect_timeout(&to.into(), Duration::from_secs(1)).ok()
}

fn reset(stream: TcpStream) {
    let _ = Socket::from(stream).set_linger(Some(Duration::ZERO));
}
