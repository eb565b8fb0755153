//! The rail protocol of durable streams: greetings and frames are valid by exactly the rules of docs/WIRE.md, and
//! a session with a hostile peer stays within its windows, delivers each byte at its position, and sends no more
//! than it was allowed to.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use thunderbolt_transport::fuzzing::rails::{self, Victim};

#[derive(Debug, Arbitrary)]
enum Step {
    /// A hello or a reply. Most are made valid, so that the rest is reached.
    Greet {
        kind: u8,
        window: u32,
        offset: u16,
        host: bool,
        broken: Option<(u8, u8)>,
        step: u8,
    },
    Frame {
        rail: u8,
        kind: u8,
        length: u16,
        offset: u16,
        broken: Option<(u8, u8)>,
    },
    Bytes {
        rail: u8,
        bytes: Vec<u8>,
    },
    End {
        rail: u8,
        fails: bool,
    },
    Pass {
        microseconds: u32,
    },
    Write {
        length: u16,
        finishes: bool,
    },
    Read {
        length: u16,
    },
    Send {
        rail: u8,
        most: u16,
    },
    Reset,
}

#[derive(Debug, Arbitrary)]
struct Input {
    greeting: [u8; 56],
    frame: [u8; 16],
    is_opener: bool,
    steps: Vec<Step>,
}

/// The rules of docs/WIRE.md.
fn is_frame(bytes: &[u8; 16]) -> bool {
    let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
    let offset = u64::from_be_bytes(bytes[8..].try_into().unwrap());
    let end = u128::from(offset) + u128::from(length);
    let last = u128::from(u64::MAX) - 1;
    bytes[1..4] == [0; 3]
        && match bytes[0] {
            0 => (1..=1_048_576).contains(&length) && end <= last,
            1 => true,
            2 => length == 0 && end <= last,
            3 => length <= 255,
            4 => length == 0,
            _ => false,
        }
}

fn is_greeting(bytes: &[u8; 56], magic: &[u8], most: u8) -> bool {
    let is_version = bytes[8] == 1 || (most == 4 && bytes[9] == 3);
    bytes[..8] == *magic && is_version && bytes[9] <= most && bytes[10..12] == [0; 2]
}

fn check(input: &Input) {
    let mut frame = input.frame;
    for zeros in [false, true] {
        if zeros {
            frame[1..4].fill(0);
            frame[4] = 0;
            frame[0] %= 6;
        }
        let again = rails::frame(&frame);
        assert_eq!(again.is_some(), is_frame(&frame));
        if let Some(again) = again.filter(|_| frame[0] < 3) {
            assert_eq!(again, frame);
        }
    }
    let mut greeting = input.greeting;
    for magic in [&input.greeting[..8], b"DCFTBSTR", b"DCFTBSTA"] {
        greeting[..8].copy_from_slice(magic);
        let (hello, reply) = (rails::hello(&greeting), rails::reply(&greeting));
        assert_eq!(hello.is_some(), is_greeting(&greeting, b"DCFTBSTR", 1));
        assert_eq!(reply.is_some(), is_greeting(&greeting, b"DCFTBSTA", 4));
        if let Some(again) = hello.or(reply).filter(|_| greeting[8] == 1) {
            assert_eq!(again, greeting);
        }
    }
}

fn broken<const N: usize>(mut bytes: [u8; N], change: Option<(u8, u8)>) -> [u8; N] {
    if let Some((at, byte)) = change {
        bytes[usize::from(at) % N] ^= byte;
    }
    bytes
}

fuzz_target!(|input: Input| {
    check(&input);
    let mut victim = match input.is_opener {
        true => Victim::opener(),
        false => Victim::acceptor(),
    };
    for step in input.steps.iter().take(200) {
        match step {
            Step::Greet {
                kind,
                window,
                offset,
                host,
                broken: change,
                step,
            } => {
                let mut bytes = [0; 56];
                let magic = if input.is_opener {
                    b"DCFTBSTA"
                } else {
                    b"DCFTBSTR"
                };
                bytes[..8].copy_from_slice(magic);
                bytes[8] = 1;
                bytes[9] = kind % if input.is_opener { 8 } else { 2 };
                if input.is_opener && bytes[9] > 4 {
                    bytes[9] = 0;
                }
                bytes[12..16].copy_from_slice(&window.to_be_bytes());
                bytes[16..32].fill(2);
                bytes[32..48].fill(if *host { 3 } else { 4 });
                bytes[54..].copy_from_slice(&offset.to_be_bytes());
                victim.greet(&broken(bytes, *change), usize::from(*step));
            }
            Step::Frame {
                rail,
                kind,
                length,
                offset,
                broken: change,
            } => {
                let mut bytes = [0; 16];
                bytes[0] = kind % 5;
                let length = if bytes[0] < 2 { *length } else { 0 };
                bytes[6..8].copy_from_slice(&length.to_be_bytes());
                bytes[14..].copy_from_slice(&offset.to_be_bytes());
                victim.receive(usize::from(*rail), &broken(bytes, *change));
                if bytes[0] == 0 {
                    let payload = vec![0; usize::from(length)];
                    victim.receive(usize::from(*rail), &payload);
                }
            }
            Step::Bytes { rail, bytes } => victim.receive(usize::from(*rail), bytes),
            Step::End { rail, fails } => victim.end_rail(usize::from(*rail), *fails),
            Step::Pass { microseconds } => victim.pass((*microseconds).into()),
            Step::Write { length, finishes } => victim.write((*length).into(), *finishes),
            Step::Read { length } => victim.read((*length).into()),
            Step::Send { rail, most } => victim.send(usize::from(*rail), usize::from(*most)),
            Step::Reset => victim.reset(),
        }
    }
});
