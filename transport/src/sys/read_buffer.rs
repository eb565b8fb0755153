//! Buffers for reading, initialized or not. This type only ever writes initialized bytes, so its users
//! need no `unsafe`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use super::socket;

/// A buffer that is filled from its start.
pub(crate) struct ReadBuffer<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    /// The number of bytes from the start that are initialized and were read.
    filled: usize,
}

impl<'a> From<&'a mut [u8]> for ReadBuffer<'a> {
    fn from(memory: &'a mut [u8]) -> Self {
        // SAFETY: both have the same layout, and this type writes initialized bytes only.
        Self::from(unsafe { &mut *(std::ptr::from_mut(memory) as *mut [MaybeUninit<u8>]) })
    }
}

impl<'a> From<&'a mut [MaybeUninit<u8>]> for ReadBuffer<'a> {
    fn from(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { memory, filled: 0 }
    }
}

impl<'a> ReadBuffer<'a> {
    pub fn is_full(&self) -> bool {
        self.filled == self.memory.len()
    }

    /// The size of the buffer in bytes.
    pub fn size(&self) -> usize {
        self.memory.len()
    }

    /// The number of bytes that were read.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The bytes that were read.
    pub fn into_filled(self) -> &'a mut [u8] {
        let read = &mut self.memory[..self.filled];
        // SAFETY: these bytes are initialized, and both types have the same layout.
        unsafe { &mut *(std::ptr::from_mut(read) as *mut [u8]) }
    }

    /// Appends as many of `bytes` as there is room for, and returns their number.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.memory[self.filled..];
        let count = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            place.write(*byte);
        }
        self.filled += count;
        count
    }

    /// Receives the available bytes that fit from a socket, and returns their number. Never blocks.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = socket::receive_uninit(socket, &mut self.memory[self.filled..])?;
        self.filled += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn it_is_filled_from_its_start_and_never_beyond_its_end() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuffer::from(&mut memory[..]);
        assert_eq!(buffer.put(b"one"), 3);
        near.write_all(b"two").unwrap();
        assert_eq!(buffer.receive(far.as_fd()).unwrap(), 3);
        let none = buffer.receive(far.as_fd()).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        assert!(!buffer.is_full());
        assert_eq!(buffer.put(b"three"), 2);
        assert!(buffer.is_full());
        assert_eq!((buffer.filled(), buffer.put(b"x")), (8, 0));
        assert_eq!(buffer.into_filled(), b"onetwoth");

        let mut memory = *b"before";
        let mut buffer = ReadBuffer::from(&mut memory[..]);
        assert_eq!(buffer.put(b"af"), 2);
        assert_eq!(buffer.into_filled(), b"af");
        assert_eq!(&memory, b"affore");
    }
}
