//! A pusher that implements the protocol of docs/DCF-TB.md itself.

use std::time::Duration;

use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{DataStream, ThunderboltTransportBuilder};

pub const FILE: u8 = 2;

pub const LINKS: u8 = 1;
pub const HOLES: u8 = 2;
pub const HARD_LINKS: u8 = 4;
pub const MODES: u8 = 8;

/// Sends `bytes` after a greeting of the first version, and returns the whole answer.
pub fn answer(cable: &Cable, bytes: &[u8]) -> Vec<u8> {
    answer_to(cable, 0, bytes)
}

/// As [`answer`], after a greeting that offers extensions.
pub fn answer_to(cable: &Cable, offered: u8, bytes: &[u8]) -> Vec<u8> {
    cable.a().run(|| {
        let transport = ThunderboltTransportBuilder::new()
            .interface("thunderbolt0")
            .control_port(0)
            .data_port(0)
            .build()
            .unwrap();
        let to = format!("[{}]:5001", cable.b().address());
        let stream = transport.open_data_stream(&to).unwrap();
        let greeting = [&b"DCFTBASK"[..], &[1, 1, offered], &[0; 5]].concat();
        write(&stream, &greeting);
        write(&stream, bytes);
        stream.finish().unwrap();
        let mut all = Vec::new();
        let mut buf = [0; 4096];
        loop {
            match stream.read_timeout(&mut buf, Some(GENEROUS)) {
                Ok(0) => break,
                Ok(count) => all.extend(&buf[..count]),
                Err(error) => panic!("{error} after {all:?}"),
            }
        }
        all
    })
}

fn write(stream: &DataStream, bytes: &[u8]) {
    stream
        .write_timeout(bytes, Some(Duration::from_secs(10)))
        .outcome
        .unwrap();
}

pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

/// The announcement of one entry.
pub fn announced(kind: u8, path: &[u8], size: u64) -> Vec<u8> {
    let length = u16::try_from(path.len()).unwrap().to_be_bytes();
    let entry = [
        &[kind][..],
        &0o644_u16.to_be_bytes(),
        &1_700_000_000_i64.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &size.to_be_bytes(),
        &length,
        path,
    ]
    .concat();
    let sum = [&1_u32.to_be_bytes()[..], &size.to_be_bytes()].concat();
    [frame(1, &entry), frame(2, &sum)].concat()
}

/// The exit code and the reason of a refusal, which is the whole answer after the greeting's.
#[track_caller]
pub fn refused(answer: &[u8]) -> (u8, String) {
    assert_eq!(&answer[..10], b"DCFTBANS\x01\x01");
    assert_eq!(answer[16], 0x85, "{answer:?}");
    (
        answer[21],
        String::from_utf8(answer[22..].to_vec()).unwrap(),
    )
}

/// As [`refused`], where such extensions were granted of all.
#[track_caller]
pub fn refused_with(granted: u8, answer: &[u8]) -> (u8, String) {
    assert_eq!(answer[10] & granted, granted);
    refused(answer)
}

/// One entry in the extended format, without the fields of its kind.
pub fn extended(kind: u8, path: &[u8], size: u64) -> Vec<u8> {
    let length = u16::try_from(path.len()).unwrap().to_be_bytes();
    [
        &[kind][..],
        &0o755_u16.to_be_bytes(),
        &1_700_000_000_i64.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &size.to_be_bytes(),
        &length,
        path,
    ]
    .concat()
}

pub fn link(path: &[u8], target: &[u8]) -> Vec<u8> {
    let length = u16::try_from(target.len()).unwrap().to_be_bytes();
    [&extended(3, path, 0)[..], &length, target].concat()
}

pub fn hard_link(path: &[u8], first: u32) -> Vec<u8> {
    [&extended(4, path, 0)[..], &first.to_be_bytes()].concat()
}

/// An announcement of these entries, with `size` bytes in total.
pub fn all_of(entries: &[Vec<u8>], size: u64) -> Vec<u8> {
    let count = u32::try_from(entries.len()).unwrap();
    let sum = [&count.to_be_bytes()[..], &size.to_be_bytes()].concat();
    [frame(9, &entries.concat()), frame(2, &sum)].concat()
}
