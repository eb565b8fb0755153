//! Frames: a kind, a length, and a payload that is never long.

use std::time::Duration;

use thunderbolt_transport::{DataStream, TransportError};

use super::trouble::{Result, Trouble};
use super::PATIENCE;
use crate::greeting::read_exactly;

/// Bytes of payload at most.
pub const MOST: usize = 64 << 10;
/// Kind and length.
const HEAD: usize = 5;

#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, payload: Vec<u8>) -> Self {
        debug_assert!(payload.len() <= MOST);
        Self { kind, payload }
    }

    /// Appends it as it goes over the cable.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind);
        bytes.extend((self.payload.len() as u32).to_be_bytes());
        bytes.extend(&self.payload);
    }

    pub fn write(&self, stream: &DataStream) -> Result<()> {
        let mut bytes = Vec::with_capacity(HEAD + self.payload.len());
        self.append_to(&mut bytes);
        write(stream, &bytes)
    }

    /// The next frame, and not a byte more: what follows may be the content of a file.
    pub fn read(stream: &DataStream) -> Result<Self> {
        let mut head = [0; HEAD];
        Self::read_on(stream, &mut head, 0)
    }

    /// The next frame, if it has begun to arrive.
    pub fn read_if_there(stream: &DataStream) -> Result<Option<Self>> {
        let mut head = [0; HEAD];
        match stream.read_timeout(&mut head, Some(Duration::ZERO)) {
            Ok(0) => Err(Trouble::ended()),
            Ok(have) => Self::read_on(stream, &mut head, have).map(Some),
            Err(TransportError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read_on(stream: &DataStream, head: &mut [u8; HEAD], have: usize) -> Result<Self> {
        fill(stream, &mut head[have..])?;
        let [kind, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST {
            return Err(Trouble::protocol(format!("a message of {length} bytes")));
        }
        let mut payload = vec![0; length];
        fill(stream, &mut payload)?;
        Ok(Self { kind, payload })
    }
}

fn fill(stream: &DataStream, buf: &mut [u8]) -> Result<()> {
    match read_exactly(stream, buf, PATIENCE)? {
        have if have == buf.len() => Ok(()),
        _ => Err(Trouble::ended()),
    }
}

pub fn write(stream: &DataStream, bytes: &[u8]) -> Result<()> {
    Ok(stream.write_timeout(bytes, Some(PATIENCE)).outcome?)
}
