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
mod rate_limit;
mod retry;
mod route;
mod selection;
mod sparse;
mod spool;
mod stream_tuner;
mod tally;
mod tree;
mod walk;

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::common::{seconds, Common};
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::peer::looks_like_peer;
use crate::transfer::modes::Modes;
use crate::transfer::summary::Report;
use crate::transfer::MOST_STREAMS;
use rate_limit::{Rate, RateLimit};
use route::Route;
use selection::Selection;
use spool::Spool;
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

    /// The name at the receiver of standard input, which the PATH `-` stands for. It is stored in TMPDIR first.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["exclude", "include", "files_from"])]
    name: Option<PathBuf>,

    /// Print what would be pushed, and change nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Replace files that differ at the receiver, which must allow it (`dcf-tb receive --allow-update`).
    #[arg(long, short)]
    update: bool,

    /// When all has arrived, delete what the pushed folders have only at the receiver, which must allow it
    /// (`dcf-tb receive --allow-delete`).
    #[arg(long, conflicts_with_all = ["exclude", "include", "files_from"])]
    delete: bool,

    /// Do not push what matches this pattern, in the syntax of .gitignore. Paths begin at the pushed names.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<OsString>,

    /// Push what matches this pattern although an --exclude matches it.
    #[arg(long, value_name = "PATTERN")]
    include: Vec<OsString>,

    /// Push only what this file lists, one path below the pushed folder a line (or NUL-separated); `-` reads
    /// standard input.
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,

    /// Send at most so much, as in 500Mb/s or 60MB/s.
    #[arg(long, value_name = "RATE", value_parser = rate_limit::parse)]
    bwlimit: Option<Rate>,

    /// End with code 8 if links or special files were skipped. Otherwise they are only reported.
    #[arg(long)]
    strict: bool,

    /// The number of parallel streams. By default one, and more while that is faster.
    #[arg(long, value_name = "COUNT", value_parser = streams)]
    streams: Option<NonZeroU16>,

    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,

    /// How long to wait for a receiver that is not there yet. Also how long to wait for a broken connection to come
    /// back, and for another push to end, which is 120 by default.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
}

impl Options {
    fn modes(&self) -> Modes {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        Modes(
            bit(self.dry_run, Modes::DRY_RUN)
                | bit(self.update, Modes::UPDATE)
                | bit(self.delete, Modes::DELETE),
        )
    }
}

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
    let list = options.files_from.as_deref();
    // Reading from a pipe may block; until then the default action of signals ends the program.
    let selection = Selection::new(&options.exclude, &options.include, list)?;
    let (mut paths, peer) = split(&options.words);
    let spool = match (&paths[..], &options.name) {
        ([only], Some(_)) if only == Path::new("-") => Some(Spool::of_standard_input()?),
        (_, Some(_)) => {
            return Err(Failure::new(
                Exit::Usage,
                "--name needs `-` as the only PATH",
            ))
        }
        (paths, None) if paths.iter().any(|path| path == Path::new("-")) => {
            let failure = Failure::new(Exit::Usage, "standard input has no name");
            return Err(failure.advise("give one with --name NAME; a file called - is ./-"));
        }
        _ => None,
    };
    paths.extend(spool.iter().map(Spool::path));
    if spool.is_some() {
        paths.remove(0);
    }
    interrupt::take_signals();
    if paths.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "nothing to push: the only argument is a peer",
        ));
    }
    let tree = Tree::read(
        &paths,
        options.name.as_deref(),
        options.dereference,
        &selection,
    )?;
    if options.delete && tree.left_out > 0 {
        let text = format!(
            "{} were skipped, and --delete would delete them there",
            tree.left_out
        );
        return Err(Failure::new(Exit::Usage, text).advise("push without --delete"));
    }
    tree.lost_metadata.report();
    let waits = options.wait.is_some_and(|wait| !wait.is_zero());
    let transport =
        connect::client_with(common, peer, |builder| builder.wait_for_interface(waits))?;
    let found = match (peer, options.wait) {
        (None, Some(wait)) => connect::peer_within(&transport, common, wait)?,
        _ => connect::peer(&transport, common, peer)?,
    };
    let mut route = Route::new(&transport, common, found, peer.is_some());
    let limit = options.bwlimit.map(RateLimit::new);
    let tally = Tally::new(&tree, limit);
    retry::push(&mut route, &tree, &tally, options)?;
    if options.dry_run {
        return Ok(tally.exit(options.strict));
    }
    let how = if options.json {
        Report::Json
    } else {
        Report::Line
    };
    tally.report(&route.peer().name, how);
    Ok(tally.exit(options.strict))
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
    fn streams_are_counted_within_bounds() {
        assert_eq!(streams("16").unwrap().get(), 16);
        for wrong in ["0", "17", "x", "-1"] {
            assert!(streams(wrong).is_err(), "{wrong}");
        }
    }
}
