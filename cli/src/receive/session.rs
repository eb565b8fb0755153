//! One push: its announcement, and the streams that take part.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thunderbolt_transport::DataStream;

use super::folder::Folder;
use super::notes;
use super::plan::{self, Plan, Refused};
use super::rules::Rules;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::transfer::clock::TransferClock;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;
use crate::transfer::message::Want;
use crate::transfer::modes::Modes;
use crate::transfer::progress::Progress;
use crate::transfer::sizes::missing;
use crate::transfer::summary::{Report, Summary};
use crate::transfer::{SessionId, MOST_STREAMS};

/// The most failures that are shown; the rest is counted.
const MOST_REPORTED: u64 = 100;

/// A push in progress.
pub struct Session {
    pub id: SessionId,
    pub peer: String,
    pub folder: Arc<Folder>,
    pub rules: Rules,
    pub extensions: Extensions,
    pub modes: Modes,
    pub entries: Vec<Entry>,
    pub wants: Vec<Want>,
    /// Entries that cannot be received, and why.
    pub refused: Refused,
    /// The state of the files that streams have taken.
    files: Mutex<HashMap<u32, State>>,
    /// The number of files in progress, and when it last changed.
    busy: Mutex<(usize, Instant)>,
    /// Failures that were shown or counted.
    reported: AtomicU64,
    /// Streams that joined. They are closed with the stream that announced the push.
    helpers: Mutex<Vec<DataStream>>,
    pub progress: Progress,
    clock: TransferClock,
    pub received: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    UnderWay,
    Done,
    /// A comparison found the same content.
    Same,
    Failed,
}

