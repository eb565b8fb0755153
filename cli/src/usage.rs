//! Parses the command line and reports what is wrong with it.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::builder::Resettable;
use clap::error::Error;
use clap::{CommandFactory, Parser};

use crate::exit::Exit;
use crate::options::Options;
use crate::output::{self, escape, harmless, is_hidden};

/// Returns the options, or the exit code if help was printed or the command line is wrong.
pub fn parse() -> Result<Options, Exit> {
    let words: Vec<OsString> = env::args_os().collect();
    Options::try_parse_from(&words).map_err(|error| {
        if error.use_stderr() {
            output::usage_error(&shown(error, &words));
            return Exit::Usage;
        }
        output::page(&error.render().ansi().to_string());
        Exit::Done
    })
}

/// Renders the error. It quotes words of the command line, which may contain file names from a shell's glob.
fn shown(error: Error, words: &[OsString]) -> String {
    let harmless = words.iter().map(|word| harmless(word.as_bytes()));
    let error = parse_plainly(harmless).unwrap_or(error);
    let plain = error.render().to_string();
    let is_shown = |character: char| character == '\n' || !is_hidden(character);
    if plain.chars().all(is_shown) {
        return error.render().ansi().to_string();
    }
    // The error quotes an environment variable or a word that is not UTF-8.
    plain.lines().map(|line| escape(line) + "\n").collect()
}

/// The error of these words, if they are wrong whatever the environment is. In a usage line of clap, an option that
/// a variable sets looks as if it were required.
fn parse_plainly(words: impl IntoIterator<Item = String> + Clone) -> Option<Error> {
    let without = Options::command().mut_args(|argument| argument.env(Resettable::Reset));
    let error = without.try_get_matches_from(words.clone()).err();
    error.or_else(|| Options::try_parse_from(words).err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_quotes_is_escaped() {
        for word in ["--\x1b[2Jx", "x\u{9b}2J\ny", "\u{202e}--x"] {
            for words in [
                vec!["dcf-tb", word],
                vec!["dcf-tb", "ping", "--count", word],
                vec!["dcf-tb", "env", word],
                vec!["dcf-tb", "send", "--hex", word],
            ] {
                let words: Vec<OsString> = words.iter().map(OsString::from).collect();
                let error = Options::try_parse_from(&words).err().unwrap();
                let shown = anstream::adapter::strip_str(&shown(error, &words)).to_string();
                assert!(
                    !shown.chars().any(|c| c != '\n' && is_hidden(c)),
                    "{shown:?}"
                );
                assert!(!shown.contains("\ny"), "{shown:?}");
            }
        }
    }
}
