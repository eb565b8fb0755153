//! A malicious pusher that speaks the protocol by hand (docs/DCF-TB.md), and a malicious user of the pushing
//! machine.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use common::folders::{content, fast, slow, Folders, LONG};
use common::{tool, Tool};
use testkit::{wait_until, Cable, GENEROUS};
use thunderbolt_transport::{DataStream, ThunderboltTransportBuilder};

const FILE: u8 = 2;

/// Sends `bytes` after a greeting of the first version, and returns the whole answer.
fn answer(cable: &Cable, bytes: &[u8]) -> Vec<u8> {
    answer_to(cable, 0, bytes)
}

/// As [`answer`], after a greeting that offers extensions.
fn answer_to(cable: &Cable, offered: u8, bytes: &[u8]) -> Vec<u8> {
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

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

/// The announcement of one entry.
fn announced(kind: u8, path: &[u8], size: u64) -> Vec<u8> {
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
fn refused(answer: &[u8]) -> (u8, String) {
    assert_eq!(&answer[..10], b"DCFTBANS\x01\x01");
    assert_eq!(answer[16], 0x85, "{answer:?}");
    (
        answer[21],
        String::from_utf8(answer[22..].to_vec()).unwrap(),
    )
}

#[test]
fn names_that_lead_out_of_the_folder() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let outside = folders.at("evil");
    for name in [
        outside.as_bytes(),
        b"../evil",
        b"a/../../evil",
        b"..",
        b".",
        b"",
        b"a//b",
        b"evil\0",
        b".evil.dcf-part",
    ] {
        let (code, why) = refused(&answer(&cable, &announced(FILE, name, 4)));
        assert_eq!(code, 8, "{why}");
        assert!(why.contains("is refused"), "{why}");
    }
    for kind in [0, 3, 4, 0x80] {
        let (code, why) = refused(&answer(&cable, &announced(kind, b"device", 0)));
        assert_eq!(code, 8, "{why}");
    }
    assert_eq!(folders.names(""), ["in", "out"]);
}

#[test]
fn a_name_cannot_steer_the_receivers_terminal() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let (_, why) = refused(&answer(&cable, &announced(FILE, b"\x1b[2J/..", 4)));
    assert!(!why.contains('\x1b') && why.contains("\\u{1b}[2J"), "{why}");
    receiver.wait_err("\\u{1b}[2J");
    assert!(!receiver.err().contains('\x1b'));
}

#[test]
fn who_does_not_keep_to_the_protocol() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let twice = {
        let one = announced(FILE, b"a", 4);
        let entry = &one[..one.len() - 17];
        let sum = [&2_u32.to_be_bytes()[..], &8_u64.to_be_bytes()].concat();
        [entry, entry, &frame(2, &sum)].concat()
    };
    let wrong = [
        frame(99, b""),
        frame(1, b"\x02short"),
        frame(3, &[7; 16]),
        frame(4, &5_u32.to_be_bytes()),
        frame(2, &[&9_u32.to_be_bytes()[..], &[0; 8]].concat()),
        [&[1_u8][..], &u32::MAX.to_be_bytes()].concat(),
        announced(FILE, b"huge", u64::MAX),
        twice,
    ];
    for bytes in &wrong {
        let (code, why) = refused(&answer(&cable, bytes));
        assert_eq!(code, 4, "{why}");
        assert!(why.contains("violated the protocol"), "{why}");
    }
    assert!(folders.names("in").is_empty());
    // The answer to the greeting, the plan and "ready"; then a message that is not allowed.
    for bytes in [
        frame(4, &7_u32.to_be_bytes()),
        [frame(4, &[0; 4]), frame(4, &[0; 4])].concat(),
        [
            frame(4, &[0; 4]),
            frame(6, &[&5_u64.to_be_bytes()[..], &[0; 16]].concat()),
        ]
        .concat(),
    ] {
        let bytes = [announced(FILE, b"a", 4), bytes].concat();
        let all = answer(&cable, &bytes);
        let said = String::from_utf8_lossy(&all);
        assert!(said.contains("violated the protocol"), "{said:?}");
    }
    // A wrong checksum is no violation of the protocol; the file is refused.
    let data = [&4_u64.to_be_bytes()[..], &[0; 16]].concat();
    let damaged = [
        announced(FILE, b"a", 4),
        frame(4, &[0; 4]),
        frame(6, &data),
        b"abcd".to_vec(),
        frame(8, b""),
    ];
    let all = answer(&cable, &damaged.concat());
    let said = String::from_utf8_lossy(&all);
    assert!(said.contains("wrong checksum at offset 0"), "{said:?}");
    assert!(folders.names("in").is_empty());
    receiver.wait_err("is missing");
}

