//! The format of large messages on a connection: a header of 16 bytes, then the payload.
//!
//! This file uses no socket and nothing else of this crate, so that a fuzzer can include it.

use std::io;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;

/// The size of the header in bytes.
pub(crate) const HEADER: usize = 16;
/// The sizes of payloads in this format. Smaller messages are datagrams, and larger ones are refused.
pub(crate) const LENGTHS: RangeInclusive<usize> = 65_508..=67_108_864;

/// The start of every header: the magic, format 1, three zero bytes.
const START: [u8; 12] = *b"DCFTBMSG\x01\0\0\0";

/// The header of a payload. The length is within [`LENGTHS`].
pub(crate) fn header(length: usize) -> [u8; HEADER] {
    debug_assert!(LENGTHS.contains(&length));
    let mut header = [0; HEADER];
    header[..START.len()].copy_from_slice(&START);
    header[START.len()..].copy_from_slice(&(length as u32).to_be_bytes());
    header
}

/// A source of bytes.
pub(crate) trait Source {
    /// Reads at least one byte to the start of `room`, and returns the part that was written. It is
    /// empty at the end. Interruptions by signals are retried.
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]>;
}

/// Memory for a payload that is arriving.
pub(crate) trait Store {
    /// Why there is no more memory.
    type Refusal;

    /// Reads as many of the `missing` bytes as there is room for, with one call to `source`. Returns
    /// how many came, 0 at the end.
    fn fill(
        &mut self,
        missing: usize,
        source: &mut impl Source,
    ) -> Result<io::Result<usize>, Self::Refusal>;
}

/// Why there is no complete message.
#[derive(Debug)]
pub(crate) enum ReadError<R> {
    /// The bytes are not the header of a message.
    Malformed(String),
    /// The connection ended within a message, after `got` bytes of the payload.
    Truncated { got: usize, length: usize },
    /// The connection failed, within a message if `length` is there.
    Failed {
        error: io::Error,
        got: usize,
        length: Option<usize>,
    },
    /// The store had no memory for it.
    Refused(R),
}

/// Reads the next message. Creates the store after a valid header, so that a claimed length alone
/// costs no memory. `None` if the connection ended before the header.
pub(crate) fn read_message<S: Store>(
    source: &mut impl Source,
    store: impl FnOnce() -> S,
) -> Result<Option<S>, ReadError<S::Refusal>> {
    let Some(length) = read_header(source)? else {
        return Ok(None);
    };
    let mut store = store();
    let mut got = 0;
    while got < length {
        let read = store.fill(length - got, source);
        match read.map_err(ReadError::Refused)? {
            Ok(0) => return Err(ReadError::Truncated { got, length }),
            Ok(count) => got += count,
            Err(error) => {
                return Err(ReadError::Failed {
                    error,
                    got,
                    length: Some(length),
                })
            }
        }
    }
    Ok(Some(store))
}

/// The length in the next header.
fn read_header<R>(source: &mut impl Source) -> Result<Option<usize>, ReadError<R>> {
    let mut header = [0; HEADER];
    let mut room = [MaybeUninit::uninit(); HEADER];
    let mut got = 0;
    while got < HEADER {
        match source.read(&mut room[got..]) {
            Ok([]) if got == 0 => return Ok(None),
            Ok([]) => {
                let what = format!("the connection ended within a header, after {got} bytes");
                return Err(ReadError::Malformed(what));
            }
            Ok(read) => {
                header[got..][..read.len()].copy_from_slice(read);
                got += read.len();
            }
            Err(error) => {
                return Err(ReadError::Failed {
                    error,
                    got: 0,
                    length: None,
                })
            }
        }
        // Checked after each read: a peer of another protocol may send fewer bytes than a header.
        let known = got.min(START.len());
        if header[..known] != START[..known] {
            let what = format!("the data begins with \"{}\"", header[..got].escape_ascii());
            return Err(ReadError::Malformed(what));
        }
    }
    let [.., a, b, c, d] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !LENGTHS.contains(&length) {
        let what = format!(
            "the header announces {length} bytes; large messages have {} to {}",
            LENGTHS.start(),
            LENGTHS.end()
        );
        return Err(ReadError::Malformed(what));
    }
    Ok(Some(length))
}

