//! Frames: a kind, a length and a bounded payload.

use std::time::Duration;

use thunderbolt_transport::{DataStream, TransportError};

use super::error::{Result, TransferError};
use super::PATIENCE;
use crate::deadline::Deadline;

/// The longest payload in bytes.
pub const MOST: usize = 64 << 10;
/// The size of the header: kind and length.
const HEAD: usize = 5;
/// The initial buffer of a payload.
const FIRST: usize = 2048;

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

    /// Appends the frame in its wire format.
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

    /// Reads the next frame, and no byte beyond it: file content may follow.
    pub fn read(stream: &DataStream) -> Result<Self> {
        Self::read_by(stream, &Deadline::after(PATIENCE))
    }

    /// Reads the next frame before a deadline.
    pub fn read_by(stream: &DataStream, deadline: &Deadline) -> Result<Self> {
        Self::read_on(stream, [0; HEAD], 0, deadline)
    }

    /// Reads the next frame, if its first byte has arrived.
    pub fn read_if_there(stream: &DataStream) -> Result<Option<Self>> {
        let mut head = [0; HEAD];
        let deadline = Deadline::after(PATIENCE);
        match stream.read_timeout(&mut head, Some(Duration::ZERO)) {
            Ok(0) => Err(TransferError::ended()),
            Ok(have) => Self::read_on(stream, head, have, &deadline).map(Some),
            Err(TransportError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read_on(
        stream: &DataStream,
        mut head: [u8; HEAD],
        have: usize,
        deadline: &Deadline,
    ) -> Result<Self> {
        fill(stream, &mut head[have..], deadline)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST {
            return Err(TransferError::protocol(format!(
                "a message of {length} bytes"
            )));
        }
        // Allocate as the data arrive: the length is only the peer's claim.
        let mut payload = Vec::new();
        while payload.len() < length {
            let have = payload.len();
            payload.resize(length.min(have.max(FIRST) * 2), 0);
            fill(stream, &mut payload[have..], deadline)?;
        }
        Ok(Self { kind, payload })
    }
}

fn fill(stream: &DataStream, buf: &mut [u8], deadline: &Deadline) -> Result<()> {
    match deadline.read(stream, buf)? {
        have if have == buf.len() => Ok(()),
        _ => Err(TransferError::ended()),
    }
}

pub fn write(stream: &DataStream, bytes: &[u8]) -> Result<()> {
    Ok(stream.write_timeout(bytes, Some(PATIENCE)).outcome?)
}
