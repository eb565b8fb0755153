//! The messages of both sides and their encoding.

use std::fmt;

use super::checksums::{Checksum, CHECKSUM_SIZE};
use super::entry::Entry;
use super::error::{Result, TransferError};
use super::extensions::Extensions;
use super::fields::Fields;
use super::frame::{Frame, MOST};
use super::holes::{are_within, Extent};
use super::modes::Modes;
use super::{SessionId, PIECE};

/// A message of the pusher.
#[derive(Debug, PartialEq, Eq)]
pub enum Pusher {
    /// A sign of life.
    Alive,
    /// Some of its entries.
    Entries(Vec<Entry>),
    /// The end of the announcement, with its totals.
    Announced { entries: u32, bytes: u64 },
    /// This stream joins a push that another one announced.
    Join(SessionId),
    /// The index of the next file.
    File(u32),
    /// The receiver's content is correct up to this offset.
    Start(u64),
    /// This many bytes of the file follow, with this checksum.
    Data { length: u64, sum: Checksum },
    /// The file could not be read, or changed. Ends a file that was started.
    Skipped { index: u32, why: String },
    /// No more files follow on this stream.
    Finished,
    /// Some of its entries, with the fields of the extensions.
    Extended(Extensions, Vec<Entry>),
    /// This many bytes of the file are a hole: whole pieces, or up to its end.
    Hole(u64),
    /// A piece with holes and its checksum. Only the bytes of the extents follow.
    Sparse {
        length: u64,
        sum: Checksum,
        extents: Vec<Extent>,
    },
    /// Its requests beside its files. Comes before the announcement, if at all.
    Modes(Modes),
}

/// The receiver's need of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing: it exists already.
    Nothing,
    /// Its content, of which the first `have` bytes may exist already.
    Content { have: u64 },
    /// Only a comparison with the existing file of the same size, which must not be overwritten.
    Comparison,
}

/// A message of the receiver.
#[derive(Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Its need of the entries from `first` on.
    Plan { first: u32, wants: Vec<Want> },
    /// Ready for files. More streams join with this identifier.
    Ready(SessionId),
    /// Checksums of the pieces that it has of a file.
    Sums(Vec<Checksum>),
    /// The result of a file: an exit code, and a reason if it is not 0.
    Result { index: u32, code: u8, why: String },
    /// The push is refused or ended: an exit code and a reason.
    Refused { code: u8, why: String },
    /// All files of this stream are complete.
    Done,
    /// This many pieces are holes. Replaces their checksums.
    Zeros(u64),
}

/// Replaces an exit code: another push is in progress.
pub const BUSY: u8 = 100;
/// The most wants, and the most checksums, of one message.
pub const AT_ONCE: usize = 4096;
/// The entries of one message, which fit even with the longest paths and link targets.
pub const ENTRIES_AT_ONCE: usize = 15;
pub const EXTENDED_AT_ONCE: usize = 7;
const LONGEST_TEXT: usize = 1024;

