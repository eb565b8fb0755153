//! Conversions between the caller's pointers and Rust values. All functions here trust the caller
//! in one point: a pointer that is not NULL points to as much memory as the header says.

use std::ffi::{c_char, CStr, CString};
use std::time::Duration;

use thunderbolt_transport::TransportError;

use crate::failure::{Failure, Outcome};
use crate::status::{DCF_TB_ERR_INVALID_ADDRESS, DCF_TB_ERR_OUT_OF_RANGE};
use crate::types::{DCF_TB_PEER_SIZE, DCF_TB_WAIT_FOREVER};

/// An out-pointer that is not NULL.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// `pointer` is NULL, or a `T` can be written there during the call.
    #[inline]
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self, Failure> {
        if pointer.is_null() {
            return Err(Failure::null(name));
        }
        Ok(Self(pointer))
    }

    #[inline]
    pub(crate) fn set(&self, value: T) {
        // SAFETY: not NULL, and writable by the contract of `new`.
        unsafe { self.0.write(value) }
    }
}

/// Sets a count to 0 before the first check that can fail, because counts are also reported on
/// errors.
///
/// # Safety
///
/// `count` is NULL, or a `T` can be written there.
#[inline]
pub(crate) unsafe fn zero_count<T: From<u8>>(count: *mut T) {
    if !count.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { count.write(T::from(0)) }
    }
}

/// A piece of the caller's memory that was passed to a call.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    name: &'static str,
    start: usize,
    size: usize,
    written: bool,
}

impl Region {
    /// `count` elements that the call writes. NULL is an empty region.
    #[inline]
    pub(crate) fn written<T>(name: &'static str, pointer: *const T, count: usize) -> Self {
        let size = match pointer.is_null() {
            true => 0,
            false => count.saturating_mul(size_of::<T>()),
        };
        Self {
            name,
            start: pointer.addr(),
            size,
            written: true,
        }
    }

    /// `count` elements that the call only reads.
    #[inline]
    pub(crate) fn read<T>(name: &'static str, pointer: *const T, count: usize) -> Self {
        Self {
            written: false,
            ..Self::written(name, pointer, count)
        }
    }

    /// A string that the call reads, with its NUL.
    #[inline]
    pub(crate) fn text(name: &'static str, text: &str) -> Self {
        Self::read(name, text.as_ptr(), text.len() + 1)
    }

    #[inline]
    fn overlaps(&self, other: &Self) -> bool {
        // They overlap if the later one begins before the earlier one ends. An empty region
        // overlaps none.
        let (low, high) = match self.start <= other.start {
            true => (self, other),
            false => (other, self),
        };
        high.start - low.start < low.size && high.size > 0
    }
}

/// Refuses memory that is written to and overlaps other memory of the same call. Rust does not
/// allow two such references, and in C the result would be undefined. Must be called before a
/// reference exists.
#[inline]
pub(crate) fn reject_overlap(regions: &[Region]) -> Outcome {
    for (n, one) in regions.iter().enumerate() {
        for other in &regions[n + 1..] {
            if (one.written || other.written) && one.overlaps(other) {
                return Err(overlapping(one, other));
            }
        }
    }
    Ok(())
}

#[cold]
fn overlapping(one: &Region, other: &Region) -> Failure {
    let (a, b) = (one.name, other.name);
    Failure::new(
        DCF_TB_ERR_OUT_OF_RANGE,
        format!(
            "{a} ({} bytes at {:#x}) and {b} ({} bytes at {:#x}) overlap: pass separate memory for each",
            one.size, one.start, other.size, other.start
        ),
    )
}

/// Slices are at most half of the address space long.
#[inline]
fn check_size(name: &str, size: usize) -> Outcome {
    if size > isize::MAX as usize {
        return Err(too_large(name, size));
    }
    Ok(())
}

#[cold]
fn too_large(name: &str, size: usize) -> Failure {
    Failure::out_of_range(
        &format!("the size of {name}"),
        size,
        "no buffer can be that large",
    )
}

/// Bytes to read. `(NULL, 0)` is an empty buffer.
///
/// # Safety
///
/// `data` is NULL, or points to `len` bytes that do not change during the call.
#[inline(always)]
pub(crate) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    name: &str,
) -> Result<&'a [u8], Failure> {
    if data.is_null() {
        return if len == 0 {
            Ok(&[])
        } else {
            Err(Failure::null(name))
        };
    }
    check_size(name, len)?;
    // SAFETY: not NULL, not too long, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// A buffer to fill. `(NULL, 0)` is an empty buffer.
