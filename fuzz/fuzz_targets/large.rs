//! Large messages of the plugin over a connection: any bytes, in pieces of any size, are read as
//! docs/WIRE.md defines.
#![no_main]

// The target uses a part of the module.
#[allow(dead_code)]
#[path = "../../src/plugin/large/format.rs"]
mod format;

use std::io;
use std::mem::MaybeUninit;

use arbitrary::Arbitrary;
use format::{read_message, ReadError, Source, Store};
use libfuzzer_sys::fuzz_target;

/// The numbers of docs/WIRE.md.
const START: &[u8] = b"DCFTBMSG\x01\0\0\0";
const LEAST: usize = 65_508;
const MOST: usize = 64 << 20;

/// A part of the peer's data. Fuzzer inputs are too short for whole messages.
#[derive(Debug, Arbitrary)]
enum Piece {
    Bytes(Vec<u8>),
    /// A header with a length close to the limit.
    Header {
        largest: bool,
        more: i8,
    },
    /// A header with a wrong bit before the length.
    Wrong(u8),
    /// A header and a message, whose length may be a few bytes off.
    Message(u16, i8),
    Filling(u8, u16),
}

#[derive(Debug, Arbitrary)]
struct Input {
    pieces: Vec<Piece>,
    /// Bytes that one read returns.
    step: u16,
    /// The memory limit.
    limit: u32,
}

impl Input {
    fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in self.pieces.iter().take(4) {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                Piece::Header { largest, more } => {
                    let length = if *largest { MOST } else { LEAST };
                    let length = length.saturating_add_signed((*more).into());
                    all.extend_from_slice(START);
                    all.extend((length as u32).to_be_bytes());
                }
                Piece::Wrong(bit) => {
                    let begin = all.len();
                    all.extend_from_slice(START);
                    all.extend((LEAST as u32).to_be_bytes());
                    let bit = usize::from(*bit) % (8 * START.len());
                    all[begin + bit / 8] ^= 1 << (bit % 8);
                }
                Piece::Message(more, missing) => {
                    let length = LEAST + usize::from(*more);
                    all.extend_from_slice(START);
                    all.extend((length as u32).to_be_bytes());
                    let length = length.saturating_add_signed((*missing / 32).into());
                    all.extend((0..length).map(|place| place as u8));
                }
                Piece::Filling(byte, count) => {
                    all.resize(all.len() + usize::from(*count), *byte);
                }
            }
        }
        all
    }
}

/// Returns at most `step` bytes for each read.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Source for Dribble<'_> {
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
        let most = room.len().min(self.step);
        self.bytes.read(&mut room[..most])
    }
}

#[derive(Debug)]
struct Full;

struct Kept {
    bytes: Vec<u8>,
    limit: usize,
}

impl Store for Kept {
    type Refusal = Full;

    fn fill(
        &mut self,
        missing: usize,
        source: &mut impl Source,
    ) -> Result<io::Result<usize>, Full> {
        assert!((1..=MOST).contains(&missing));
        if self.bytes.len() >= self.limit {
            return Err(Full);
        }
        let mut room = vec![MaybeUninit::uninit(); missing.min(32 << 10)];
        Ok(source.read(&mut room).map(|read| {
            self.bytes.extend_from_slice(read);
            read.len()
        }))
    }
}

/// The length in the next header, if it is valid.
fn claimed(bytes: &[u8]) -> Option<usize> {
    let length = bytes.strip_prefix(START)?.first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    (LEAST..=MOST).contains(&length).then_some(length)
}

fuzz_target!(|input: Input| {
    let all = input.bytes();
    let limit = input.limit as usize;
    let mut rest = &all[..];
    let mut source = Dribble {
        bytes: &all,
        step: usize::from(input.step.max(1)),
    };
    loop {
        let read = read_message(&mut source, || Kept {
            bytes: Vec::new(),
            limit,
        });
        let Some(length) = claimed(rest) else {
            match read {
                Ok(None) => assert!(rest.is_empty()),
                Err(ReadError::Malformed(_)) => assert!(!rest.is_empty()),
                _ => panic!("{} invalid bytes were read as a message", rest.len()),
            }
            return;
        };
        let payload = &rest[START.len() + 4..];
        match read {
            Ok(Some(message)) => {
                assert!(message.bytes == payload[..length]);
                rest = &payload[length..];
            }
            Err(ReadError::Truncated { got, length: of }) => {
                assert_eq!((got, of), (payload.len(), length));
                assert!(got < length);
                return;
            }
            Err(ReadError::Refused(Full)) => return assert!(limit < length),
            _ => panic!("a valid message of {length} bytes was refused"),
        }
    }
});