impl Session {
    pub fn new(
        peer: &str,
        folder: &Arc<Folder>,
        rules: Rules,
        modes: Modes,
        entries: Vec<Entry>,
        extensions: Extensions,
        alive: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let rules = Rules {
            update: modes.has(Modes::UPDATE),
            ..rules
        };
        let dry_run = modes.has(Modes::DRY_RUN);
        let Plan { wants, refused } = plan::plan(folder, &entries, rules, dry_run, alive)?;
        let mut id = SessionId::default();
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| plan::failed("random numbers", &error.into()))?;
        let total: u64 = entries.iter().map(|entry| entry.size).sum();
        let wanted = wants.iter().filter(|want| **want != Want::Nothing);
        let wanted = wanted.count() as u64;
        let progress = Progress::new(total - missing(&entries, &wants), total, wanted);
        Ok(Self {
            id,
            peer: peer.to_owned(),
            folder: Arc::clone(folder),
            rules,
            extensions,
            modes,
            entries,
            wants,
            refused,
            files: Mutex::default(),
            busy: Mutex::new((0, Instant::now())),
            reported: AtomicU64::new(0),
            helpers: Mutex::default(),
            progress,
            clock: TransferClock::new(),
            received: AtomicU64::new(0),
        })
    }

    /// The pusher may send files from now on.
    pub fn starts(&self) {
        self.clock.start();
    }

    /// Takes a file, if it is wanted and no stream has taken it.
    pub fn take(&self, index: u32) -> Result<(&Entry, Want)> {
        let entry = self.entries.get(index as usize);
        let want = self.wants.get(index as usize).copied();
        let wanted = |(entry, want): &(&Entry, Want)| {
            entry.kind != Kind::Folder && !matches!(want, Want::Nothing)
        };
        let found = entry.zip(want).filter(wanted);
        let found =
            found.ok_or_else(|| TransferError::protocol("a file that was not requested"))?;
        match lock(&self.files).insert(index, State::UnderWay) {
            None => {
                self.count(|files| files + 1);
                Ok(found)
            }
            Some(_) => Err(TransferError::protocol("a file that was sent twice")),
        }
    }

    pub fn ended(&self, index: u32, state: State) {
        lock(&self.files).insert(index, state);
        self.count(|files| files - 1);
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut busy = lock(&self.busy);
        *busy = (change(busy.0), Instant::now());
    }

    /// Fails if no file has been in progress for this long: the pusher only sends signs of life.
    pub fn still_busy(&self, limit: Duration) -> Result<()> {
        let (files, since) = *lock(&self.busy);
        if files > 0 || since.elapsed() < limit {
            return Ok(());
        }
        let seconds = limit.as_secs();
        let text = format!("the pusher sent no file for {seconds} s");
        Err(Failure::new(Exit::Failed, text).into())
    }

    /// Whether a file is complete, by this push or an earlier one.
    pub fn is_there(&self, index: u32) -> bool {
        let state = lock(&self.files).get(&index).copied();
        match self.wants.get(index as usize) {
            Some(Want::Nothing) => !self.refused.contains_key(&index),
            _ => matches!(state, Some(State::Done | State::Same)),
        }
    }

    /// Records a file that the pusher could not read.
    pub fn skip(&self, index: u32) -> Result<()> {
        self.take(index)?;
        self.ended(index, State::Failed);
        Ok(())
    }

    /// Prints why an entry failed, for a limited number of entries.
    pub fn report_failure(&self, entry: &Entry, why: &str) {
        match self.reported.fetch_add(1, Ordering::Relaxed) {
            ..MOST_REPORTED => notes::note(&format!("{}: {why}", entry.shown())),
            MOST_REPORTED => notes::note("further failures are only counted"),
            _ => {}
        }
    }

    pub fn helps(&self, stream: &DataStream) -> Result<()> {
        let mut helpers = lock(&self.helpers);
        if helpers.len() + 1 >= MOST_STREAMS.into() {
            let text = format!("a push may have at most {MOST_STREAMS} streams");
            return Err(Failure::new(Exit::Refused, text).into());
        }
        helpers.push(stream.clone());
        Ok(())
    }

    /// Forgets a stream that ended, so another one may join.
    pub fn has_helped(&self, stream: &DataStream) {
        let address = stream.peer_address();
        lock(&self.helpers).retain(|helper| helper.peer_address() != address);
    }

    pub fn dismiss_helpers(&self) {
        lock(&self.helpers)
            .drain(..)
            .for_each(|stream| stream.close());
    }

    pub fn add(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
        self.progress.add(count);
    }

    /// All files are complete: sets the times and permissions of the folders. Returns the folders for which that
    /// failed, and why.
    pub fn finish(&self) -> Vec<(u32, String)> {
        self.clock.stop();
        if self.modes.has(Modes::DELETE) {
            self.delete();
        }
        let mut failed = Vec::new();
        // Innermost folders first: creating a file changes the time of its own folder only, and a folder that
        // loses permissions is complete by then.
        for (index, entry) in self.entries.iter().enumerate().rev() {
            let index = index as u32;
            if entry.kind == Kind::Folder && !self.refused.contains_key(&index) {
                let settled =
                    self.folder
                        .settle(&entry.path, entry.mode, entry.modified, self.rules.force);
                if let Err(error) = settled {
                    let why = format!("cannot set the time and permissions: {error}");
                    self.report_failure(entry, &why);
                    failed.push((index, why));
                }
            }
        }
        failed
    }

    /// Whether an entry of the push did not arrive.
    pub fn is_incomplete(&self) -> bool {
        let files = lock(&self.files);
        !self.refused.is_empty() || files.values().any(|state| *state == State::Failed)
    }

    /// Prints the result, when all of the push has ended.
    pub fn report(&self, how: Report) {
        let files = lock(&self.files);
        let count = |state| files.values().filter(|is| **is == state).count() as u64;
        let (done, same) = (count(State::Done), count(State::Same));
        let of = |index: &u32, kind| self.entries[*index as usize].kind == kind;
        let links = files
            .iter()
            .filter(|(index, state)| **state == State::Done && of(index, Kind::Link))
            .count() as u64;
        let is_file = |index: &&u32| self.entries[**index as usize].is_file();
        let of_files = self.refused.keys().filter(is_file);
        let refused = of_files.count() as u64;
        let wanted = self.wants.iter().filter(|want| **want != Want::Nothing);
        let missed = wanted.count() as u64 - done - same + refused;
        let there = self.entries.iter().zip(&self.wants);
        let there = there.filter(|(entry, want)| entry.is_file() && **want == Want::Nothing);
        let existed = there.count() as u64 - refused + same;
        let received = self.received.load(Ordering::Relaxed);
        let summary = Summary {
            files: done - links,
            links,
            existed,
            failed: missed,
            ..Summary::new(&self.peer, received, self.clock.time())
        };
        self.progress.clear();
        if notes::allow() {
            summary.print("received from", how);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}
