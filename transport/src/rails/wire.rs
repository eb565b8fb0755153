//! Hellos, replies and frames of the rail protocol, as they go over the cable. All numbers are big-endian.

use std::fmt;

/// Bytes of a hello, and of a reply.
pub(crate) const GREETING_SIZE: usize = 56;
/// Bytes of a frame without its payload.
pub(crate) const FRAME_SIZE: usize = 16;
/// Bytes of payload in one data frame at most.
pub(crate) const MAX_DATA: u32 = 1 << 20;
/// Bytes of text in a reset at most.
pub(crate) const MAX_TEXT: u32 = 255;
/// The last position that a byte of a stream can have, so that its finish and the acknowledgement of that have
/// one too.
const MAX_POSITION: u64 = u64::MAX - 1;

const HELLO: [u8; 8] = *b"DCFTBSTR";
const REPLY: [u8; 8] = *b"DCFTBSTA";
const VERSION: u8 = 1;

/// The name of a session, and that of a host: random bytes.
pub(crate) type Id = [u8; 16];

/// The request in a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The first rail of a session.
    New,
    /// One more rail, or a reconnection.
    Join,
}

/// An acceptor's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Granted,
    UnknownSession,
    LimitReached,
    UnsupportedVersion,
    Refused,
}

/// What each side says first: a hello has an [`Opening`], a reply has a [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting<T> {
    pub kind: T,
    /// Bytes that the sender of this can receive beyond `offset`.
    pub window: u32,
    pub session: Id,
    pub host: Id,
    /// The position up to which the sender of this has received the other direction.
    pub offset: u64,
}

pub(crate) type Hello = Greeting<Opening>;
pub(crate) type Reply = Greeting<Status>;

/// Why 56 bytes are no hello or no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadGreeting {
    Magic,
    Version(u8),
    /// An unknown kind or status.
    Kind(u8),
    /// A byte that has to be zero is not.
    Reserved,
}

/// The session of a hello, whatever its version is: a reply echoes it.
pub(crate) fn session_of(bytes: &[u8; GREETING_SIZE]) -> Id {
    field(bytes, 16)
}

/// Whether the first bytes of a connection can become a hello.
pub(crate) fn begins_hello(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .zip(HELLO)
        .all(|(byte, expected)| *byte == expected)
}

impl Hello {
    pub fn encode(&self) -> [u8; GREETING_SIZE] {
        self.encode_as(HELLO, self.kind as u8)
    }

    pub fn decode(bytes: &[u8; GREETING_SIZE]) -> Result<Self, BadGreeting> {
        if field(bytes, 0) != HELLO {
            return Err(BadGreeting::Magic);
        }
        if bytes[8] != VERSION {
            return Err(BadGreeting::Version(bytes[8]));
        }
        let opening = match bytes[9] {
            0 => Opening::New,
            1 => Opening::Join,
            kind => return Err(BadGreeting::Kind(kind)),
        };
        Self::decode_rest(opening, bytes)
    }
}

impl Reply {
    pub fn encode(&self) -> [u8; GREETING_SIZE] {
        self.encode_as(REPLY, self.kind as u8)
    }

    /// A peer of another version may put that into its reply, with the status that says so.
    pub fn decode(bytes: &[u8; GREETING_SIZE]) -> Result<Self, BadGreeting> {
        if field(bytes, 0) != REPLY {
            return Err(BadGreeting::Magic);
        }
        let status = match bytes[9] {
            0 => Status::Granted,
            1 => Status::UnknownSession,
            2 => Status::LimitReached,
            3 => Status::UnsupportedVersion,
            4 => Status::Refused,
            status => return Err(BadGreeting::Kind(status)),
        };
        if bytes[8] != VERSION && status != Status::UnsupportedVersion {
            return Err(BadGreeting::Version(bytes[8]));
        }
        Self::decode_rest(status, bytes)
    }
}

impl<T> Greeting<T> {
    fn encode_as(&self, magic: [u8; 8], kind: u8) -> [u8; GREETING_SIZE] {
        let mut bytes = [0; GREETING_SIZE];
        bytes[..8].copy_from_slice(&magic);
        bytes[8] = VERSION;
        bytes[9] = kind;
        bytes[12..16].copy_from_slice(&self.window.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.session);
        bytes[32..48].copy_from_slice(&self.host);
        bytes[48..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    fn decode_rest(kind: T, bytes: &[u8; GREETING_SIZE]) -> Result<Self, BadGreeting> {
        if bytes[10..12] != [0, 0] {
            return Err(BadGreeting::Reserved);
        }
        Ok(Self {
            kind,
            window: u32::from_be_bytes(field(bytes, 12)),
            session: field(bytes, 16),
            host: field(bytes, 32),
            offset: u64::from_be_bytes(field(bytes, 48)),
        })
    }
}

/// A frame, without the payload that follows those of data and of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    Data { offset: u64, length: u32 },
    Ack { offset: u64, window: u32 },
    Finish { offset: u64 },
    Reset { length: u32 },
    Alive,
}

/// Why 16 bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFrame {
    Kind(u8),
    /// A byte that has to be zero is not.
    Reserved,
    /// A length that a frame of this kind cannot have.
    Length(u32),
    /// The frame ends behind the last position.
    Offset(u64),
}

impl Frame {
    pub fn encode(self) -> [u8; FRAME_SIZE] {
        let (kind, length, offset) = match self {
            Self::Data { offset, length } => (0, length, offset),
            Self::Ack { offset, window } => (1, window, offset),
            Self::Finish { offset } => (2, 0, offset),
            Self::Reset { length } => (3, length, 0),
            Self::Alive => (4, 0, 0),
        };
        let mut bytes = [0; FRAME_SIZE];
        bytes[0] = kind;
        bytes[4..8].copy_from_slice(&u32::to_be_bytes(length));
        bytes[8..].copy_from_slice(&u64::to_be_bytes(offset));
        bytes
    }

    /// Resets and alive frames do not use their offset, so any value is valid there.
    pub fn decode(bytes: &[u8; FRAME_SIZE]) -> Result<Self, BadFrame> {
        let length = u32::from_be_bytes(field(bytes, 4));
        let offset = u64::from_be_bytes(field(bytes, 8));
        let (frame, lengths) = match bytes[0] {
            0 => (Self::Data { offset, length }, 1..=MAX_DATA),
            1 => {
                let window = length;
                (Self::Ack { offset, window }, 0..=u32::MAX)
            }
            2 => (Self::Finish { offset }, 0..=0),
            3 => (Self::Reset { length }, 0..=MAX_TEXT),
            4 => (Self::Alive, 0..=0),
            kind => return Err(BadFrame::Kind(kind)),
        };
        if bytes[1..4] != [0, 0, 0] {
            return Err(BadFrame::Reserved);
        }
        if !lengths.contains(&length) {
            return Err(BadFrame::Length(length));
        }
        let end = match frame {
            Self::Data { .. } => offset.checked_add(length.into()),
            Self::Finish { .. } => Some(offset),
            _ => Some(0),
        };
        match end {
            Some(end) if end <= MAX_POSITION => Ok(frame),
            _ => Err(BadFrame::Offset(offset)),
        }
    }
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "unknown kind of frame: {kind}"),
            Self::Reserved => write!(f, "a reserved byte of a frame is not zero"),
            Self::Length(length) => write!(f, "invalid length of a frame: {length}"),
            Self::Offset(offset) => write!(f, "invalid offset of a frame: {offset}"),
        }
    }
}

/// The `N` bytes from `at`, which has to leave as many.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests;
