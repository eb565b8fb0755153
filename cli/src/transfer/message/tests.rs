//! Messages are read as they were written, and nothing else is.

use super::*;
use crate::transfer::entry::{Kind, More};
use crate::transfer::holes::MOST_EXTENTS;

const KNOWN: Extensions = Extensions::KNOWN;

#[test]
fn messages_are_read_as_they_were_written() {
    for message in [
        Pusher::Alive,
        Pusher::Entries(Vec::new()),
        Pusher::Announced {
            entries: 7,
            bytes: u64::MAX,
        },
        Pusher::Join([9; 16]),
        Pusher::File(5),
        Pusher::Start(1 << 50),
        Pusher::Data {
            length: PIECE,
            sum: [3; CHECKSUM_SIZE],
        },
        Pusher::Skipped {
            index: 1,
            why: "gone".into(),
        },
        Pusher::Finished,
        Pusher::Modes(Modes(Modes::UPDATE | Modes::DELETE)),
        Pusher::Extended(
            KNOWN,
            vec![link(b"../target"), link(b"x"), sparse(), hard_link()],
        ),
        Pusher::Hole(1 << 60),
        Pusher::Sparse {
            length: PIECE,
            sum: [4; CHECKSUM_SIZE],
            extents: vec![extent(0, 1), extent(PIECE as u32 - 1, 1)],
        },
    ] {
        assert_eq!(
            Pusher::from_frame(&message.frame(), KNOWN).unwrap(),
            message
        );
        assert!(Receiver::from_frame(&message.frame()).is_err());
    }
    let wants = vec![Want::Nothing, Want::Content { have: 5 }, Want::Comparison];
    for message in [
        Receiver::Plan { first: 3, wants },
        // An empty plan is a sign of life.
        Receiver::Plan {
            first: 0,
            wants: Vec::new(),
        },
        Receiver::Ready([1; 16]),
        Receiver::Sums(vec![[1; CHECKSUM_SIZE], [2; CHECKSUM_SIZE]]),
        Receiver::Result {
            index: 4,
            code: 7,
            why: "bad".into(),
        },
        Receiver::Refused {
            code: 6,
            why: "voll – ü".into(),
        },
        Receiver::Done,
        Receiver::Zeros(1 << 41),
    ] {
        assert_eq!(Receiver::from_frame(&message.frame()).unwrap(), message);
        assert!(Pusher::from_frame(&message.frame(), KNOWN).is_err());
    }
}

fn extent(offset: u32, length: u32) -> Extent {
    Extent { offset, length }
}

fn sparse() -> Entry {
    Entry {
        kind: Kind::File,
        size: 1 << 50,
        more: More::Data(4096),
        ..link(b"")
    }
}

fn hard_link() -> Entry {
    Entry {
        kind: Kind::HardLink,
        more: More::First(1 << 30),
        ..link(b"")
    }
}

fn link(target: &[u8]) -> Entry {
    Entry {
        kind: Kind::Link,
        mode: 0o777,
        modified: (-1, 999_999_999),
        size: 0,
        path: "a/link".into(),
        more: More::Target(target.into()),
    }
}

#[test]
fn what_was_not_granted_is_not_read() {
    let frame = Pusher::Extended(KNOWN, vec![link(b"x")]).frame();
    assert!(Pusher::from_frame(&frame, Extensions(0)).is_err());
    assert!(Pusher::from_frame(&frame, Extensions(0x80)).is_err());
    for frame in [
        Pusher::Hole(PIECE).frame(),
        Pusher::Sparse {
            length: 10,
            sum: [0; CHECKSUM_SIZE],
            extents: vec![extent(0, 5)],
        }
        .frame(),
    ] {
        assert!(Pusher::from_frame(&frame, Extensions(Extensions::LINKS)).is_err());
        assert!(Pusher::from_frame(&frame, KNOWN).is_ok());
    }
    let plain = Frame::new(1, frame.payload);
    assert!(
        Pusher::from_frame(&plain, KNOWN).is_err(),
        "a link is none of the first version"
    );
}

#[test]
fn targets_that_lead_nowhere_or_out_are_refused() {
    for wrong in [&b""[..], b"/etc", b"a\0", &[b'x'; 4096]] {
        let frame = Pusher::Extended(KNOWN, vec![link(wrong)]).frame();
        assert!(Pusher::from_frame(&frame, KNOWN).is_err(), "{wrong:?}");
    }
    let mut cut = Pusher::Extended(KNOWN, vec![link(b"target")]).frame();
    while cut.payload.len() > 1 {
        cut.payload.pop();
        assert!(Pusher::from_frame(&cut, KNOWN).is_err(), "{cut:?}");
    }
}

#[test]
fn the_largest_messages_fit() {
    let plan = Receiver::Plan {
        first: 0,
        wants: vec![Want::Comparison; AT_ONCE],
    };
    assert!(plan.frame().payload.len() <= MOST);
    let longest = Entry {
        path: "p".repeat(4095).into(),
        ..link(&[b't'; 4095])
    };
    let entries = Pusher::Extended(KNOWN, vec![longest; EXTENDED_AT_ONCE]);
    assert!(entries.frame().payload.len() <= MOST);
    let sparse = Pusher::Sparse {
        length: PIECE,
        sum: [0; CHECKSUM_SIZE],
        extents: vec![extent(0, 1); MOST_EXTENTS],
    };
    assert!(sparse.frame().payload.len() <= MOST);
    let sums = Receiver::Sums(vec![[0; CHECKSUM_SIZE]; AT_ONCE]);
    assert!(sums.frame().payload.len() <= MOST);
    let why = "ü".repeat(1000);
    let refused = Receiver::Refused { code: 1, why };
    assert!(Receiver::from_frame(&refused.frame()).is_ok());
}

#[test]
fn pieces_are_neither_empty_nor_too_long() {
    for length in [0, PIECE + 1, u64::MAX] {
        let frame = Pusher::Data {
            length,
            sum: [0; CHECKSUM_SIZE],
        }
        .frame();
        assert!(Pusher::from_frame(&frame, KNOWN).is_err());
    }
}
