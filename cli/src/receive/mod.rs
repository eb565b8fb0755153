//! `dcf-tb receive`: takes the files that peers push.

mod announced;
mod exchange;
mod fault;
mod file;
mod folder;
mod hard_link;
mod identity;
mod incoming;
mod known;
mod link;
mod mark;
mod metadata;
mod notes;
mod outcome;
mod place;
mod plan;
mod presence;
mod push_lock;
mod rules;
mod serve;
mod session;
mod want;

use std::path::PathBuf;
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
use crate::transfer::MOST_STREAMS;
use folder::Folder;
use push_lock::PushLock;
use rules::Rules;

/// Take the files and folders that peers push, until Ctrl-C.
///
/// They go into DIR and nowhere else. Each grows beside its place as .NAME.dcf-part, its checksum is compared,
/// and then it gets its name in one step; pushing an unfinished one again goes on where it stopped. Whoever is
/// on the cable can push: nobody is authenticated.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder to put them in. It must exist.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Stop after one push that came to its end.
    #[arg(long)]
    once: bool,

    /// Overwrite files of the same name. Otherwise a push that would is refused before anything is changed.
    #[arg(long)]
    force: bool,

    /// Compare with files that other programs put into DIR, too: peers then learn which of those have the
    /// content that they push. Otherwise they are only told that the name is taken.
    #[arg(long)]
    compare: bool,

    /// Take pushes from this machine, too: any of its users can then write into DIR in your name.
    #[arg(long)]
    allow_local: bool,

    /// Have each file on the disk before it gets its name. Safe against a power failure, and as fast as the disk.
    #[arg(long)]
    sync: bool,
}

/// How long the streams have to end when the transport is closed.
const ENDING: Duration = Duration::from_secs(10);
/// Streams at a time: those of one push, those at the door, and some that are on their way out.
const STREAMS: u32 = 2 * (MOST_STREAMS as u32 + serve::MOST_PENDING as u32);

pub fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let folder = Folder::open(&options.directory).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot use {}: {error}", output::shown(&options.directory)),
        )
    })?;
    interrupt::take_signals();
    let push_lock = Arc::new(PushLock::new());
    let once = options.once;
    let own = OwnAddresses::new(options.allow_local);
    let receiver = serve::Receiving {
        folder: Arc::new(folder),
        rules: Rules {
            force: options.force,
            compare: options.compare,
            sync: options.sync,
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
    connect::say_who_listens(&transport);
    if once {
        select! {
            recv(push_lock.finished()) -> _ => {}
            recv(interrupt::signal()) -> _ => {}
        }
    } else {
        interrupt::wait();
    }
    // Who is interrupted in the middle says what stays.
    push_lock.close(ENDING);
    transport.close();
    Ok(interrupt::exit(
        push_lock.is_cut() || (once && !push_lock.has_finished()),
    ))
}
