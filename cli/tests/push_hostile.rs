//! A malicious pusher, and a malicious user of the pushing machine.

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::folders::{content, fast, slow, Folders, LONG};
use common::pusher::{announced, answer, answer_to, frame, refused, FILE, MODES};
use common::{tool, Tool};
use testkit::{wait_until, Cable};

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
fn a_name_is_escaped_on_the_receivers_terminal() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let (_, why) = refused(&answer(&cable, &announced(FILE, b"\x1b[2J/..", 4)));
    assert!(!why.contains('\x1b') && why.contains("\\u{1b}[2J"), "{why}");
    receiver.wait_err("\\u{1b}[2J");
    assert!(!receiver.err().contains('\x1b'));
}

#[test]
fn violations_of_the_protocol() {
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
    receiver.wait_out("failed");
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
    wait_until("a part of the file arrives", LONG, || {
        folders.arrived("large") > 0
    });
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

/// Modes change existing files, so the user must allow them, and they come first.
#[test]
fn modes_that_are_not_allowed_change_nothing() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("in/d/file", "ours");
    let _receiver = folders.receive(cable.b(), &["--allow-update"]);
    let folder = announced(1, b"d", 0);
    for (modes, why) in [
        (4, "does not allow deletions"),
        (4 | 1, "does not allow deletions"),
        (0x40, "does not know this mode"),
    ] {
        let bytes = [&frame(12, &[modes])[..], &folder].concat();
        let (code, said) = refused(&answer_to(&cable, MODES, &bytes));
        assert_eq!(code, 8, "{said}");
        assert!(said.contains(why), "{said}");
    }
    let late = [&folder[..folder.len() - 17], &frame(12, &[2])].concat();
    let (code, said) = refused(&answer_to(&cable, MODES, &late));
    assert!(
        code == 4 && said.contains("unexpected message Modes"),
        "{said}"
    );
    // Without the extension there is no such message.
    let (code, said) = refused(&answer_to(&cable, 0, &frame(12, &[2])));
    assert!(code == 4 && said.contains("unknown message 12"), "{said}");
    assert_eq!(folders.read("in/d/file"), b"ours");
}