/// The error of a message that the protocol does not allow now.
pub fn out_of_turn(message: &impl fmt::Debug) -> TransferError {
    let text = format!("{message:?}");
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    TransferError::protocol(format!("unexpected message {name}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]).into_owned()
}

fn with_text(mut payload: Vec<u8>, text: &str) -> Vec<u8> {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    payload.extend(&text.as_bytes()[..end]);
    payload
}

/// Reads the length of a piece.
fn piece(fields: &mut Fields<'_>) -> Result<u64> {
    match fields.u64()? {
        length @ 1..=PIECE => Ok(length),
        length => Err(TransferError::protocol(format!(
            "a piece of {length} bytes"
        ))),
    }
}

impl Pusher {
    pub fn frame(&self) -> Frame {
        let (kind, payload) = match self {
            Self::Alive => (0, Vec::new()),
            Self::Entries(entries) => {
                let mut payload = Vec::new();
                entries
                    .iter()
                    .for_each(|entry| entry.append_to(&mut payload));
                (1, payload)
            }
            Self::Announced { entries, bytes } => (
                2,
                [&entries.to_be_bytes()[..], &bytes.to_be_bytes()].concat(),
            ),
            Self::Join(session) => (3, session.to_vec()),
            Self::File(index) => (4, index.to_be_bytes().to_vec()),
            Self::Start(offset) => (5, offset.to_be_bytes().to_vec()),
            Self::Data { length, sum } => (6, [&length.to_be_bytes()[..], sum].concat()),
            Self::Skipped { index, why } => (7, with_text(index.to_be_bytes().to_vec(), why)),
            Self::Finished => (8, Vec::new()),
            Self::Extended(extensions, entries) => {
                let mut payload = Vec::new();
                entries
                    .iter()
                    .for_each(|entry| entry.append_extended_to(&mut payload, *extensions));
                (9, payload)
            }
            Self::Hole(length) => (10, length.to_be_bytes().to_vec()),
            Self::Sparse {
                length,
                sum,
                extents,
            } => {
                let mut payload = [&length.to_be_bytes()[..], sum].concat();
                for extent in extents {
                    payload.extend(extent.offset.to_be_bytes());
                    payload.extend(extent.length.to_be_bytes());
                }
                (11, payload)
            }
            Self::Modes(modes) => (12, vec![modes.0]),
        };
        Frame::new(kind, payload)
    }

    /// Decodes a message of a pusher to which these extensions were granted.
    pub fn from_frame(frame: &Frame, extensions: Extensions) -> Result<Self> {
        let mut fields = Fields(&frame.payload);
        let message = match frame.kind {
            0 => Self::Alive,
            1 => {
                let mut entries = Vec::new();
                while !fields.is_empty() {
                    entries.push(Entry::read(&mut fields)?);
                }
                Self::Entries(entries)
            }
            2 => Self::Announced {
                entries: fields.u32()?,
                bytes: fields.u64()?,
            },
            3 => Self::Join(fields.array()?),
            4 => Self::File(fields.u32()?),
            5 => Self::Start(fields.u64()?),
            6 => {
                let length = piece(&mut fields)?;
                let sum = fields.array()?;
                Self::Data { length, sum }
            }
            7 => Self::Skipped {
                index: fields.u32()?,
                why: text(fields.rest()),
            },
            8 => Self::Finished,
            9 if extensions.any() => {
                let mut entries = Vec::new();
                while !fields.is_empty() {
                    entries.push(Entry::read_extended(&mut fields, extensions)?);
                }
                Self::Extended(extensions, entries)
            }
            10 if extensions.has(Extensions::HOLES) => Self::Hole(fields.u64()?),
            11 if extensions.has(Extensions::HOLES) => {
                let length = piece(&mut fields)?;
                let sum = fields.array()?;
                let mut extents = Vec::new();
                while !fields.is_empty() {
                    let (offset, length) = (fields.u32()?, fields.u32()?);
                    extents.push(Extent { offset, length });
                }
                if !are_within(&extents, length) {
                    return Err(TransferError::protocol("extents outside of their piece"));
                }
                Self::Sparse {
                    length,
                    sum,
                    extents,
                }
            }
            12 if extensions.has(Extensions::MODES) => Self::Modes(Modes(fields.u8()?)),
            other => return Err(TransferError::protocol(format!("unknown message {other}"))),
        };
        fields.end()?;
        Ok(message)
    }
}

impl Want {
    fn append_to(self, payload: &mut Vec<u8>) {
        let (kind, have) = match self {
            Self::Nothing => (0, 0),
            Self::Content { have } => (1, have),
            Self::Comparison => (2, 0),
        };
        payload.push(kind);
        payload.extend(u64::to_be_bytes(have));
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self> {
        match (fields.u8()?, fields.u64()?) {
            (0, _) => Ok(Self::Nothing),
            (1, have) => Ok(Self::Content { have }),
            (2, _) => Ok(Self::Comparison),
            (other, _) => Err(TransferError::protocol(format!("unknown want {other}"))),
        }
    }
}

impl Receiver {
    pub fn frame(&self) -> Frame {
        let (kind, payload) = match self {
            Self::Plan { first, wants } => {
                let mut payload = first.to_be_bytes().to_vec();
                wants.iter().for_each(|want| want.append_to(&mut payload));
                (0x81, payload)
            }
            Self::Ready(session) => (0x82, session.to_vec()),
            Self::Sums(sums) => (0x83, sums.concat()),
            Self::Result { index, code, why } => {
                let mut payload = index.to_be_bytes().to_vec();
                payload.push(*code);
                (0x84, with_text(payload, why))
            }
            Self::Refused { code, why } => (0x85, with_text(vec![*code], why)),
            Self::Done => (0x86, Vec::new()),
            Self::Zeros(pieces) => (0x87, pieces.to_be_bytes().to_vec()),
        };
        debug_assert!(payload.len() <= MOST);
        Frame::new(kind, payload)
    }

    pub fn from_frame(frame: &Frame) -> Result<Self> {
        let mut fields = Fields(&frame.payload);
        let message = match frame.kind {
            0x81 => {
                let first = fields.u32()?;
                let mut wants = Vec::new();
                while !fields.is_empty() {
                    wants.push(Want::read(&mut fields)?);
                }
                Self::Plan { first, wants }
            }
            0x82 => Self::Ready(fields.array()?),
            0x83 => {
                let mut sums = Vec::new();
                while !fields.is_empty() {
                    sums.push(fields.array::<CHECKSUM_SIZE>()?);
                }
                Self::Sums(sums)
            }
            0x84 => Self::Result {
                index: fields.u32()?,
                code: fields.u8()?,
                why: text(fields.rest()),
            },
            0x85 => Self::Refused {
                code: fields.u8()?,
                why: text(fields.rest()),
            },
            0x86 => Self::Done,
            0x87 => Self::Zeros(fields.u64()?),
            other => return Err(TransferError::protocol(format!("unknown message {other}"))),
        };
        fields.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