///
/// # Safety
///
/// `buf` is NULL, or points to `cap` bytes that no other code uses during the call.
#[inline]
pub(crate) unsafe fn buffer<'a, T>(
    buf: *mut T,
    cap: usize,
    name: &str,
) -> Result<&'a mut [T], Failure> {
    if buf.is_null() {
        return if cap == 0 {
            Ok(&mut [])
        } else {
            Err(Failure::null(name))
        };
    }
    check_size(name, cap.saturating_mul(size_of::<T>()))?;
    // SAFETY: not NULL, not too long, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(buf, cap) })
}

/// A peer string.
///
/// # Safety
///
/// `peer` is NULL, or points to a NUL-terminated string that does not change during the call.
#[inline(always)]
pub(crate) unsafe fn peer<'a>(peer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if peer.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(peer) };
    if is_ascii(text.to_bytes()) {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { std::str::from_utf8_unchecked(text.to_bytes()) });
    }
    non_ascii_peer(text, name)
}

/// Nearly all peer strings are ASCII, and this check takes a tenth of the instructions of a UTF-8
/// check. It reads eight bytes per step; the last step overlaps the one before.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(&last) = bytes.last_chunk() else {
        return bytes.is_ascii();
    };
    let word = |eight: &[u8]| eight.try_into().map_or(HIGH, u64::from_ne_bytes);
    let eights = bytes.chunks_exact(8);
    let all = eights.fold(u64::from_ne_bytes(last), |all, eight| all | word(eight));
    all & HIGH == 0
}

/// A peer string with characters other than ASCII, which interface names may have.
#[cold]
fn non_ascii_peer<'a>(text: &'a CStr, name: &str) -> Result<&'a str, Failure> {
    text.to_str().map_err(|_| {
        let text = format!("{name} {text:?} is not UTF-8");
        Failure::new(DCF_TB_ERR_INVALID_ADDRESS, text)
    })
}

/// Copies a text with its NUL to the caller, after the checks of the out-pointers: see [`copy_text`].
///
/// # Safety
///
/// `buf` is NULL or `cap` bytes can be written there, and `len` is NULL or can be written.
pub(crate) unsafe fn text_out(
    text: &str,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> Outcome {
    reject_overlap(&[
        Region::written("buf", buf, cap),
        Region::written("len", len, 1),
    ])?;
    // SAFETY: the caller's promise about `len`.
    let len = unsafe { Out::new(len, "len") }?;
    // SAFETY: the caller's promise about `buf` and `cap`.
    let buf = unsafe { buffer(buf.cast(), cap, "buf") }?;
    copy_text(text, buf, &len)
}

/// Copies a text with its NUL. `len` receives the length or, if the text does not fit, the size
/// needed.
fn copy_text(text: &str, buf: &mut [u8], len: &Out<usize>) -> Outcome {
    let needed = text.len() + 1;
    if buf.len() < needed {
        len.set(needed);
        let size = buf.len();
        let buffer = "buf";
        return Err(TransportError::BufferTooSmall {
            buffer,
            size,
            needed,
        }
        .into());
    }
    write_text(text, buf);
    len.set(text.len());
    Ok(())
}

/// Writes a text and its NUL into a buffer that is large enough.
#[inline]
pub(crate) fn write_text(text: &str, buf: &mut [u8]) {
    buf[..text.len()].copy_from_slice(text.as_bytes());
    buf[text.len()] = 0;
}

/// A peer string as a member of a struct, padded with zero bytes. Every peer string fits.
pub(crate) fn peer_member(text: &str) -> [c_char; DCF_TB_PEER_SIZE] {
    let mut member = [0; DCF_TB_PEER_SIZE];
    write_text(text, &mut member);
    member.map(|byte| byte as c_char)
}

/// A text for a callback.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Converts a timeout for the transport: `None` is no limit.
#[inline]
pub(crate) fn timeout(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != DCF_TB_WAIT_FOREVER).then(|| Duration::from_millis(timeout_ms.into()))
}

