//! What is printed, and how much of it. Colour is for terminals only, and for nobody who set
//! NO_COLOR: anstream takes it away elsewhere.

use std::io::{self, ErrorKind, Write};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

use indicatif::MultiProgress;

/// How much is said beside the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Everything,
}

static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);
/// Bars that have to step aside while a line is printed.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

pub fn wants(verbosity: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= verbosity as u8
}

/// The bars that are on the screen from now on.
pub fn set_bars(bars: Option<MultiProgress>) {
    *BARS.lock().unwrap_or_else(|error| error.into_inner()) = bars;
}

fn beside_bars(print: impl FnOnce()) {
    let bars = BARS.lock().unwrap_or_else(|error| error.into_inner());
    match &*bars {
        Some(bars) => bars.suspend(print),
        None => print(),
    }
}

/// A line of the result, on standard output.
pub fn line(text: &str) {
    beside_bars(|| or_end(writeln!(anstream::stdout().lock(), "{text}")));
}

/// Bytes of the result as they are.
pub fn bytes(data: &[u8]) {
    beside_bars(|| {
        let mut out = io::stdout().lock();
        or_end(out.write_all(data).and_then(|()| out.flush()));
    });
}

/// What a person wants to know beside the result, on standard error.
pub fn note(text: &str) {
    if wants(Verbosity::Normal) {
        error(text);
    }
}

/// What only some want to know.
pub fn detail(text: &str) {
    if wants(Verbosity::Verbose) {
        error(text);
    }
}

/// What has to be said even to who wants quiet.
pub fn error(text: &str) {
    // If nobody reads it, there is nobody to tell.
    beside_bars(|| drop(writeln!(anstream::stderr().lock(), "{text}")));
}

/// Ends quietly when the reader has seen enough (`dcf-tb … | head`).
fn or_end(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            self::error(&format!("dcf-tb: cannot write the result: {error}"));
            process::exit(1);
        }
    }
}

/// Text that came from elsewhere, made harmless for a terminal: control characters are escaped.
pub fn harmless(text: &[u8]) -> String {
    let mut shown = String::new();
    for part in text.utf8_chunks() {
        for character in part.valid().chars() {
            if character.is_control() || is_invisible(character) {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        for byte in part.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// Characters that turn the direction of the text around them (Unicode, UAX 9), or have no width.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_came_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(harmless("Größe 漢 ✓".as_bytes()), "Größe 漢 ✓");
        assert_eq!(harmless(b"\x1b[2J\n\xff"), "\\u{1b}[2J\\n\\xff");
        assert_eq!(harmless("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    }
}
