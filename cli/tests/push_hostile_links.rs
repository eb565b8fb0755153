//! A malicious pusher of symbolic and hard links.

mod common;

use std::fs;
use std::time::Duration;

use common::folders::Folders;
use common::pusher::{
    all_of, announced, answer_to, extended, frame, hard_link, link, refused, refused_with, FILE,
    HARD_LINKS, LINKS,
};
use testkit::Cable;

#[test]
fn links_that_lead_or_could_lead_out_of_the_folder() {
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

#[test]
fn links_that_violate_the_protocol() {
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

#[test]
fn hard_links_that_do_not_name_an_earlier_file() {
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
fn a_hard_link_cannot_name_a_file_from_outside_the_push() {
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
    receiver.wait_out("failed");
    assert_eq!(folders.names("in"), ["secret"]);
    assert_eq!(folders.read("in/secret"), b"secret");
}
