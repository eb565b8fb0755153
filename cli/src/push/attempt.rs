//! One attempt at a push: from the announcement to the last result, over one or more streams.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{select, select_biased, tick};
use thunderbolt_transport::DataStream;

use super::announce::announce;
use super::connection::Connection;
use super::file;
use super::job::Job;
use super::route::Route;
use super::stream_tuner::{Step, StreamTuner};
use super::tally::Tally;
use super::tree::Tree;
use super::Options;
use crate::event::{event, Event, Trigger};
use crate::output;
use crate::transfer::entry::Kind;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::message::{Pusher, Receiver, Want};
use crate::transfer::progress::Progress;
use crate::transfer::sizes::missing;
use crate::transfer::{SessionId, PATIENCE};

/// The period over which the rate is measured, to see whether another stream helps.
const PERIOD: Duration = Duration::from_secs(1);
/// The most streams that are tried automatically.
const WORTH_TRYING: u16 = 4;
/// Links whose results are outstanding at most.
const LINKS_AT_ONCE: usize = 1024;
/// How often an idle stream sends a sign of life.
const ALIVE: Duration = PATIENCE.checked_div(6).expect("not by zero");

/// An attempt, shared by its streams.
pub struct Attempt<'a> {
    route: &'a Route<'a>,
    job: Job<'a>,
    id: SessionId,
    /// The files to send.
    files: Vec<u32>,
    /// The links to create when all files are complete.
    links: Vec<u32>,
    next: AtomicUsize,
    state: Mutex<State>,
    /// Happens when one of the streams fails.
    failed: Event,
}

struct State {
    /// Dropped when one of the streams fails.
    failing: Option<Trigger>,
    /// Closed when one of them fails.
    streams: Vec<DataStream>,
    error: Option<TransferError>,
}

/// Announces a tree, and pushes what the receiver needs of it.
pub fn run(route: &Route<'_>, tree: &Tree, tally: &Tally<'_>, options: &Options) -> Result<()> {
    tally.begin();
    let (stream, extensions) = route.open()?;
    let mut connection = Connection::new(stream, tally);
    let entries = tree.announced(extensions);
    tally.announced(tree.entries.len() - entries.len());
    let (wants, id) = announce(&mut connection, &entries, extensions, options.modes())?;
    if options.dry_run {
        tally.would_push(&entries, &wants);
        return Ok(());
    }
    tally.accept(&wants)?;
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    let there = total - missing(&entries, &wants);
    tally.goes_on(there, total);
    let wanted = |is_wanted: fn(Kind) -> bool| {
        let wants = entries.iter().zip(&wants).enumerate();
        wants
            .filter(|(_, (entry, want))| is_wanted(entry.kind) && **want != Want::Nothing)
            .map(|(index, _)| index as u32)
            .collect()
    };
    let files: Vec<u32> = wanted(|kind| kind == Kind::File);
    let links: Vec<u32> = wanted(|kind| matches!(kind, Kind::Link | Kind::HardLink));
    let (failing, failed) = event();
    let attempt = Attempt {
        route,
        job: Job {
            tree,
            tally,
            progress: Progress::new(there, total, (files.len() + links.len()) as u64),
            wants,
            entries,
            extensions,
        },
        id,
        files,
        links,
        next: AtomicUsize::new(0),
        state: Mutex::new(State {
            failing: Some(failing),
            streams: Vec::new(),
            error: None,
        }),
        failed,
    };
    attempt.all(connection, options.streams)?;
    tally.finish()
}

