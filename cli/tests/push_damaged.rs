//! Content that is damaged in transit, and unfinished files that another push left.

mod common;

use std::fs;

use common::folders::{content, fast, push, Folders};
use common::pusher::{announced, answer, frame, FILE};
use testkit::{wait_until, Cable, GENEROUS};
use xxhash_rust::xxh3::xxh3_128;

/// The size of a piece.
const PIECE: usize = 4 << 20;
/// Larger pieces pass through the kernel alone, and are read back to be checked.
const SMALL: usize = 256 << 10;

/// The messages of a push of one file. The byte at `damaged` is not the one that the checksum is of.
fn pushed(data: &[u8], damaged: Option<usize>) -> Vec<u8> {
    let size = data.len() as u64;
    let mut bytes = [announced(FILE, b"f", size), frame(4, &[0; 4])].concat();
    for (number, piece) in data.chunks(PIECE).enumerate() {
        let length = piece.len() as u64;
        let sum = xxh3_128(piece).to_be_bytes();
        bytes.extend(frame(6, &[&length.to_be_bytes()[..], &sum].concat()));
        let start = bytes.len();
        bytes.extend(piece);
        let at = damaged.and_then(|at| at.checked_sub(number * PIECE));
        if let Some(at) = at.filter(|at| *at < piece.len()) {
            bytes[start + at] ^= 1;
        }
    }
    bytes.extend(frame(8, b""));
    bytes
}

/// What the receiver says to a push. It may still be ending the previous one.
fn said(cable: &Cable, bytes: &[u8]) -> String {
    let mut said = String::new();
    wait_until("the receiver is free", GENEROUS, || {
        said = String::from_utf8_lossy(&answer(cable, bytes)).into_owned();
        !said.contains("another push is in progress")
    });
    said
}

#[test]
fn one_wrong_bit_is_noticed_in_a_piece_of_every_size() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    for size in [
        1,
        4,
        SMALL - 1,
        SMALL,
        SMALL + 1,
        1 << 20,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        2 * PIECE + SMALL + 1,
        3 * PIECE,
    ] {
        let data = content(size);
        for damaged in [0, size / 2, size - 1] {
            let said = said(&cable, &pushed(&data, Some(damaged)));
            let first = damaged / PIECE * PIECE;
            assert!(
                said.contains(&format!("wrong checksum at offset {first}:")),
                "byte {damaged} of {size}: {said:?}"
            );
            assert!(!folders.names("in").contains(&"f".to_owned()));
            // The pieces before the damaged one are kept.
            let _ = fs::remove_file(folders.at("in/.f.dcf-part"));
        }
        let said = said(&cable, &pushed(&data, None));
        assert!(
            folders.names("in").contains(&"f".to_owned()),
            "{size} bytes: {said:?}"
        );
        assert!(folders.read("in/f") == data, "{size} bytes");
        fs::remove_file(folders.at("in/f")).unwrap();
    }
}

/// The second push has another file of the same name. Nothing of the unfinished one may be in it.
#[test]
fn an_unfinished_file_of_another_push_leaves_nothing_behind() {
    const LONG: usize = 48 << 20;
    let long = content(LONG);
    let begins_the_same = |size: usize| long[..size].to_vec();
    for (what, new) in [
        ("empty", Vec::new()),
        ("a byte", vec![7]),
        ("shorter than a piece", content(100_000)),
        ("shorter than what is kept", content(PIECE + 1)),
        ("the beginning of the old one", begins_the_same(PIECE + 5)),
        ("whole pieces of the old one", begins_the_same(2 * PIECE)),
        (
            "as long",
            content(LONG - 8).into_iter().chain([1; 8]).collect(),
        ),
    ] {
        let (cable, folders) = (Cable::new(), Folders::new());
        let mut receiver = folders.receive(cable.b(), &[]);
        let pusher = folders.push_slowly(&cable, LONG, &[cable.b().address()]);
        pusher.interrupt();
        pusher.end().with(130);
        receiver.wait_err("push it again to resume");
        let kept = fs::metadata(folders.at("in/.file.dcf-part")).unwrap().len();
        assert!(kept >= 2 * PIECE as u64, "{kept}");
        fast(cable.a());
        let file = folders.write("out/file", &new);
        push(cable.a(), &[&file]).with(0);
        assert!(folders.read("in/file") == new, "{what}");
        assert_eq!(folders.names("in"), ["file"], "{what}");
    }
}
