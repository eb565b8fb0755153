//! Parts of errors that the variants have no fields for: the text of a time-out, which its thread
//! keeps, and the errno, which is parsed from the text.

use std::cell::RefCell;
use std::fmt::{self, Write};

/// The most bytes of a text that are kept.
const MAX_TEXT: usize = 1000;

/// A text in an array: storing it needs no memory, and the thread has none to free when it exits.
struct Text {
    length: usize,
    bytes: [u8; MAX_TEXT],
}

thread_local! {
    static LAST: RefCell<Text> = const { RefCell::new(Text { length: 0, bytes: [0; MAX_TEXT] }) };
}

impl Write for Text {
    /// Appends as many whole characters as fit.
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = MAX_TEXT - self.length;
        let mut end = piece.len().min(room);
        while !piece.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes[self.length..self.length + end].copy_from_slice(&piece.as_bytes()[..end]);
        self.length += end;
        match end == piece.len() {
            true => Ok(()),
            // Stop here: a shorter later piece would fit, and leave a gap in the text.
            false => Err(fmt::Error),
        }
    }
}

/// Keeps the text of this thread's last time-out.
#[cold]
pub(super) fn record(text: impl fmt::Display) {
    let mut new = Text {
        length: 0,
        bytes: [0; MAX_TEXT],
    };
    // An error means that the text was truncated.
    let _ = write!(new, "{text}");
    LAST.with_borrow_mut(|last| {
        last.length = new.length;
        last.bytes[..new.length].copy_from_slice(&new.bytes[..new.length]);
    });
}

/// The text of this thread's last time-out, if there was one.
pub(super) fn last() -> Option<String> {
    LAST.with_borrow(|last| {
        let text = std::str::from_utf8(&last.bytes[..last.length]).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// The errno of a text that ends with an error of the operating system, as `io::Error` prints it.
pub(super) fn errno(text: &str) -> Option<i32> {
    let (_, number) = text.strip_suffix(')')?.rsplit_once(" (os error ")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn each_thread_has_its_own_last_text() {
        assert_eq!(last(), None);
        record("first");
        record(format_args!("{} {}", "second", 2));
        assert_eq!(last().as_deref(), Some("second 2"));
        std::thread::spawn(|| assert_eq!(last(), None))
            .join()
            .unwrap();
        assert_eq!(last().as_deref(), Some("second 2"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        record(format_args!("x{}{}", "é".repeat(MAX_TEXT), "tail"));
        let text = last().unwrap();
        assert_eq!(text.len(), MAX_TEXT - 1);
        assert!(text.starts_with("xé") && text.ends_with('é'));
        record("y");
        assert_eq!(last().as_deref(), Some("y"));
    }

    /// The standard library prints every error of the operating system like this.
    #[test]
    fn the_errno_of_any_answer_is_read_back() {
        for number in (1..200).chain([512, i32::MAX]) {
            let answer = io::Error::from_raw_os_error(number);
            assert_eq!(errno(&format!("cannot read: {answer}")), Some(number));
        }
    }

    #[test]
    fn only_the_end_of_a_text_is_an_answer() {
        for text in [
            "",
            ")",
            "cannot read",
            "cannot read: connection refused",
            "cannot reach \"(os error 5)\"",
            "cannot read (os error 5) any further",
            "cannot read (os error x)",
            "cannot read (os error 99999999999)",
        ] {
            assert_eq!(errno(text), None, "{text:?}");
        }
    }
}
