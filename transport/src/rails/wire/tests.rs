use super::*;
use proptest::prelude::*;

const SESSION: Id = *b"0123456789abcdef";
const HOST: Id = *b"ABCDEFGHIJKLMNOP";

fn hello() -> Hello {
    Greeting {
        kind: Opening::Join,
        window: 0x0102_0304,
        session: SESSION,
        host: HOST,
        offset: 0x1112_1314_1516_1718,
    }
}

const HELLO_BYTES: &[u8; 56] =
    b"DCFTBSTR\x01\x01\0\0\x01\x02\x03\x040123456789abcdefABCDEFGHIJKLMNOP\x11\x12\x13\x14\x15\x16\x17\x18";
const REPLY_BYTES: &[u8; 56] =
    b"DCFTBSTA\x01\x02\0\0\x01\x02\x03\x040123456789abcdefABCDEFGHIJKLMNOP\x11\x12\x13\x14\x15\x16\x17\x18";

#[test]
fn a_hello_has_the_bytes_of_the_protocol() {
    assert_eq!(&hello().encode(), HELLO_BYTES);
    assert_eq!(Hello::decode(HELLO_BYTES), Ok(hello()));
    let new = Greeting {
        kind: Opening::New,
        ..hello()
    };
    assert_eq!(new.encode()[9], 0);
    assert_eq!(Hello::decode(&new.encode()), Ok(new));
}

#[test]
fn a_reply_has_the_bytes_of_the_protocol() {
    let Greeting {
        window,
        session,
        host,
        offset,
        ..
    } = hello();
    let reply = Greeting {
        kind: Status::LimitReached,
        window,
        session,
        host,
        offset,
    };
    assert_eq!(&reply.encode(), REPLY_BYTES);
    assert_eq!(Reply::decode(REPLY_BYTES), Ok(reply));
    for (byte, status) in [
        (0, Status::Granted),
        (1, Status::UnknownSession),
        (2, Status::LimitReached),
        (3, Status::UnsupportedVersion),
        (4, Status::Refused),
    ] {
        let mut bytes = *REPLY_BYTES;
        bytes[9] = byte;
        assert_eq!(Reply::decode(&bytes).map(|reply| reply.kind), Ok(status));
    }
}

#[test]
fn invalid_greetings_are_told_apart() {
    let changed = |at: usize, byte: u8| {
        let mut bytes = *HELLO_BYTES;
        bytes[at] = byte;
        Hello::decode(&bytes)
    };
    for at in 0..8 {
        assert_eq!(changed(at, 0), Err(BadGreeting::Magic));
    }
    assert_eq!(Hello::decode(REPLY_BYTES), Err(BadGreeting::Magic));
    assert_eq!(Reply::decode(HELLO_BYTES), Err(BadGreeting::Magic));
    assert_eq!(changed(8, 2), Err(BadGreeting::Version(2)));
    assert_eq!(changed(9, 2), Err(BadGreeting::Kind(2)));
    assert_eq!(changed(10, 1), Err(BadGreeting::Reserved));
    assert_eq!(changed(11, 1), Err(BadGreeting::Reserved));

    let mut reply = *REPLY_BYTES;
    reply[9] = 5;
    assert_eq!(Reply::decode(&reply), Err(BadGreeting::Kind(5)));
    reply[8..10].copy_from_slice(&[2, 0]);
    assert_eq!(Reply::decode(&reply), Err(BadGreeting::Version(2)));
    reply[9] = 3;
    let status = Reply::decode(&reply).map(|reply| reply.kind);
    assert_eq!(status, Ok(Status::UnsupportedVersion));
    assert_eq!(session_of(&reply), SESSION);
}

#[test]
fn a_connection_is_known_by_its_first_bytes() {
    for length in 0..=56 {
        assert!(begins_hello(&HELLO_BYTES[..length]));
    }
    assert!(!begins_hello(b"DCFTBSTA"));
    assert!(!begins_hello(b"GET / HT"));
    assert!(!begins_hello(b"\0"));
}

#[test]
fn frames_have_the_bytes_of_the_protocol() {
    let offset = 0x0102_0304_0506_0708;
    for (frame, bytes) in [
        (
            Frame::Data {
                offset,
                length: MAX_DATA,
            },
            *b"\0\0\0\0\0\x10\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
        ),
        (
            Frame::Ack {
                offset,
                window: u32::MAX,
            },
            *b"\x01\0\0\0\xff\xff\xff\xff\x01\x02\x03\x04\x05\x06\x07\x08",
        ),
        (
            Frame::Finish { offset },
            *b"\x02\0\0\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
        ),
        (
            Frame::Reset { length: MAX_TEXT },
            *b"\x03\0\0\0\0\0\0\xff\0\0\0\0\0\0\0\0",
        ),
        (Frame::Alive, *b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ] {
        assert_eq!(frame.encode(), bytes);
        assert_eq!(Frame::decode(&bytes), Ok(frame));
    }
}

#[test]
fn invalid_frames_are_told_apart() {
    for (bytes, error) in [
        (*b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", BadFrame::Kind(5)),
        (*b"\0\x01\0\0\0\0\0\x01\0\0\0\0\0\0\0\0", BadFrame::Reserved),
        (*b"\x01\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0", BadFrame::Reserved),
        (*b"\x04\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0", BadFrame::Reserved),
        (*b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", BadFrame::Length(0)),
        (
            *b"\0\0\0\0\0\x10\0\x01\0\0\0\0\0\0\0\0",
            BadFrame::Length(MAX_DATA + 1),
        ),
        (
            *b"\x02\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
            BadFrame::Length(1),
        ),
        (
            *b"\x03\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0",
            BadFrame::Length(256),
        ),
        (
            *b"\x04\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
            BadFrame::Length(1),
        ),
        (
            *b"\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe",
            BadFrame::Offset(u64::MAX - 1),
        ),
        (
            *b"\0\0\0\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
            BadFrame::Offset(u64::MAX),
        ),
        (
            *b"\x02\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            BadFrame::Offset(u64::MAX),
        ),
    ] {
        assert_eq!(Frame::decode(&bytes), Err(error), "{bytes:?}");
    }
    // An alive frame does not use its offset.
    let alive = *b"\x04\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(Frame::decode(&alive), Ok(Frame::Alive));
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes: [u8; FRAME_SIZE], kind in 0..6_u8, small: bool) {
        let mut bytes = bytes;
        bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
        if small {
            bytes[4..7].fill(0);
        }
        if kind > 2 {
            bytes[8..].fill(0);
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }

    #[test]
    fn a_greeting_comes_back(window: u32, session: Id, host: Id, offset: u64) {
        let hello = Greeting { kind: Opening::New, window, session, host, offset };
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        let reply = Greeting { kind: Status::Granted, window, session, host, offset };
        prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
}
