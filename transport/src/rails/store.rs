//! The bytes of one direction of a session that have to be in memory, by their positions in the stream: blocks
//! that are allocated when they are needed. An idle session can give all of them back.

use std::collections::{TryReserveError, VecDeque};
use std::fmt;

/// Bytes in one block: enough for one system call to be cheap.
pub(crate) const BLOCK: usize = 256 << 10;

pub(crate) struct Store {
    size: usize,
    /// Blocks without a gap, the first of them at block number `first`. Those that no byte was stored in are empty.
    blocks: VecDeque<Vec<u8>>,
    first: u64,
    /// Blocks to use again: memory that is new to the process costs more than the copy into it.
    spare: Vec<Vec<u8>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks of {}", self.blocks(), self.size)
    }
}

impl Store {
    pub fn new(block: usize) -> Self {
        Self {
            size: block,
            blocks: VecDeque::new(),
            first: 0,
            spare: Vec::new(),
        }
    }

    fn locate(&self, position: u64) -> (u64, usize) {
        let size = self.size as u64;
        (position / size, (position % size) as usize)
    }

    /// Where to put bytes from `position` on, which is not released: up to `most`, and fewer at the end of a block.
    pub fn room(&mut self, position: u64, most: u64) -> Result<&mut [u8], TryReserveError> {
        let (number, from) = self.locate(position);
        if self.blocks.is_empty() {
            self.first = number;
        }
        while self.first > number {
            self.blocks.try_reserve(1)?;
            self.blocks.push_front(Vec::new());
            self.first -= 1;
        }
        let index = (number - self.first) as usize;
        while self.blocks.len() <= index {
            self.blocks.try_reserve(1)?;
            self.blocks.push_back(Vec::new());
        }
        let block = &mut self.blocks[index];
        if block.is_empty() {
            match self.spare.pop() {
                Some(spare) => *block = spare,
                None => {
                    block.try_reserve_exact(self.size)?;
                    block.resize(self.size, 0);
                }
            }
        }
        let length = most.min((self.size - from) as u64) as usize;
        Ok(&mut block[from..from + length])
    }

    /// The bytes from `position` on, which were stored: up to `most`, and fewer at the end of a block.
    pub fn bytes(&self, position: u64, most: u64) -> &[u8] {
        let (number, from) = self.locate(position);
        let block = &self.blocks[(number - self.first) as usize];
        let length = most.min((self.size - from) as u64) as usize;
        &block[from..from + length]
    }

    /// Copies bytes in.
    pub fn write(&mut self, mut position: u64, mut bytes: &[u8]) -> Result<(), TryReserveError> {
        while !bytes.is_empty() {
            let room = self.room(position, bytes.len() as u64)?;
            let (now, rest) = bytes.split_at(room.len());
            room.copy_from_slice(now);
            position += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Forgets the bytes below `position`.
    pub fn release(&mut self, position: u64) {
        let (number, _) = self.locate(position);
        while self.first < number {
            let Some(block) = self.blocks.pop_front() else {
                return;
            };
            self.first += 1;
            if !block.is_empty() && self.spare.try_reserve(1).is_ok() {
                self.spare.push(block);
            }
        }
    }

    /// Frees the blocks that hold no bytes. Use it when the session is idle; `position` is where its next byte goes.
    pub fn shrink(&mut self, position: u64) {
        self.release(position);
        self.spare = Vec::new();
    }

    /// Blocks of memory, in use or not.
    pub fn blocks(&self) -> usize {
        self.spare.len() + self.blocks.iter().filter(|block| !block.is_empty()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_by_their_positions() {
        let mut store = Store::new(8);
        let text: Vec<u8> = (0..100).collect();
        store.write(40, &text[40..60]).unwrap();
        store.write(16, &text[16..40]).unwrap();
        assert_eq!(store.bytes(16, 3), &text[16..19]);
        assert_eq!(store.bytes(37, 100), &text[37..40]);
        assert_eq!(store.bytes(59, 1), &text[59..60]);
        assert_eq!(store.blocks(), 6);
    }

    #[test]
    fn released_blocks_are_used_again() {
        let mut store = Store::new(8);
        for position in (0..8_000).step_by(4) {
            store.write(position, b"word").unwrap();
            store.release(position);
        }
        assert!(store.blocks() <= 2, "{}", store.blocks());
        store.shrink(8_000);
        assert_eq!(store.blocks(), 0);
        store.write(8_000, b"more").unwrap();
        assert_eq!(store.bytes(8_000, 4), b"more");
    }

    #[test]
    fn a_gap_takes_no_memory() {
        let mut store = Store::new(8);
        store.write(800, b"far").unwrap();
        assert_eq!(store.blocks(), 1);
        store.write(0, b"near").unwrap();
        assert_eq!(
            (store.bytes(0, 4), store.bytes(800, 3)),
            (&b"near"[..], &b"far"[..])
        );
    }
}
