//! The last error of each thread, as a text.

use std::cell::RefCell;
use std::ffi::c_char;

use crate::boundary;
use crate::failure::Failure;
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;

/// The maximum length of an error text. Only values from the caller make a text this long.
const LONGEST: usize = 1000;

/// A failure. It is stored in place, so it needs no memory, and the end of the thread frees
/// nothing.
struct LastError {
    function: &'static str,
    errno: i32,
    length: usize,
    text: [u8; LONGEST],
}

thread_local! {
    static LAST: RefCell<LastError> = const {
        RefCell::new(LastError { function: "", errno: 0, length: 0, text: [0; LONGEST] })
    };
}

impl LastError {
    fn text(&self) -> &str {
        // `record` cuts only between characters.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

/// Stores the failure for `dcf_tb_last_error` and returns its status.
#[cold]
pub(crate) fn record(function: &'static str, failure: Failure) -> dcf_tb_status {
    LAST.with_borrow_mut(|last| {
        last.function = function;
        last.errno = failure.errno;
        last.length = end_of_character(&failure.text, LONGEST);
        let text = &failure.text.as_bytes()[..last.length];
        last.text[..text.len()].copy_from_slice(text);
    });
    failure.status
}

/// The largest length up to `most` that ends between two characters.
fn end_of_character(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Copies whole characters of the text, as many as fit, and a NUL. Returns the full length of the
/// text.
///
/// # Safety
///
/// `buf` is NULL, or `cap` bytes can be written there.
unsafe fn copy_cut(pieces: &[&str], buf: *mut c_char, cap: usize) -> usize {
    let room = if buf.is_null() { 0 } else { cap };
    let mut written = 0;
    let mut length = 0;
    for piece in pieces {
        // After a piece was cut, `written` is less than `length`, and no further piece is copied.
        if written == length && room > 0 {
            let end = end_of_character(piece, room - 1 - written);
            // SAFETY: `written + end` < `room`, and the caller's buffer does not overlap the text.
            unsafe {
                std::ptr::copy_nonoverlapping(piece.as_ptr().cast(), buf.add(written), end);
            }
            written += end;
        }
        length += piece.len();
    }
    if room > 0 {
        // SAFETY: `written` < `room`.
        unsafe { buf.add(written).write(0) };
    }
    length
}

/// Copies the text of this thread's last error into `buf`: the function that failed, the offending
/// value, and the reason that the operating system gave.
///
/// A successful call does not clear the text. Before the first error it is empty. Works in a forked
/// child.
///
/// - `buf`, `cap`: the buffer and its size in bytes; 1100 bytes are always enough. A text that does
///   not fit is cut between two characters, and always ends with a NUL if `cap` > 0. `(NULL, 0)`
///   only returns the length.
///
/// Ownership: the text is a copy that belongs to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns: the full length in bytes without the NUL, even if the text was cut.
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_last_error(buf: *mut c_char, cap: usize) -> usize {
    boundary::or_default(|| {
        LAST.with_borrow(|last| {
            let colon = if last.function.is_empty() { "" } else { ": " };
            // SAFETY: the caller's promise about `buf` and `cap`.
            unsafe { copy_cut(&[last.function, colon, last.text()], buf, cap) }
        })
    })
}

/// Returns the errno of this thread's last error. Works in a forked child.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns: the errno, or 0 if the error did not come from the operating system.
#[no_mangle]
pub extern "C" fn dcf_tb_last_errno() -> i32 {
    boundary::or_default(|| LAST.with_borrow(|last| last.errno))
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_last_error,
    dcf_tb_last_errno,
}

/// The text of `dcf_tb_last_error`, for tests.
#[cfg(test)]
pub(crate) fn text() -> String {
    let mut buf = vec![0_u8; 4096];
    // SAFETY: the buffer has the size that is passed.
    let len = unsafe { dcf_tb_last_error(buf.as_mut_ptr().cast(), buf.len()) };
    buf.truncate(len);
    String::from_utf8(buf).expect("the last error is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that a C caller with a buffer of `cap` bytes sees, and the length returned.
    fn read(cap: usize) -> (Vec<u8>, usize) {
        let mut buf = vec![0x55_u8; cap + 1];
        // SAFETY: the buffer has room for `cap` bytes.
        let len = unsafe { dcf_tb_last_error(buf.as_mut_ptr().cast(), cap) };
        assert_eq!(buf[cap], 0x55, "wrote beyond the buffer");
        let text = buf[..cap].iter().position(|&byte| byte == 0);
        assert_eq!(text.is_some(), cap > 0, "a NUL whenever there is room");
        buf.truncate(text.unwrap_or(0));
        (buf, len)
    }

    fn fail(text: &'static str, errno: i32) {
        let failure = Failure {
            status: 7,
            text: text.into(),
            errno,
        };
        assert_eq!(record("f", failure), 7);
    }

    #[test]
    fn says_what_failed_last_on_this_thread() {
        assert_eq!(read(10), (vec![], 0));
        fail("first", 5);
        fail("second", 0);
        assert_eq!(read(100), (b"f: second".to_vec(), 9));
        assert_eq!(dcf_tb_last_errno(), 0);
        fail("third", 13);
        assert_eq!(dcf_tb_last_errno(), 13);
        std::thread::spawn(|| assert_eq!((read(9), dcf_tb_last_errno()), ((vec![], 0), 0)))
            .join()
            .unwrap();
    }

    #[test]
    fn cuts_at_whole_characters_and_always_ends() {
        fail("aé€.", 0);
        let whole = "f: aé€.".as_bytes();
        // The number of bytes that fit, for each size of the buffer: é has two bytes, € has three.
        let fit = [0, 0, 1, 2, 3, 4, 4, 6, 6, 6, 9, 10, 10];
        for (cap, &fit) in fit.iter().enumerate() {
            assert_eq!(read(cap), (whole[..fit].to_vec(), 10), "cap {cap}");
        }
    }

    #[test]
    fn no_text_is_longer_than_there_is_room_for() {
        let failure = Failure::new(7, "é".repeat(LONGEST));
        assert_eq!(record("f", failure), 7);
        let (text, length) = read(2 * LONGEST);
        assert_eq!((text.len(), length), (3 + LONGEST, 3 + LONGEST));
        let failure = Failure::new(7, format!("x{}", "é".repeat(LONGEST)));
        record("f", failure);
        assert_eq!(read(2 * LONGEST).1, 3 + LONGEST - 1, "cut at a character");
    }

    #[test]
    fn null_asks_for_the_length() {
        fail("xyz", 0);
        // SAFETY: NULL is allowed.
        let lengths = unsafe { [0, 50].map(|cap| dcf_tb_last_error(std::ptr::null_mut(), cap)) };
        assert_eq!(lengths, [6, 6]);
    }
}