impl Attempt<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|error| error.into_inner())
    }

    fn all(&self, connection: Connection<'_>, streams: Option<NonZeroU16>) -> Result<()> {
        let retired = AtomicBool::new(false);
        self.state().streams.push(connection.stream.clone());
        // The first stream holds `sending` while it sends files, the others hold `helping`.
        let (sending, sent) = event();
        let (helping, helped) = event();
        let first = thread::scope(|scope| {
            let first = scope.spawn(move || self.first(connection, sending, &helped));
            let more = || {
                let helping = helping.clone();
                let retired = &retired;
                scope.spawn(move || self.more(helping, retired));
            };
            match streams {
                Some(count) => (1..count.get()).for_each(|_| more()),
                None => self.tune_streams(more, &sent, &retired),
            }
            drop(helping);
            first.join()
        });
        match (first, self.state().error.take()) {
            (_, Some(error)) => Err(error),
            (Ok(Some(())), None) => Ok(()),
            _ => Err(TransferError::ended()),
        }
    }

    /// Adds streams while that increases the rate.
    fn tune_streams(&self, more: impl Fn(), sent: &Event, retired: &AtomicBool) {
        let mut tuner = StreamTuner::new(WORTH_TRYING);
        let mut before = self.job.tally.sent();
        let mut begin = Instant::now();
        let periods = tick(PERIOD);
        loop {
            select_biased! {
                recv(sent) -> _ => return,
                recv(self.failed) -> _ => return,
                recv(periods) -> _ => {}
            }
            // For the last file another stream does not help.
            let left = self
                .files
                .len()
                .saturating_sub(self.next.load(Ordering::Relaxed));
            if left < 2 {
                return;
            }
            let now = self.job.tally.sent();
            match tuner.rate((now - before) as f64 / begin.elapsed().as_secs_f64()) {
                Step::Stay => {}
                Step::Add => {
                    output::detail("trying one more stream");
                    more();
                }
                Step::Remove => {
                    output::detail("closing the last stream, which did not help");
                    retired.store(true, Ordering::Relaxed);
                    return;
                }
            }
            (before, begin) = (now, Instant::now());
        }
    }

    /// Runs the stream that announced the push and also ends it.
    fn first(
        &self,
        mut connection: Connection<'_>,
        sending: Trigger,
        helped: &Event,
    ) -> Option<()> {
        let sent = self.files(&mut connection, || false);
        drop(sending);
        let ended = sent.and_then(|()| {
            self.wait_for_others(&mut connection, helped)?;
            self.links(&mut connection)?;
            connection.finish()
        });
        self.record(ended)
    }

    /// Runs another stream until no file is left or the stream is retired.
    fn more(&self, helping: Trigger, retired: &AtomicBool) -> Option<()> {
        let joined = self.join();
        let ended = joined.and_then(|mut connection| {
            // One stream ends: the first that sees the flag.
            self.files(&mut connection, || retired.swap(false, Ordering::Relaxed))?;
            connection.finish()
        });
        let ended = self.record(ended);
        drop(helping);
        ended
    }

    fn join(&self) -> Result<Connection<'_>> {
        let (stream, _) = self.route.open()?;
        self.state().streams.push(stream.clone());
        let mut connection = Connection::new(stream, self.job.tally);
        connection.send(&Pusher::Join(self.id))?;
        match connection.plan()? {
            Receiver::Ready(id) if id == self.id => Ok(connection),
            _ => Err(TransferError::protocol("a joined stream got another push")),
        }
    }

    /// Keeps the first error and closes all streams.
    fn record(&self, ended: Result<()>) -> Option<()> {
        let error = match ended {
            Ok(()) => return Some(()),
            Err(error) => error,
        };
        let streams = {
            let mut state = self.state();
            state.error.get_or_insert(error);
            state.failing = None;
            std::mem::take(&mut state.streams)
        };
        streams.iter().for_each(DataStream::close);
        None
    }

    fn files(&self, connection: &mut Connection<'_>, is_retired: impl Fn() -> bool) -> Result<()> {
        while !is_retired() {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(index) = self.files.get(next) else {
                break;
            };
            file::push(&self.job, connection, *index)?;
        }
        connection.flush()
    }

    /// Has the links created in batches, so that their results do not pile up.
    fn links(&self, connection: &mut Connection<'_>) -> Result<()> {
        for some in self.links.chunks(LINKS_AT_ONCE) {
            let results = connection.results();
            for index in some {
                self.job.tally.leaves(*index);
                connection.send(&Pusher::File(*index))?;
            }
            connection.wait_for_results(results + some.len())?;
        }
        Ok(())
    }

    fn wait_for_others(&self, connection: &mut Connection<'_>, helped: &Event) -> Result<()> {
        loop {
            select! {
                recv(helped) -> _ => return Ok(()),
                recv(self.failed) -> _ => return Ok(()),
                default(ALIVE) => {}
            }
            connection.send(&Pusher::Alive)?;
            connection.flush()?;
        }
    }
}
