//! Output to the terminal.
//!
//! All output of this program goes through this module, which escapes it: texts may contain names, reasons and
//! values from untrusted peers. Clippy forbids other ways (`clippy.toml`). Only our own marks in front of some
//! lines have colours.

mod charset;
mod escape;
mod stream;
mod wrap;

use std::io::{self, ErrorKind};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

use anstyle::Style;
use indicatif::MultiProgress;
use serde::Serialize;

use crate::exit::Exit;
pub use charset::is_ascii;
pub use escape::{escape, harmless, is_hidden, shown};
pub use stream::write_under_way;
use stream::Stream;
use wrap::laid_out;
pub use wrap::{wrapped, wrapped_command};

/// The amount of output in addition to the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Everything,
}

static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);
/// Progress bars, which are hidden while a line is printed.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

pub fn wants(verbosity: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= verbosity as u8
}

/// Sets the progress bars that are on the screen.
pub fn set_bars(bars: Option<MultiProgress>) {
    *BARS.lock().unwrap_or_else(|error| error.into_inner()) = bars;
}

/// Writes while the bars are hidden. The caller handles an error after the lock is released, because reporting it
/// writes, too.
fn beside_bars(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let bars = BARS.lock().unwrap_or_else(|error| error.into_inner());
    match &*bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// The width of the terminal that shows the results. `None`: they go elsewhere, and lines have any length.
pub fn columns() -> Option<usize> {
    Stream::Out.columns()
}

/// The width of the terminal that shows progress bars.
pub fn bar_columns() -> Option<usize> {
    Stream::Err.columns()
}

/// Escapes a text for a progress bar, which is not printed by this module.
pub fn for_bar(text: &str) -> String {
    let text = escape(text);
    match is_ascii() {
        true => charset::in_ascii(&text),
        false => text,
    }
}

/// The characters of a bar: full, then partial ones, then empty.
pub fn bar_characters() -> &'static str {
    match is_ascii() {
        true => "#. ",
        false => "█▉▊▋▌▍▎▏ ",
    }
}

/// Ends the line in which a terminal shows that a key was pressed. Never waits for the terminal.
pub fn end_line_of_terminal() {
    if Stream::Err.columns().is_some() && write_under_way().is_none() && Stream::Err.is_ready() {
        // If that fails, other writes fail as well.
        drop(Stream::Err.write_bytes(b"\n"));
    }
}

/// Asks the user a question that is answered by yes or no. Anything but yes is no, and so is no terminal.
pub fn confirms(question: &str) -> bool {
    let text = format!("{} [y/N] ", escape(question));
    drop(beside_bars(|| Stream::Err.write(&text)));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

/// Prints a line of the result on standard output.
pub fn line(text: &str) {
    result(format!("{}\n", escape(text)));
}

/// Prints a sentence of the result on standard output, broken to the width of a terminal.
pub fn prose(text: &str) {
    let text = laid_out(&escape(text), Stream::Out.columns());
    result(text + "\n");
}

/// As [`line()`], with a coloured mark in front.
pub fn marked_line(style: Style, mark: &str, text: &str) {
    result(format!("{style}{mark}{style:#}{}\n", escape(text)));
}

/// Prints a result as JSON over several lines.
pub fn json(value: &impl Serialize) {
    let json = serde_json::to_string_pretty(value).expect("plain data");
    json_text(&json);
}

/// Prints one of several results as a line of JSON.
pub fn json_line(value: &impl Serialize) {
    let json = serde_json::to_string(value).expect("plain data");
    json_text(&json);
}

/// JSON is in UTF-8, whatever the locale is.
fn json_text(json: &str) {
    let text = escape::escape_json(json) + "\n";
    or_end(beside_bars(|| Stream::Out.write_bytes(text.as_bytes())));
}

/// Prints help, which has our own colours.
pub fn page(text: &str) {
    result(text.to_owned());
}

/// Prints a completion script unescaped.
pub fn script(text: &[u8]) {
    or_end(beside_bars(|| Stream::Out.write_bytes(text)));
}

/// Prints a note for the user on standard error.
pub fn note(text: &str) {
    if wants(Verbosity::Normal) {
        error(text);
    }
}

/// Prints a detail on standard error if `--verbose` asks for it.
pub fn detail(text: &str) {
    if wants(Verbosity::Verbose) {
        error(text);
    }
}

/// Prints an error, even with `--quiet`.
pub fn error(text: &str) {
    marked_error(Style::new(), "", text);
}

/// As above, with a coloured mark in front.
pub fn marked_error(style: Style, mark: &str, text: &str) {
    let text = format!("{mark}{}", escape(text));
    let text = laid_out(&text, Stream::Err.columns());
    let text = format!("{style}{mark}{style:#}{}\n", &text[mark.len()..]);
    // An error on standard error cannot be reported anywhere.
    drop(beside_bars(|| Stream::Err.write(&text)));
}

/// Prints a usage error over several lines, with our own colours. The caller has escaped what it quotes.
pub fn usage_error(text: &str) {
    drop(beside_bars(|| Stream::Err.write(text)));
}

/// Prints a result, or ends the program if that fails. It ends silently if the reader has exited (`dcf-tb … |
/// head`).
fn result(text: String) {
    or_end(beside_bars(|| Stream::Out.write(&text)));
}

fn or_end(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => end(Exit::ReaderGone),
        Err(error) => {
            self::error(&format!(
                "dcf-tb: cannot write the result to standard output: {error}"
            ));
            end(Exit::Failed);
        }
    }
}

fn end(exit: Exit) -> ! {
    // Clearing the bars shows the cursor again.
    if let Ok(Some(bars)) = BARS.try_lock().map(|mut bars| bars.take()) {
        // If that fails, every other write to this terminal fails as well.
        let _ = bars.clear();
    }
    process::exit(exit as i32)
}
