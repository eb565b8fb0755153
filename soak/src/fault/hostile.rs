//! Somebody on the same link who means no good: from the other host, at a bounded rate.

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
use crate::stage::Stage;

const CONTROL_PORT: u16 = 5000;
const DATA_PORT: u16 = 5001;
/// The beginnings of a ping and of a pong.
const PING: &[u8] = b"\x00\x00\x00RTTPT";
const PONG: &[u8] = b"\x00\x00\x00RTTPS";
/// Between two datagrams, and between two connections.
const PACE: Duration = Duration::from_millis(2);
const CONNECTION_PACE: Duration = Duration::from_millis(50);
/// Strangers at most, of each kind: the library remembers those that it has heard of.
const STRANGERS: u16 = 64;
/// The first of their ports.
const PORTS: u16 = 20_000;
/// Connections that are open at once at most: an attack is to be survived, not to be let in.
const CONNECTIONS: usize = 12;

/// Attacks one host until the fault ends.
pub fn attack(stage: &mut Stage, victim: usize, detail: u64) -> Result<Undo, String> {
    let address = stage.host(victim).address();
    let stop = Arc::new(AtomicBool::new(false));
    let threads = [datagrams, connections].map(|work| {
        let (stop, rng) = (Arc::clone(&stop), Rng::with_seed(detail));
        stage
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

/// The victim as this host reaches it at the moment; the interface may be gone.
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
            // The link may be down: nothing to do about it here.
            let _ = match rng.u8(..4) {
                0 => send_from(spoofed(&mut rng), &bytes, to),
                _ => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORTS + rng.u16(..STRANGERS)))
                    .and_then(|socket| socket.send_to(&bytes, to)),
            };
        }
        thread::sleep(PACE);
    }
}

/// Something that looks nearly as if it were meant, or not at all.
fn datagram(rng: &mut Rng) -> Vec<u8> {
    let mut random = |size: usize| -> Vec<u8> { (0..size).map(|_| rng.u8(..)).collect() };
    let token = random(8);
    match rng.u8(..6) {
        // A pong that nobody waits for.
        0 => [PONG, &token].concat(),
        // A ping that is answered, to a port where nobody is.
        1 => [PING, &token].concat(),
        // Too short, or too long, for what it begins as.
        2 => PING[..rng.usize(1..=PING.len())].to_vec(),
        3 => [PING, &token, &[0]].concat(),
        // Never what one of ours would be.
        _ => {
            let size = rng.usize(..3000);
            [&[0xFF], &random_bytes(rng, size)[..]].concat()
        }
    }
}

fn random_bytes(rng: &mut Rng, size: usize) -> Vec<u8> {
    (0..size).map(|_| rng.u8(..)).collect()
}

/// An address that this host does not have: another one on the link, or one from far away.
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
                // Says nothing.
                0 => silent.push(stream),
                // Is gone before anybody looked at it.
                1 => reset(stream),
                // One byte, and gone.
                2 => {
                    let _ = (&stream).write_all(&[0]);
                }
                // Noise, and then nothing.
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