/// Bytes in memory.
#[cfg(any(test, fuzzing))]
impl Source for &[u8] {
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
        let count = room.len().min(self.len());
        let (now, later) = self.split_at(count);
        *self = later;
        let room = &mut room[..count];
        for (place, byte) in room.iter_mut().zip(now) {
            place.write(*byte);
        }
        // SAFETY: all of it was written, and both types have the same layout.
        Ok(unsafe { &mut *(std::ptr::from_mut(room) as *mut [u8]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps up to `limit` bytes, and reads `step` bytes at once.
    struct Kept {
        bytes: Vec<u8>,
        step: usize,
        limit: usize,
    }

    impl Store for Kept {
        type Refusal = &'static str;

        fn fill(
            &mut self,
            missing: usize,
            source: &mut impl Source,
        ) -> Result<io::Result<usize>, Self::Refusal> {
            assert!(missing > 0);
            if self.bytes.len() >= self.limit {
                return Err("full");
            }
            let mut room = vec![MaybeUninit::uninit(); missing.min(self.step)];
            Ok(source.read(&mut room).map(|read| {
                self.bytes.extend_from_slice(read);
                read.len()
            }))
        }
    }

    fn kept(step: usize, limit: usize) -> Kept {
        Kept {
            bytes: Vec::new(),
            step,
            limit,
        }
    }

    /// A source that gives at most `step` bytes at once.
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

    fn dribble(bytes: &[u8], step: usize) -> Dribble<'_> {
        Dribble { bytes, step }
    }

    fn message(length: usize, seed: u8) -> Vec<u8> {
        let payload = (0..length).map(|place| (place as u8).wrapping_mul(31).wrapping_add(seed));
        header(length).into_iter().chain(payload).collect()
    }

    #[test]
    fn the_header_is_that_of_the_protocol() {
        assert_eq!(header(65_508), *b"DCFTBMSG\x01\0\0\0\x00\x00\xff\xe4");
        assert_eq!(header(67_108_864), *b"DCFTBMSG\x01\0\0\0\x04\x00\x00\x00");
    }

    #[test]
    fn messages_follow_one_another_whatever_pieces_they_come_in() {
        let (first, second) = (message(65_508, 1), message(100_000, 2));
        let both = [&first[..], &second].concat();
        for (come, go) in [(1, 1000), (7, 16), (1 << 20, 1 << 20), (16, 65_508)] {
            let mut source = dribble(&both, come);
            for expected in [&first, &second] {
                let store = read_message(&mut source, || kept(go, usize::MAX));
                let store = store.unwrap().expect("a message");
                assert!(store.bytes == expected[HEADER..]);
            }
            let end = read_message(&mut source, || kept(go, 0)).unwrap();
            assert!(end.is_none());
        }
    }

    #[test]
    fn what_is_no_header_is_malformed_at_its_first_wrong_byte() {
        let good = header(65_508);
        let read = |bytes: &[u8]| match read_message(&mut &*bytes, || kept(1, 0)) {
            Err(ReadError::Malformed(what)) => what,
            other => panic!("{bytes:?}: {:?}", other.map(|_| ())),
        };
        for place in 0..START.len() {
            for bit in 0..8 {
                let mut bad = good;
                bad[place] ^= 1 << bit;
                read(&bad[..=place]);
                read(&bad);
            }
        }
        for length in [0, 1, 65_507, 67_108_865, u32::MAX] {
            let mut bad = good;
            bad[12..].copy_from_slice(&length.to_be_bytes());
            assert!(read(&bad).contains(&length.to_string()));
        }
        for end in 1..HEADER {
            assert!(read(&good[..end]).contains("within a header"));
        }
        assert_eq!(
            read(b"GET / HTTP/1.1"),
            "the data begins with \"GET / HTTP/1.1\""
        );
    }

    #[test]
    fn a_message_that_ends_early_or_finds_no_room_is_none() {
        let whole = message(65_508, 3);
        for end in [HEADER, HEADER + 1, whole.len() - 1] {
            let cut = read_message(&mut &whole[..end], || kept(4096, usize::MAX));
            match cut.map(|_| ()) {
                Err(ReadError::Truncated { got, length }) => {
                    assert_eq!((got, length), (end - HEADER, 65_508));
                }
                other => panic!("{other:?}"),
            }
        }
        let refused = read_message(&mut &*whole, || kept(4096, 8192)).map(|_| ());
        assert!(matches!(refused, Err(ReadError::Refused("full"))));
    }

    #[test]
    fn a_failing_source_is_told_from_an_end() {
        struct Broken(Vec<u8>);
        impl Source for Broken {
            fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]> {
                if self.0.is_empty() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let read = (&self.0[..]).read(room)?;
                self.0.drain(..read.len());
                Ok(read)
            }
        }
        for (sent, expected) in [(0, None), (5, None), (116, Some(65_508))] {
            let mut source = Broken(message(65_508, 4)[..sent].to_vec());
            match read_message(&mut source, || kept(64, usize::MAX)).map(|_| ()) {
                Err(ReadError::Failed { error, got, length }) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    assert_eq!((got, length), (sent.saturating_sub(HEADER), expected));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
