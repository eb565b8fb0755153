//! Peers that open streams and do not use them, or send far too much: real pushers are served.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream};

use common::folders::{push, Folders};
use testkit::{Cable, GENEROUS};

const GREETING: [u8; 16] = *b"DCFTBASK\x01\x01\0\0\0\0\0\0";

/// A stream to the receiver, on which `bytes` were sent.
fn stream(cable: &Cable, bytes: &[u8]) -> TcpStream {
    cable.a().run(|| {
        let ip: Ipv6Addr = cable
            .b()
            .address()
            .split('%')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let to = SocketAddrV6::new(ip, 5001, 0, cable.index());
        let mut stream = TcpStream::connect_timeout(&to.into(), GENEROUS).unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    })
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

#[test]
fn silent_and_half_open_streams_do_not_block_other_peers() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let half_frame = [&GREETING[..], &frame(1, &[0; 100])[..50]].concat();
    let busy = [&GREETING[..], &frame(1, b"")].concat();
    let openings = [
        &b""[..],
        b"D",
        &GREETING[..15],
        &GREETING,
        &half_frame,
        &busy,
    ];
    for (number, opening) in openings.iter().enumerate() {
        let crowd: Vec<TcpStream> = (0..100).map(|_| stream(&cable, opening)).collect();
        let name = format!("out/{number}");
        let path = folders.write(&name, name.as_bytes());
        if *opening == busy {
            // One of them has started a push, which may be slow; the others were refused as busy.
            drop(crowd);
        }
        push(cable.a(), &[&path, cable.b().address()]).with(0);
        assert_eq!(folders.read(&format!("in/{number}")), name.as_bytes());
    }
}

#[test]
fn log_lines_about_peers_are_limited() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    // A name of 60,000 hidden characters, which is refused with a short text.
    let name = vec![0x1b; 60_000];
    let entry = [&[2, 0, 0][..], &[0; 20], &60_000_u16.to_be_bytes(), &name].concat();
    let push_of_it = [&GREETING[..], &frame(1, &entry)].concat();
    for _ in 0..60 {
        let mut stream = stream(&cable, &push_of_it);
        let mut answer = vec![0; 17];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[16], 0x85, "refused");
    }
    let path = folders.write("out/file", "content");
    push(cable.a(), &[&path]).with(0);
    let said = receiver.err();
    assert!(said.contains("the name"), "{said}");
    let longest = said.lines().map(str::len).max();
    assert!(longest < Some(1000), "{longest:?}");
}