/// Converts a time to nanoseconds. More than 500 years fit.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::DCF_TB_ERR_NULL_POINTER;
    use std::ptr::{null, null_mut};

    #[test]
    fn null_is_an_empty_buffer_and_nothing_else() {
        // SAFETY: NULL is allowed, and sizes that are too large are refused before any access.
        unsafe {
            assert_eq!(bytes(null(), 0, "data").unwrap(), b"");
            assert_eq!(buffer::<u8>(null_mut(), 0, "buf").unwrap(), b"");
            for failure in [
                bytes(null(), 1, "data").unwrap_err(),
                buffer::<u8>(null_mut(), 1, "data").unwrap_err(),
                peer(null(), "data").unwrap_err(),
                Out::<u8>::new(null_mut(), "data").err().unwrap(),
            ] {
                assert_eq!(failure.status, DCF_TB_ERR_NULL_POINTER);
                assert_eq!(failure.text, "data is NULL");
            }
            let failure = bytes(b"".as_ptr(), usize::MAX, "data").unwrap_err();
            assert_eq!(failure.status, DCF_TB_ERR_OUT_OF_RANGE);
        }
    }

    #[test]
    fn overlapping_memory_is_found_wherever_it_begins() {
        let memory = [0_u8; 64];
        let at = |start: usize| memory[start..].as_ptr();
        // All pairs of ranges of up to 5 bytes within 12 bytes.
        for (a, b) in (0..12).flat_map(|a| (0..12).map(move |b| (a, b))) {
            for (long, short) in (0..6).flat_map(|l| (0..6).map(move |s| (l, s))) {
                let together = (a..a + long).any(|byte| (b..b + short).contains(&byte));
                let (one, other) = (
                    Region::written("one", at(a), long),
                    Region::read("other", at(b), short),
                );
                for pair in [[one, other], [other, one]] {
                    assert_eq!(
                        reject_overlap(&pair).is_err(),
                        together,
                        "{a}+{long} {b}+{short}"
                    );
                }
                let read = [one, other].map(|region| Region {
                    written: false,
                    ..region
                });
                assert!(
                    reject_overlap(&read).is_ok(),
                    "reading the same twice does no harm"
                );
            }
        }
        let null = Region::written("null", null::<u64>(), 9);
        assert!(reject_overlap(&[null, null]).is_ok());
        let all = Region::written("all", at(0), usize::MAX);
        let failure = reject_overlap(&[null, all, Region::written("len", at(8), 8)]).unwrap_err();
        assert_eq!(failure.status, DCF_TB_ERR_OUT_OF_RANGE);
        assert!(failure.text.starts_with("all (") && failure.text.contains("and len (8 bytes"));
    }

    #[test]
    fn peers_are_utf8() {
        // SAFETY: both are NUL-terminated.
        unsafe {
            assert_eq!(peer(c"::1%lo".as_ptr(), "peer").unwrap(), "::1%lo");
            for text in [c"fe80::1%\u{e9}th0", c"\u{e9}", c"fe80::1234%abc\u{e9}"] {
                assert_eq!(peer(text.as_ptr(), "peer").unwrap(), text.to_str().unwrap());
            }
            let failure = peer(c"\xff%lo".as_ptr(), "peer").unwrap_err();
            assert_eq!(failure.status, DCF_TB_ERR_INVALID_ADDRESS);
            assert_eq!(failure.text, r#"peer "\xff%lo" is not UTF-8"#);
        }
    }

    #[test]
    fn every_byte_is_looked_at() {
        for len in 0..40 {
            let mut bytes = vec![0x7F; len];
            assert!(is_ascii(&bytes));
            for n in 0..len {
                bytes[n] = 0x80;
                assert!(!is_ascii(&bytes), "{n} of {len}");
                bytes[n] = 0x7F;
            }
        }
    }

    #[test]
    fn texts_are_copied_whole_or_not_at_all() {
        let mut len = 77;
        // SAFETY: `len` outlives the pointer.
        let out = unsafe { Out::new(&mut len, "len") }.unwrap();
        let mut buf = [9_u8; 4];
        assert!(copy_text("lo", &mut buf, &out).is_ok());
        assert_eq!((&buf, len), (b"lo\0\x09", 2));
        let mut buf = [9_u8; 2];
        let failure = copy_text("lo", &mut buf, &out).unwrap_err();
        assert_eq!((&buf, len), (b"\x09\x09", 3));
        assert_eq!(
            failure.text,
            "buf is too small: it has 2 bytes, and 3 are needed"
        );
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout(0), Some(Duration::ZERO));
        assert_eq!(timeout(1500), Some(Duration::from_millis(1500)));
        assert_eq!(
            timeout(0xFFFF_FFFE),
            Some(Duration::from_millis(0xFFFF_FFFE))
        );
        assert_eq!(timeout(DCF_TB_WAIT_FOREVER), None);
        assert_eq!(nanoseconds(Duration::from_micros(7)), 7000);
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }
}