#[test]
fn a_link_that_is_swapped_in_after_the_walk_is_not_followed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for name in ["secret", "out/d/swapped"] {
        folders.write(&format!("{name}/file"), "of root's");
    }
    folders.write("out/d/file", "another");
    let large = folders.write("out/large", content(48 << 20));
    let _receiver = folders.receive(cable.b(), &[]);
    // While another push is in progress, this one has walked its folder and waits.
    slow(cable.a());
    let to = cable.b().address();
    let first = Tool::start(tool(cable.a(), &["push", &large, to]));
    wait_until("some of it arrives", LONG, || folders.arrived("large") > 0);
    let folder = folders.at("out/d");
    let mut pusher = Tool::start(tool(cable.a(), &["push", &folder, to]));
    pusher.wait_err("the receiver is busy with another push");
    fs::rename(folders.at("out/d/swapped"), folders.at("out/was")).unwrap();
    symlink(folders.at("secret"), folders.at("out/d/swapped")).unwrap();
    fs::remove_file(folders.at("out/d/file")).unwrap();
    symlink(folders.at("secret/file"), folders.at("out/d/file")).unwrap();
    fast(cable.a());
    first.end().with(0);
    let ended = pusher.end();
    for name in ["d/file", "d/swapped/file"] {
        let said = format!("{name}: cannot be read: it was replaced by a link");
        assert!(ended.err.contains(&said), "{}", ended.err);
    }
    ended.with(7);
    assert_eq!(folders.names("in"), ["d", "d/swapped", "large"]);
}

/// One entry in the extended format, without the fields of its kind.
fn extended(kind: u8, path: &[u8], size: u64) -> Vec<u8> {
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

fn link(path: &[u8], target: &[u8]) -> Vec<u8> {
    let length = u16::try_from(target.len()).unwrap().to_be_bytes();
    [&extended(3, path, 0)[..], &length, target].concat()
}

/// An announcement of these entries, with `size` bytes in total.
fn all_of(entries: &[Vec<u8>], size: u64) -> Vec<u8> {
    let count = u32::try_from(entries.len()).unwrap();
    let sum = [&count.to_be_bytes()[..], &size.to_be_bytes()].concat();
    [frame(9, &entries.concat()), frame(2, &sum)].concat()
}

const LINKS: u8 = 1;
const HOLES: u8 = 2;
const HARD_LINKS: u8 = 4;

#[test]
fn links_that_lead_out_of_the_folder_or_may() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("secret", "secret");
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let folder = |path: &[u8]| extended(1, path, 0);
    let outside = folders.at("secret");
    for (entries, why) in [
        (vec![link(b"l", outside.as_bytes())], "is absolute"),
        (vec![link(b"l", b"../secret")], "leads out"),
        (vec![link(b"l", b"..")], "leads out"),
        (vec![link(b"l", b"./../secret")], "leads out"),
        (
            vec![folder(b"d"), link(b"d/l", b"../../secret")],
            "leads out",
        ),
        (
            vec![folder(b"d"), link(b"l", b"d/../../secret")],
            "leads out",
        ),
        // By its text it stays within; through the other link it does not.
        (
            vec![
                folder(b"d"),
                folder(b"d/e"),
                link(b"d/e/up", b"../.."),
                link(b"l", b"d/e/up/../secret"),
            ],
            "after a name that is not a folder",
        ),
        // The folder that would make `..` harmless is not part of this push.
        (
            vec![link(b"l", b"d/../x")],
            "after a name that is not a folder",
        ),
        (vec![link(b"l", b"")], "is empty"),
        (vec![link(b"l", b"a\0b")], "NUL byte"),
        (vec![link(b"l", &[b'x'; 4096])], "too long"),
        (vec![link(b"../l", b"x")], "is refused"),
        (vec![link(b".x.dcf-part", b"x")], "is refused"),
        (vec![extended(7, b"device", 0)], "kind 7"),
    ] {
        let bytes = all_of(&entries, 0);
        let (code, said) = refused_with(LINKS, &answer_to(&cable, 0xff, &bytes));
        assert_eq!(code, 8, "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(folders.names(""), ["in", "out", "secret"]);
}

/// As [`refused`], where such extensions were granted of all.
#[track_caller]
fn refused_with(granted: u8, answer: &[u8]) -> (u8, String) {
    assert_eq!(answer[10] & granted, granted);
    refused(answer)
}

#[test]
fn links_that_do_not_keep_to_the_protocol() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let one = link(b"l", b"x");
    for (offered, bytes) in [
        // Extensions that were not offered are not accepted.
        (0, all_of(std::slice::from_ref(&one), 0)),
        (0x80, all_of(std::slice::from_ref(&one), 0)),
        (LINKS, frame(9, &one[..one.len() - 1])),
        (LINKS, all_of(std::slice::from_ref(&one), 5)),
        (LINKS, all_of(&[link(b"l", b"x"), link(b"l", b"y")], 0)),
        (
            LINKS,
            all_of(&[[&extended(3, b"l", 9)[..], &[0, 1, b'x']].concat()], 9),
        ),
    ] {
        let (code, why) = refused(&answer_to(&cable, offered, &bytes));
        assert_eq!(code, 4, "{why}");
    }
    // An entry of version 1 cannot be a link; a link has no content, and is created once.
    let (code, why) = refused(&answer_to(&cable, LINKS, &announced(3, b"l", 0)));
    assert_eq!(code, 8, "{why}");
    for bytes in [
        [
            frame(4, &[0; 4]),
            frame(6, &[&1_u64.to_be_bytes()[..], &[0; 16]].concat()),
        ]
        .concat(),
        [frame(4, &[0; 4]), frame(5, &[0; 8])].concat(),
        [frame(4, &[0; 4]), frame(4, &[0; 4])].concat(),
    ] {
        let bytes = [all_of(std::slice::from_ref(&one), 0), bytes].concat();
        let said = answer_to(&cable, LINKS, &bytes);
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("violated the protocol"), "{said:?}");
        assert_eq!(folders.names("in"), ["l"]);
        fs::remove_file(folders.at("in/l")).unwrap();
    }
}

