//! What is printed, and how much of it.
//!
//! Everything that this program writes to a terminal goes through here, and all of it is escaped here: texts have
//! names, reasons and values of strangers in them. Clippy refuses other ways (`clippy.toml`). The marks in front
//! of some lines are our own words, and have colours on terminals.

mod escape;
mod stream;

use std::io::{self, ErrorKind};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

use anstyle::Style;
use indicatif::MultiProgress;
use serde::Serialize;

use crate::exit::Exit;
pub use escape::{escape, harmless, is_hidden, shown};
pub use stream::write_under_way;
use stream::Stream;

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

/// Writes while no bar is drawn. What comes of it is dealt with by the caller, without the lock: telling of a
/// failure writes, too.
fn beside_bars(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let bars = BARS.lock().unwrap_or_else(|error| error.into_inner());
    match &*bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A line of the result, on standard output.
pub fn line(text: &str) {
    result(format!("{}\n", escape(text)));
}

/// The same with a mark in front.
pub fn marked_line(style: Style, mark: &str, text: &str) {
    result(format!("{style}{mark}{style:#}{}\n", escape(text)));
}

/// A result for programs, over several lines.
pub fn json(value: &impl Serialize) {
    let json = serde_json::to_string_pretty(value).expect("plain data");
    result(escape::escape_json(&json) + "\n");
}

/// One of several results for programs, each on a line.
pub fn json_line(value: &impl Serialize) {
    let json = serde_json::to_string(value).expect("plain data");
    result(escape::escape_json(&json) + "\n");
}

/// Help, with our own colours in it.
pub fn page(text: &str) {
    result(text.to_owned());
}

/// A script of our own, as it is.
pub fn script(text: &[u8]) {
    or_end(beside_bars(|| Stream::Out.write_bytes(text)));
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
    marked_error(Style::new(), "", text);
}

/// The same with a mark in front.
pub fn marked_error(style: Style, mark: &str, text: &str) {
    let text = format!("{style}{mark}{style:#}{}\n", escape(text));
    // If nobody reads it, there is nobody to tell.
    drop(beside_bars(|| Stream::Err.write(&text)));
}

/// What is wrong with the command line, over several lines, with our own colours in it: what it quotes has been
/// escaped.
pub fn usage_error(text: &str) {
    drop(beside_bars(|| Stream::Err.write(text)));
}

/// A result that cannot be written ends the program; quietly, when the reader has seen enough (`dcf-tb … | head`).
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
    // A bar hides the cursor; gone, it shows it again.
    if let Ok(Some(bars)) = BARS.try_lock().map(|mut bars| bars.take()) {
        // If that fails, so does everything else on this terminal.
        let _ = bars.clear();
    }
    process::exit(exit as i32)
}
