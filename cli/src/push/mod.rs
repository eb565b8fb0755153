//! `dcf-tb push`: copies files and folders to the other machine.

mod announce;
mod attempt;
mod common_prefix;
mod connection;
mod file;
mod job;
mod links;
mod lost_metadata;
mod place;
mod route;
mod sparse;
mod stream_tuner;
mod tally;
mod tree;
mod walk;

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use crate::common::{seconds, Common};
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use crate::peer::looks_like_peer;
use crate::transfer::error::TransferError;
use crate::transfer::MOST_STREAMS;
use route::Route;
use tally::Tally;
use tree::Tree;

/// Copy files and folders to `dcf-tb receive` on the other machine.
///
/// Like `cp -r`, `push DIR` creates DIR there; `push DIR/.` copies its content. Each file is verified by
/// checksums and gets its name when it is complete. If the connection breaks, push waits and resumes; pushing
/// again resumes an earlier push, too.
#[derive(Debug, Args)]
#[command(override_usage = "dcf-tb push [OPTIONS] <PATH>... [PEER]")]
pub struct Options {
    /// The files and folders to copy. The last word may be the peer; if omitted, the only one on the link is
    /// used.
    #[arg(value_name = "PATH", required = true)]
    words: Vec<OsString>,

    /// Copy the targets of links. Otherwise, links within folders are kept if they stay within the pushed
    /// folders, and the others are skipped.
    #[arg(long, short = 'L')]
    dereference: bool,

    /// End with code 8 if links or special files were skipped. Otherwise they are only reported.
    #[arg(long)]
    strict: bool,

    /// The number of parallel streams. By default one, and more while that is faster.
    #[arg(long, value_name = "COUNT", value_parser = streams)]
    streams: Option<NonZeroU16>,

    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,

    /// How long to wait for a broken connection to come back, or for another push to end.
    // The default exceeds the time that a receiver takes to detect a dead pusher.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    wait: Duration,
}

/// The pause between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(250);

fn streams(text: &str) -> Result<NonZeroU16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(count) if count.get() <= MOST_STREAMS => Ok(count),
        _ => Err(format!("must be from 1 to {MOST_STREAMS}")),
    }
}

/// Splits the words into the paths and the peer, if one is given.
fn split(words: &[OsString]) -> (Vec<PathBuf>, Option<&str>) {
    let last = words.last().and_then(|word| word.to_str());
    let peer = last.filter(|word| looks_like_peer(word) && !Path::new(word).exists());
    let count = words.len() - usize::from(peer.is_some());
    (words[..count].iter().map(PathBuf::from).collect(), peer)
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    let (paths, peer) = split(&options.words);
    if paths.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "nothing to push: the only argument is a peer",
        ));
    }
    let tree = Tree::read(&paths, options.dereference)?;
    tree.lost_metadata.report();
    let transport = connect::client(common, peer)?;
    let found = connect::peer(&transport, common, peer)?;
    let mut route = Route::new(&transport, common, found, peer.is_some());
    let tally = Tally::new(&tree);
    push(&mut route, &tree, &tally, options)?;
    tally.report(&route.peer().name, options.json);
    Ok(tally.exit(options.strict))
}

/// Pushes until everything has arrived, in as many attempts as it takes.
fn push(
    route: &mut Route<'_>,
    tree: &Tree,
    tally: &Tally<'_>,
    options: &Options,
) -> Result<(), Failure> {
    let mut wait = Waiting::default();
    loop {
        let accepted = tally.accepted();
        let outcome = attempt::run(route, tree, tally, options.streams);
        if tally.accepted() > accepted {
            route.arrived();
        }
        let Err(error) = outcome else {
            return Ok(());
        };
        tally.broke();
        if interrupt::is_interrupted() {
            return Err(Failure::new(Exit::Interrupted, "interrupted"));
        }
        let why = match &error {
            TransferError::Busy => "the receiver is busy with another push".to_owned(),
            // Without any accepted attempt, a mistake is more likely than a broken cable.
            TransferError::Broken(failure) if tally.accepted() > 0 => failure.text.clone(),
            _ => return Err(route.explained(error.into())),
        };
        if !wait.go_on(tally.accepted() > accepted, options.wait) {
            let gave_up = Failure::from(error);
            return Err(gave_up.advise(route.advice()));
        }
        if wait.is_new() {
            output::note(&format!(
                "{why}; waiting for up to {:.0} s",
                options.wait.as_secs_f64()
            ));
        }
        interrupt::sleep(AGAIN);
        if matches!(error, TransferError::Broken(_)) {
            route.search();
        }
    }
}

/// How long the push has been waiting.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    tries: u32,
}

impl Waiting {
    /// Whether to try again. A connection resets the time.
    fn go_on(&mut self, connected: bool, limit: Duration) -> bool {
        if connected {
            *self = Self::default();
        }
        self.tries += 1;
        self.since.get_or_insert_with(Instant::now).elapsed() < limit
    }

    fn is_new(&self) -> bool {
        self.tries == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_last_word_may_be_the_peer() {
        let given = words(&["a", "b c", "fe80::1%tb0"]);
        let (paths, peer) = split(&given);
        assert_eq!(paths, [Path::new("a"), Path::new("b c")]);
        assert_eq!(peer, Some("fe80::1%tb0"));
        assert_eq!(split(&words(&["a", "b"])).1, None);
        assert_eq!(split(&words(&["fe80::1"])).0.len(), 0);
    }

    #[test]
    fn waiting_begins_anew_with_a_connection() {
        let mut wait = Waiting::default();
        assert!(!wait.go_on(false, Duration::ZERO) && wait.is_new());
        assert!(wait.go_on(false, Duration::MAX) && !wait.is_new());
        assert!(wait.go_on(true, Duration::MAX) && wait.is_new());
    }

    #[test]
    fn streams_are_counted_within_bounds() {
        assert_eq!(streams("16").unwrap().get(), 16);
        for wrong in ["0", "17", "x", "-1"] {
            assert!(streams(wrong).is_err(), "{wrong}");
        }
    }
}