#[test]
fn nothing_is_created_through_a_link_of_the_same_push() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("in/target/own", "own");
    let mut receiver = folders.receive(cable.b(), &[]);
    // The link first, then a file that would go through it.
    let file = |path: &[u8]| extended(FILE, path, 0);
    let bytes = [
        all_of(&[link(b"l", b"target"), file(b"l/own"), file(b"l/new")], 0),
        frame(4, &0_u32.to_be_bytes()),
        frame(4, &2_u32.to_be_bytes()),
        frame(8, b""),
    ];
    answer_to(&cable, LINKS, &bytes.concat());
    receiver.wait_err("a component of its path is a link or a file, not a folder");
    assert_eq!(folders.read("in/target/own"), b"own");
    assert_eq!(folders.names("in/target"), ["own"]);
    // A folder does not replace a link, nor a link a folder.
    for entry in [extended(1, b"l", 0), link(b"target", b"l")] {
        let said = answer_to(&cable, LINKS, &all_of(&[entry], 0));
        // The result of the entry, with its exit code.
        assert_eq!((said[16], said[25]), (0x84, 5), "{said:?}");
    }
    assert_eq!(folders.names("in"), ["l", "target", "target/own"]);
}

const PIECE: u64 = 4 << 20;

/// The announcement of a sparse file.
fn sparse(path: &[u8], size: u64, data: u64) -> Vec<u8> {
    [&extended(FILE, path, size)[..], &data.to_be_bytes()].concat()
}

fn hole(length: u64) -> Vec<u8> {
    frame(10, &length.to_be_bytes())
}

/// The message of a piece with these extents, without its data.
fn extents(length: u64, sum: [u8; 16], extents: &[(u32, u32)]) -> Vec<u8> {
    let mut payload = [&length.to_be_bytes()[..], &sum].concat();
    for (offset, length) in extents {
        payload.extend(offset.to_be_bytes());
        payload.extend(length.to_be_bytes());
    }
    frame(11, &payload)
}

