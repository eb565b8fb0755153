//! Large messages as they go over a connection: a header of 16 bytes, then the payload.
//!
//! Nothing here knows a socket or the rest of this crate, so that it can be tried on any bytes.

use std::io;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;

/// Bytes of the header.
pub(crate) const HEADER: usize = 16;
/// Payloads that travel so: what is smaller is one datagram, what is larger is refused.
pub(crate) const LENGTHS: RangeInclusive<usize> = 65_508..=67_108_864;

/// How every header begins: the magic, format 1, three zero bytes.
const START: [u8; 12] = *b"DCFTBMSG\x01\0\0\0";

/// The header of a payload. Its length is one of [`LENGTHS`].
pub(crate) fn header(length: usize) -> [u8; HEADER] {
    debug_assert!(LENGTHS.contains(&length));
    let mut header = [0; HEADER];
    header[..START.len()].copy_from_slice(&START);
    header[START.len()..].copy_from_slice(&(length as u32).to_be_bytes());
    header
}

/// Where messages come from.
pub(crate) trait Source {
    /// Reads at least one byte to the start of `room`, and returns the part that was written: nothing at
    /// the end. What a signal interrupts goes on.
    fn read<'r>(&mut self, room: &'r mut [MaybeUninit<u8>]) -> io::Result<&'r mut [u8]>;
}

/// Memory that takes a payload as it comes.
pub(crate) trait Store {
    /// Why there is no more of it.
    type Refusal;

    /// Reads as much as there is room for at once, of `missing` bytes that are still to come; how much
    /// came, 0 at the end.
    fn fill(
        &mut self,
        missing: usize,
        source: &mut impl Source,
    ) -> Result<io::Result<usize>, Self::Refusal>;
}

/// Why there is no whole message.
#[derive(Debug)]
pub(crate) enum Trouble<R> {
    /// What came is not the beginning of a message.
    Malformed(String),
    /// The connection ended within a message: so much of its payload had come.
    Cut { got: usize, length: usize },
    /// The connection failed; also within a message, if that has a length.
    Failed {
        error: io::Error,
        got: usize,
        length: Option<usize>,
    },
    /// There was no memory for it.
    Refused(R),
}

/// Reads the next message into a store that is made when its header is known to be good; `None` when
/// the connection ended before it. No more is asked of the store than what has come.
pub(crate) fn read_message<S: Store>(
    source: &mut impl Source,
    store: impl FnOnce() -> S,
) -> Result<Option<S>, Trouble<S::Refusal>> {
    let Some(length) = read_header(source)? else {
        return Ok(None);
    };
    let mut store = store();
    let mut got = 0;
    while got < length {
        let read = store.fill(length - got, source);
        match read.map_err(Trouble::Refused)? {
            Ok(0) => return Err(Trouble::Cut { got, length }),
            Ok(count) => got += count,
            Err(error) => {
                return Err(Trouble::Failed {
                    error,
                    got,
                    length: Some(length),
                })
            }
        }
    }
    Ok(Some(store))
}

/// The length that the next header tells.
fn read_header<R>(source: &mut impl Source) -> Result<Option<usize>, Trouble<R>> {
    let mut header = [0; HEADER];
    let mut room = [MaybeUninit::uninit(); HEADER];
    let mut got = 0;
    while got < HEADER {
        match source.read(&mut room[got..]) {
            Ok([]) if got == 0 => return Ok(None),
            Ok([]) => {
                let what = format!("it ended within a header, after {got} bytes");
                return Err(Trouble::Malformed(what));
            }
            Ok(read) => {
                header[got..][..read.len()].copy_from_slice(read);
                got += read.len();
            }
            Err(error) => {
                return Err(Trouble::Failed {
                    error,
                    got: 0,
                    length: None,
                })
            }
        }
        // At once: who says something else may say no more.
        let known = got.min(START.len());
        if header[..known] != START[..known] {
            let what = format!("it begins with \"{}\"", header[..got].escape_ascii());
            return Err(Trouble::Malformed(what));
        }
    }
    let [.., a, b, c, d] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !LENGTHS.contains(&length) {
        let what = format!("a message of {length} bytes is none that travels so");
        return Err(Trouble::Malformed(what));
    }
    Ok(Some(length))
}

/// Bytes that are there already.
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
        // SAFETY: all of it was written, and both have the same layout.
        Ok(unsafe { &mut *(std::ptr::from_mut(room) as *mut [u8]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what comes, up to a limit, in rooms of `step` bytes.
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

    /// A source that gives at most `step` bytes a time.
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
            Err(Trouble::Malformed(what)) => what,
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
        assert_eq!(read(b"GET / HTTP/1.1"), "it begins with \"GET / HTTP/1.1\"");
    }

    #[test]
    fn a_message_that_ends_early_or_finds_no_room_is_none() {
        let whole = message(65_508, 3);
        for end in [HEADER, HEADER + 1, whole.len() - 1] {
            let cut = read_message(&mut &whole[..end], || kept(4096, usize::MAX));
            match cut.map(|_| ()) {
                Err(Trouble::Cut { got, length }) => {
                    assert_eq!((got, length), (end - HEADER, 65_508));
                }
                other => panic!("{other:?}"),
            }
        }
        let refused = read_message(&mut &*whole, || kept(4096, 8192)).map(|_| ());
        assert!(matches!(refused, Err(Trouble::Refused("full"))));
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
                Err(Trouble::Failed { error, got, length }) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    assert_eq!((got, length), (sent.saturating_sub(HEADER), expected));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
