//! listen with untrusted peers: idle streams use little memory, and lines are rate-limited.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddrV6, TcpStream};

use common::{tool, Tool};
use nix::net::if_::if_nametoindex;
use testkit::{wait_until, Cable, Facts, GENEROUS};

/// The greeting of the tool: "DCFTBASK", a version, a service.
fn greeting(service: u8) -> [u8; 16] {
    let mut bytes = *b"DCFTBASK\x01\0\0\0\0\0\0\0";
    bytes[9] = service;
    bytes
}

const SINK: u8 = 3;
const SOURCE: u8 = 4;
/// No greeting at all.
const OTHER: u8 = 0xff;

/// Streams from host A to the listener on host B.
fn streams(cable: &Cable, count: usize) -> Vec<TcpStream> {
    cable.a().run(|| {
        let index = if_nametoindex("thunderbolt0").unwrap();
        let ip = cable.b().address().split('%').next().unwrap();
        let to = SocketAddrV6::new(ip.parse().unwrap(), 5001, 0, index);
        (0..count)
            .map(|_| TcpStream::connect(to).unwrap())
            .collect()
    })
}

fn listener(cable: &Cable, arguments: &[&str]) -> Tool {
    let mut listener = Tool::start(tool(cable.b(), &[&["listen"], arguments].concat()));
    listener.wait_err("listening on thunderbolt0");
    listener
}

#[test]
fn idle_streams_cost_little() {
    const STREAMS: usize = 300;
    let cable = Cable::new();
    let listener = listener(&cable, &[]);
    let mut streams = streams(&cable, STREAMS);
    let before = Facts::of(listener.id()).anonymous;
    // A third each: benchmarks in both directions, and streams of the user.
    for (third, service) in [SINK, SOURCE, OTHER].into_iter().enumerate() {
        for stream in streams.iter_mut().skip(third).step_by(3) {
            match service {
                OTHER => stream.write_all(b"something else").unwrap(),
                _ => {
                    stream.write_all(&greeting(service)).unwrap();
                    let mut answer = [0; 16];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!((&answer[..8], answer[9]), (&b"DCFTBANS"[..], 1));
                }
            }
        }
    }
    // They were busy once.
    for stream in streams.iter_mut().step_by(3) {
        stream.write_all(&vec![7; 300 << 10]).unwrap();
    }
    let most = (STREAMS * (48 << 10)) as u64 + (4 << 20);
    wait_until("the memory is given back", GENEROUS, || {
        Facts::of(listener.id()).anonymous.saturating_sub(before) < most
    });
    assert!(Facts::of(listener.id()).threads.len() > STREAMS);
}

#[test]
fn many_streams_do_not_flood_the_terminal() {
    const STREAMS: usize = 300;
    let cable = Cable::new();
    let mut listener = listener(&cable, &[]);
    for stream in streams(&cable, STREAMS) {
        (&stream).write_all(b"x").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = (&stream).read_to_end(&mut Vec::new());
    }
    listener.wait_err(": 1 byte in");
    // A later line gives the number of suppressed ones.
    wait_until("suppressed lines are counted", GENEROUS, || {
        let stream = &streams(&cable, 1)[0];
        (&*stream).write_all(b"x").unwrap();
        listener.err().contains("were suppressed")
    });
    assert!(listener.err().lines().count() < STREAMS);
}