#[test]
fn holes_that_do_not_keep_to_the_protocol() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let size = 3 * PIECE + 5;
    let file = all_of(&[sparse(b"f", size, 4096)], size);
    let begin = [file.clone(), frame(4, &[0; 4])].concat();
    let many: Vec<(u32, u32)> = (0..4097).map(|number| (number * 2, 1)).collect();
    let says = |bytes: &[u8]| {
        let all = answer_to(&cable, HOLES, bytes);
        String::from_utf8_lossy(&all).into_owned()
    };
    for wrong in [
        hole(0),
        hole(1),
        hole(PIECE + 1),
        hole(4 * PIECE),
        hole(size + 1),
        hole(u64::MAX),
        [hole(PIECE), hole(u64::MAX)].concat(),
        [hole(2 * PIECE), hole(2 * PIECE)].concat(),
        frame(10, &[0; 7]),
        extents(0, [0; 16], &[(0, 1)]),
        extents(PIECE, [0; 16], &[]),
        extents(PIECE, [0; 16], &[(0, 0)]),
        extents(PIECE, [0; 16], &[(4 << 20, 1)]),
        extents(PIECE, [0; 16], &[(0, u32::MAX)]),
        extents(PIECE, [0; 16], &[(u32::MAX, u32::MAX)]),
        extents(PIECE, [0; 16], &[(0, 10), (9, 10)]),
        extents(PIECE, [0; 16], &[(10, 1), (0, 1)]),
        extents(PIECE, [0; 16], &many),
        extents(5, [0; 16], &[(0, 5)]),
        extents(PIECE + 1, [0; 16], &[(0, 5)]),
        [hole(3 * PIECE), extents(6, [0; 16], &[(0, 5)])].concat(),
        frame(11, &[0; 30]),
    ] {
        let said = says(&[&begin[..], &wrong].concat());
        assert!(
            said.contains("violated the protocol"),
            "{wrong:?}: {said:?}"
        );
    }
    // Out of turn, not offered, more data than the size.
    assert!(says(&hole(PIECE)).contains("violated the protocol"));
    assert!(says(&[&file[..], &hole(PIECE)].concat()).contains("violated the protocol"));
    for (offered, bytes) in [
        (HOLES, all_of(&[sparse(b"f", 10, 11)], 10)),
        (HOLES, all_of(&[extended(FILE, b"f", 10)], 10)),
        // Without the extension, the field after the path is parsed as the next entry.
        (LINKS, file.clone()),
    ] {
        let (code, why) = refused(&answer_to(&cable, offered, &bytes));
        assert_eq!(code, if offered == HOLES { 4 } else { 8 }, "{why}");
    }
    let plain = all_of(&[extended(FILE, b"g", size)], size);
    let bytes = [plain, frame(4, &[0; 4]), hole(PIECE)].concat();
    let said = String::from_utf8_lossy(&answer_to(&cable, LINKS, &bytes)).into_owned();
    assert!(said.contains("violated the protocol"), "{said:?}");
    // The correct pieces are kept for the next push, but not under the file's name.
    assert!(folders
        .names("in")
        .iter()
        .all(|name| name.ends_with(".dcf-part")));
}

#[test]
fn a_sparse_piece_is_checked_with_its_holes() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let size = 2 * PIECE;
    let bytes = [
        all_of(&[sparse(b"f", size, 4)], size),
        frame(4, &[0; 4]),
        hole(PIECE),
        extents(PIECE, [9; 16], &[(100, 4)]),
        b"data".to_vec(),
        frame(8, b""),
    ];
    let said = answer_to(&cable, HOLES, &bytes.concat());
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("wrong checksum at offset 4194304"),
        "{said:?}"
    );
    receiver.wait_err("is missing");
    assert_eq!(folders.names("in"), [".f.dcf-part"]);
    assert_eq!(folders.arrived("f"), PIECE);
    // Of an interrupted file only complete pieces are kept.
    let cut = [
        all_of(&[sparse(b"g", size, 8)], size),
        frame(4, &[0; 4]),
        hole(PIECE),
        extents(PIECE, [9; 16], &[(100, 4), (1 << 20, 4)]),
        b"data".to_vec(),
    ];
    answer_to(&cable, HOLES, &cut.concat());
    receiver.wait_err("kept in .g.dcf-part");
    assert_eq!(folders.arrived("g"), PIECE);
}

