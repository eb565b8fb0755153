//! Receivers that implement the protocol of docs/DCF-TB.md themselves, and violate it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::folders::{push, Folders};
use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{DataStream, ThunderboltTransport, ThunderboltTransportBuilder};

const DONE: [u8; 5] = [0x86, 0, 0, 0, 0];

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

fn result(index: u32, code: u8) -> Vec<u8> {
    frame(0x84, &[&index.to_be_bytes()[..], &[code], b"why"].concat())
}

/// A plan that wants the content of some entries.
fn plan(wanted: &[u8]) -> Vec<u8> {
    let wants = wanted.iter().map(|want| [&[*want][..], &[0; 8]].concat());
    let wants: Vec<u8> = wants.flatten().collect();
    frame(0x81, &[&[0; 4][..], &wants].concat())
}

/// Sends these frames at the beginning and at the end of a push.
struct Script {
    first: Vec<u8>,
    last: Vec<u8>,
}

fn read(stream: &DataStream, buf: &mut [u8]) -> bool {
    let mut have = 0;
    while have < buf.len() {
        match stream.read_timeout(&mut buf[have..], Some(GENEROUS)) {
            Ok(count @ 1..) => have += count,
            _ => return false,
        }
    }
    true
}

fn write(stream: &DataStream, bytes: &[u8]) {
    // The pusher may have closed the stream.
    let _ = stream.write_timeout(bytes, Some(Duration::from_secs(10)));
}

fn serve(stream: &DataStream, script: &Script) {
    let mut greeting = [0; 16];
    assert!(read(stream, &mut greeting));
    write(stream, &[&b"DCFTBANS"[..], &[1, 1], &[0; 6]].concat());
    let mut head = [0; 5];
    while read(stream, &mut head) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut payload = vec![0; length as usize];
        if !read(stream, &mut payload) {
            return;
        }
        match head[0] {
            2 => write(stream, &script.first),
            6 => {
                let length = u64::from_be_bytes(payload[..8].try_into().unwrap());
                if !read(stream, &mut vec![0; length as usize]) {
                    return;
                }
            }
            8 => write(stream, &script.last),
            _ => {}
        }
    }
}

fn receiver(cable: &Cable, script: Script) -> Arc<ThunderboltTransport> {
    cable.b().run(|| {
        ThunderboltTransportBuilder::new()
            .interface("thunderbolt0")
            .on_stream(move |stream| serve(&stream, &script))
            .build()
            .unwrap()
    })
}

#[test]
fn each_file_must_have_exactly_one_result() {
    let ready = frame(0x82, &[7; 16]);
    // d, d/a and d/b.
    let both = [plan(&[0, 1, 1]), ready.clone()].concat();
    let first = [plan(&[0, 1, 0]), ready.clone()].concat();
    let well = [result(1, 0), result(2, 0)].concat();
    let cases = [
        (both.clone(), well.clone(), 0, "2 files pushed"),
        // A plan of no entries says that the plan is being made.
        (
            [plan(&[]), plan(&[]), both.clone()].concat(),
            well.clone(),
            0,
            "2 files pushed",
        ),
        (both.clone(), vec![], 7, "sent no result of d/a and 1 more"),
        (both.clone(), result(1, 0), 7, "sent no result of d/b"),
        (
            both.clone(),
            [&well[..], &result(1, 0)].concat(),
            4,
            "d/a: a second result",
        ),
        (both.clone(), result(9, 0), 4, "a result of an unknown file"),
        (
            both.clone(),
            [&well[..], &result(0, 0)].concat(),
            4,
            "d: a result of a file that was not sent",
        ),
        (
            both.clone(),
            [&well[..], &result(0, 1)].concat(),
            1,
            "2 files pushed",
        ),
        (
            both.clone(),
            [result(1, 0), result(2, 6)].concat(),
            6,
            "1 failed",
        ),
        (
            both.clone(),
            [result(1, 0), result(2, 200)].concat(),
            1,
            "1 failed",
        ),
        (first.clone(), result(1, 0), 0, "1 existed already"),
        (
            first.clone(),
            well.clone(),
            4,
            "d/b: a result of a file that was not sent",
        ),
        ([result(2, 5), first].concat(), result(1, 0), 5, "1 failed"),
        (
            [result(2, 5), both].concat(),
            result(1, 0),
            4,
            "a request for a file that was refused",
        ),
        (
            ready,
            vec![],
            4,
            "a plan that does not match the announcement",
        ),
    ];
    let (cable, folders) = (Cable::new(), Folders::new());
    for name in ["a", "b"] {
        folders.write(&format!("out/d/{name}"), "content");
    }
    for (first, last, code, words) in cases {
        let last = [&last[..], &DONE].concat();
        let receiver = receiver(&cable, Script { first, last });
        let pushed = push(cable.a(), &[&folders.at("out/d"), cable.b().address()]);
        let said = format!("{}{}", pushed.out, pushed.err);
        assert!(said.contains(words), "{words}: {said}");
        pushed.with(code);
        receiver.close();
    }
}
