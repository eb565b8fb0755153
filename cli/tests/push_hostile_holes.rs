//! A malicious pusher of sparse files.

mod common;

use common::folders::Folders;
use common::pusher::{
    all_of, answer_to, extended, frame, refused, refused_with, FILE, HOLES, LINKS,
};
use testkit::Cable;

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
fn holes_that_violate_the_protocol() {
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
    receiver.wait_out("failed");
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
fn holes_beyond_the_maximum_file_size() {
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
    receiver.wait_out(" received from ");
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