#[test]
fn holes_beyond_what_a_file_can_be() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let size = i64::MAX as u64;
    // Either the file system supports it, or the entry fails without any data written, and others continue.
    let bytes = [
        all_of(&[sparse(b"f", size, 0), sparse(b"g", 0, 0)], size),
        frame(4, &[0; 4]),
        hole(size),
        frame(4, &1_u32.to_be_bytes()),
        frame(8, b""),
    ];
    let said = answer_to(&cable, HOLES, &bytes.concat());
    assert_eq!(said[said.len() - 5], 0x86, "{said:?}");
    receiver.wait_err(" received from ");
    assert!(folders.names("in").contains(&"g".to_owned()));
    let (code, why) = refused_with(
        HOLES,
        &answer_to(
            &cable,
            HOLES,
            &all_of(&[sparse(b"h", size + 1, 0)], size + 1),
        ),
    );
    assert_eq!(code, 4, "{why}");
}

fn hard_link(path: &[u8], first: u32) -> Vec<u8> {
    [&extended(4, path, 0)[..], &first.to_be_bytes()].concat()
}

#[test]
fn hard_links_to_what_is_no_file_before_them() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let file = |path: &[u8]| extended(FILE, path, 0);
    for entries in [
        vec![hard_link(b"l", 0)],
        vec![hard_link(b"l", 1), file(b"f")],
        vec![file(b"f"), hard_link(b"l", 1)],
        vec![file(b"f"), hard_link(b"l", 2)],
        vec![file(b"f"), hard_link(b"l", u32::MAX)],
        vec![file(b"f"), hard_link(b"l", 0), hard_link(b"m", 1)],
        vec![extended(1, b"d", 0), hard_link(b"l", 0)],
        vec![link(b"s", b"f"), hard_link(b"l", 0)],
        vec![file(b"f"), hard_link(b"f", 0)],
        vec![file(b"f"), extended(4, b"l", 0)],
    ] {
        let bytes = all_of(&entries, 0);
        let (code, why) = refused(&answer_to(&cable, LINKS | HARD_LINKS, &bytes));
        assert_eq!(code, 4, "{why}");
    }
    let sized = [&extended(4, b"l", 7)[..], &[0; 4]].concat();
    let (code, why) = refused(&answer_to(
        &cable,
        HARD_LINKS,
        &all_of(&[file(b"f"), sized], 7),
    ));
    assert_eq!(code, 4, "{why}");
    for (offered, name) in [(HARD_LINKS, &b"../l"[..]), (LINKS, b"l"), (0x80, b"l")] {
        let bytes = all_of(&[file(b"f"), hard_link(name, 0)], 0);
        let (code, why) = refused(&answer_to(&cable, offered, &bytes));
        assert!(code == 8 || (offered == 0x80 && code == 4), "{why}");
    }
    assert!(folders.names("in").is_empty());
}

#[test]
fn a_hard_link_gives_no_name_to_what_the_push_did_not_bring() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = |path: &[u8], size: u64| extended(FILE, path, size);
    let receiver = folders.receive(cable.b(), &[]);
    folders.write("in/secret", "secret");
    let time = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let secret = fs::File::options()
        .write(true)
        .open(folders.at("in/secret"));
    secret.unwrap().set_times(time).unwrap();
    // Even with the correct size and time, the answer is the same as for any other.
    for size in [6, 7] {
        let bytes = all_of(&[file(b"secret", size), hard_link(b"l", 0)], size);
        let (code, why) = refused(&answer_to(&cable, HARD_LINKS, &bytes));
        assert!(
            code == 5 && why.starts_with("secret exists already"),
            "{why}"
        );
    }
    assert_eq!(folders.names("in"), ["secret"]);
    drop(receiver);

    // Linked before the file has arrived: the existing file of that name is not the push's.
    let mut receiver = folders.receive(cable.b(), &["--force"]);
    let bytes = [
        all_of(&[file(b"secret", 6), hard_link(b"l", 0)], 6),
        frame(4, &1_u32.to_be_bytes()),
        frame(8, b""),
    ];
    let said = answer_to(&cable, HARD_LINKS, &bytes.concat());
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("did not arrive"), "{said:?}");
    receiver.wait_err("are missing");
    assert_eq!(folders.names("in"), ["secret"]);
    assert_eq!(folders.read("in/secret"), b"secret");
}
