//! `dcf-tb receive`: receives the files that peers push.

mod announced;
mod clean;
mod delete;
mod exchange;
mod fault;
mod file;
mod folder;
mod hard_link;
mod identity;
mod inbox;
mod incoming;
mod known;
mod link;
mod mark;
mod metadata;
mod notes;
mod outcome;
mod part;
mod place;
mod plan;
mod presence;
mod push_lock;
mod rules;
mod serve;
mod session;
mod want;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::select;

use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use crate::own_addresses::OwnAddresses;
use crate::pending_streams::PendingStreams;
use crate::transfer::summary::Report;
use crate::transfer::MOST_STREAMS;
use folder::Folder;
use inbox::Inbox;
use push_lock::PushLock;
use rules::{Allowed, Rules};

/// Receive the files and folders that peers push, until Ctrl-C.
///
/// Files are written into DIR only, which is the current folder if omitted. A file is received as .NAME.dcf-part, verified by checksum and then renamed;
/// pushing an unfinished file again resumes it. Peers are not authenticated: any host on the cable can push.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder for the files. It must exist, unless --mkdir is given.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Create DIR, and the folders above it, if it does not exist.
    #[arg(long)]
    mkdir: bool,

    /// Receive one push of a single file, and write the file to standard output. It is stored in TMPDIR until it is
    /// complete.
    #[arg(long, conflicts_with_all = ["directory", "mkdir", "clean", "json"])]
    stdout: bool,

    /// Remove the unfinished files in DIR that no push has continued for a day, print them, and end.
    #[arg(long, conflicts_with_all = ["once", "json", "mkdir"])]
    clean: bool,

    /// Stop after one complete push.
    #[arg(long)]
    once: bool,

    /// Print the result of each push as a line of JSON.
    #[arg(long)]
    json: bool,

    /// Overwrite existing files. Otherwise a push that would overwrite a file is refused before anything is
    /// changed.
    #[arg(long)]
    force: bool,

    /// Let pushers replace files that differ, by `push --update`.
    #[arg(long)]
    allow_update: bool,

    /// Let pushers delete what they do not have in the folders that they push, by `push --delete`.
    #[arg(long)]
    allow_delete: bool,

    /// Compare with files that other programs put into DIR, too. Peers can then learn whether such a file has the
    /// content that they push; otherwise they only learn that the name exists.
    #[arg(long)]
    compare: bool,

    /// Accept pushes from this machine, too. Any local user can then write into DIR with your permissions.
    #[arg(long)]
    allow_local: bool,

    /// Write each file to the disk before it gets its name. Safe against power failure, but only as fast as the
    /// disk.
    #[arg(long)]
    sync: bool,
}

/// How long the streams may take to end.
const ENDING: Duration = Duration::from_secs(10);
/// The most streams: those of one push, the pending ones, and as many that are closing.
const STREAMS: u32 = 2 * (MOST_STREAMS as u32 + serve::MOST_PENDING as u32);

pub fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let inbox = match options.stdout {
        true => Some(Inbox::new()?),
        false => None,
    };
    let folder = open(&options, inbox.as_ref().map(Inbox::path))?;
    if options.clean {
        return Ok(match clean::clean(&folder) {
            true => Exit::Done,
            false => Exit::Failed,
        });
    }
    interrupt::take_signals();
    let push_lock = Arc::new(PushLock::new());
    let once = options.once || options.stdout;
    let own = OwnAddresses::new(options.allow_local);
    let receiver = serve::Receiving {
        folder: Arc::new(folder),
        rules: Rules {
            force: options.force,
            compare: options.compare,
            update: false,
            sync: options.sync,
        },
        allowed: Allowed {
            update: options.allow_update,
            delete: options.allow_delete,
        },
        report: match (options.stdout, options.json) {
            (true, _) => Report::Nothing,
            (false, true) => Report::Json,
            (false, false) => Report::Line,
        },
        push_lock: Arc::clone(&push_lock),
        own,
        pending: PendingStreams::new(serve::MOST_PENDING),
    };
    let transport = connect::server(common, |builder| {
        builder
            .max_streams(STREAMS)
            .max_silent_streams(STREAMS)
            .on_stream(move |stream| receiver.stream(&stream))
    })?;
    connect::report_listening(&transport);
    if once {
        select! {
            recv(push_lock.finished()) -> _ => {}
            recv(interrupt::signal()) -> _ => {}
        }
    } else {
        interrupt::wait();
    }
    // An interrupted push reports what it keeps.
    push_lock.close(ENDING);
    transport.close();
    if let Some(inbox) = inbox.filter(|_| push_lock.has_finished()) {
        inbox.print()?;
    }
    Ok(interrupt::exit(
        push_lock.is_cut() || (once && !push_lock.has_finished()),
    ))
}

/// Opens the folder, and creates it if the user wants that.
fn open(options: &Options, inbox: Option<&Path>) -> Result<Folder, Failure> {
    let path = inbox.unwrap_or(&options.directory);
    let failed = |what: &str, error: io::Error| {
        let text = format!("cannot {what} the folder {}: {error}", output::shown(path));
        let is_absent = error.kind() == io::ErrorKind::NotFound;
        match Failure::new(Exit::Failed, text) {
            failure if is_absent => failure.advise("use --mkdir to create it"),
            failure => failure,
        }
    };
    if options.mkdir {
        fs::create_dir_all(path).map_err(|error| failed("create", error))?;
    }
    Folder::open(path).map_err(|error| failed("open", error))
}
