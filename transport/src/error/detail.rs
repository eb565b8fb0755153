//! What an error's shape has no room for: the text of a time-out, kept by its thread, and the errno,
//! read from the text.

use std::cell::RefCell;
use std::fmt::{self, Write};

/// The bytes of a text that are kept.
const LONGEST: usize = 1000;

/// A text. In place, so that there is always memory for it, and nothing to be freed when the thread
/// ends.
struct Text {
    length: usize,
    bytes: [u8; LONGEST],
}

thread_local! {
    static LAST: RefCell<Text> = const { RefCell::new(Text { length: 0, bytes: [0; LONGEST] }) };
}

impl Write for Text {
    /// Takes as much as fits, in whole characters.
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = LONGEST - self.length;
        let mut end = piece.len().min(room);
        while !piece.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes[self.length..self.length + end].copy_from_slice(&piece.as_bytes()[..end]);
        self.length += end;
        match end == piece.len() {
            true => Ok(()),
            // A shorter piece that follows would fit, and is not what follows in the text.
            false => Err(fmt::Error),
        }
    }
}

/// Keeps what is to be said of this thread's last time-out.
#[cold]
pub(super) fn record(text: impl fmt::Display) {
    let mut new = Text {
        length: 0,
        bytes: [0; LONGEST],
    };
    // An error only means that it was cut.
    let _ = write!(new, "{text}");
    LAST.with_borrow_mut(|last| {
        last.length = new.length;
        last.bytes[..new.length].copy_from_slice(&new.bytes[..new.length]);
    });
}

/// What is to be said of this thread's last time-out, if there was one.
pub(super) fn last() -> Option<String> {
    LAST.with_borrow(|last| {
        let text = std::str::from_utf8(&last.bytes[..last.length]).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// The errno of a text that ends with an operating system's answer, as `io::Error` prints it.
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
        record(format_args!("x{}{}", "é".repeat(LONGEST), "tail"));
        let text = last().unwrap();
        assert_eq!(text.len(), LONGEST - 1);
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
