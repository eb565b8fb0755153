//! The result of each entry, over all attempts of a push.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::clock::TransferClock;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::message::Want;
use crate::transfer::summary::{Failed, Report, Summary, LISTED};
use crate::units::{bytes, count, plural};

use super::rate_limit::{RateLimit, STEP};
use super::tree::Tree;

/// The most failures that are shown; the rest is counted.
const SHOWN: u64 = 100;

pub struct Tally<'a> {
    clock: TransferClock,
    /// Since when it waits.
    waiting: Mutex<Option<Instant>>,
    limit: Option<RateLimit>,
    tree: &'a Tree,
    /// How many attempts a receiver accepted.
    accepted: AtomicU64,
    fates: Mutex<Vec<Fate>>,
    /// Links that the receiver does not support.
    unknown: AtomicUsize,
    /// Failures that were shown or counted.
    reported: AtomicU64,
    failures: Mutex<Vec<Failed>>,
    sent: AtomicU64,
}

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not requested: it exists already, or is a folder.
    Unwanted,
    /// It was pushed in an earlier attempt.
    Earlier,
    Wanted,
    /// Completely sent; the result is outstanding.
    Sent,
    /// As `Sent`, for content that a comparison found at the receiver.
    Same,
    Pushed,
    Found,
    Failed(Exit),
}

/// The numbers of entries by result.
#[derive(Default)]
struct Counts {
    pushed: u64,
    links: u64,
    there: u64,
    failed: u64,
}

impl<'a> Tally<'a> {
    pub fn new(tree: &'a Tree, limit: Option<RateLimit>) -> Self {
        Self {
            clock: TransferClock::new(),
            waiting: Mutex::default(),
            limit,
            tree,
            accepted: AtomicU64::new(0),
            fates: Mutex::new(vec![Fate::Unwanted; tree.entries.len()]),
            unknown: AtomicUsize::new(0),
            reported: AtomicU64::new(0),
            failures: Mutex::default(),
            sent: AtomicU64::new(0),
        }
    }

    fn fates(&self) -> MutexGuard<'_, Vec<Fate>> {
        self.fates.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// Starts an attempt: earlier failures are open again.
    pub fn begin(&self) {
        for fate in self.fates().iter_mut() {
            *fate = match fate {
                Fate::Earlier | Fate::Pushed | Fate::Found => Fate::Earlier,
                _ => Fate::Unwanted,
            };
        }
    }

    /// Everything was announced, except this many links.
    pub fn announced(&self, unknown: usize) {
        if self.unknown.swap(unknown, Ordering::Relaxed) != unknown && unknown > 0 {
            output::note(&format!(
                "skipped {}: the receiver's dcf-tb is older and does not support them \
                 (install this version there, or use --dereference to copy their targets)",
                plural(unknown as u64, "link", "links")
            ));
        }
    }

    /// Prints what the receiver needs.
    pub fn would_push(&self, entries: &[Entry], wants: &[Want]) {
        let (mut number, mut sum) = (0, 0);
        for (entry, want) in entries.iter().zip(wants) {
            let left = match want {
                Want::Nothing => continue,
                Want::Content { have } => entry.size - have,
                // Its content is compared, and usually the same.
                Want::Comparison => 0,
            };
            number += 1;
            sum += left;
            output::line(&format!("{} ({})", entry.shown(), bytes(left)));
        }
        output::prose(&format!(
            "would push {}, at most {}",
            plural(number, "file or link", "files and links"),
            bytes(sum)
        ));
    }

    /// Records the receiver's plan.
    pub fn accept(&self, wants: &[Want]) -> Result<()> {
        for (fate, want) in self.fates().iter_mut().zip(wants) {
            match (*fate, want) {
                (_, Want::Nothing) => {}
                (Fate::Failed(_), _) => {
                    return Err(TransferError::protocol(
                        "a request for a file that was refused",
                    ))
                }
                _ => *fate = Fate::Wanted,
            }
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.clock.start();
        Ok(())
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn add_sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.clock.moved();
    }

    /// The most bytes that may be sent before the limit is asked again.
    pub fn step(&self) -> u64 {
        self.limit.as_ref().map_or(u64::MAX, |_| STEP)
    }

    /// Waits until so many bytes may be sent, if there is a limit.
    pub fn wait_for(&self, bytes: u64) {
        if let Some(limit) = &self.limit {
            limit.wait(bytes);
        }
    }

    /// The attempt broke: from the last progress on, it only waited.
    pub fn broke(&self) {
        self.clock.stop_at_last_progress();
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Call this before the rest of a file is sent: its result may then arrive.
    pub fn leaves(&self, index: u32) {
        self.set(index, Fate::Sent);
    }

    /// A comparison found the same content at the receiver. The result is still outstanding.
    pub fn same(&self, index: u32) {
        self.set(index, Fate::Same);
    }

    fn set(&self, index: u32, now: Fate) {
        let fate = &mut self.fates()[index as usize];
        if *fate == Fate::Wanted {
            *fate = now;
        }
    }

    /// Whether the receiver reported a failure before it had the whole file.
    pub fn is_over(&self, index: u32) -> bool {
        matches!(self.fates()[index as usize], Fate::Failed(_))
    }

    /// Records a result from the receiver, which must fit what was sent.
    pub fn result(&self, index: u32, code: u8, why: &str) -> Result<()> {
        let entry = self.tree.entries.get(index as usize);
        let entry = entry.ok_or_else(|| TransferError::protocol("a result of an unknown file"))?;
        let wrong = |what| TransferError::protocol(format!("{}: {what}", entry.shown()));
        {
            let fate = &mut self.fates()[index as usize];
            let is_good = code == Exit::Done as u8;
            *fate = match *fate {
                Fate::Pushed | Fate::Found | Fate::Failed(_) => {
                    return Err(wrong("a second result"))
                }
                // An unknown code is a failure, too.
                _ if !is_good => Fate::Failed(Exit::from_code(code)),
                Fate::Sent => Fate::Pushed,
                Fate::Same => Fate::Found,
                Fate::Unwanted | Fate::Earlier | Fate::Wanted => {
                    return Err(wrong("a result of a file that was not sent"))
                }
            };
            if is_good {
                return Ok(());
            }
        }
        self.report_failure(index, Exit::from_code(code), why);
        Ok(())
    }

    /// Records an entry that could not be sent.
    pub fn skip(&self, index: u32, exit: Exit, why: &str) {
        self.fates()[index as usize] = Fate::Failed(exit);
        self.report_failure(index, exit, why);
    }

    fn report_failure(&self, index: u32, exit: Exit, why: &str) {
        let entry = &self.tree.entries[index as usize];
        let why = output::harmless(why.as_bytes());
        let mut failures = self
            .failures
            .lock()
            .unwrap_or_else(|error| error.into_inner());
        if failures.len() < LISTED {
            failures.push(Failed {
                path: entry.shown(),
                code: exit as u8,
                reason: why.clone(),
            });
        }
        drop(failures);
        match self.reported.fetch_add(1, Ordering::Relaxed) {
            ..SHOWN => output::error(&format!("{}: {why}", entry.shown())),
            SHOWN => output::error("further failures are only counted"),
            _ => {}
        }
    }

    /// The receiver is done. It must have sent a result for each file.
    pub fn finish(&self) -> Result<()> {
        let fates = self.fates();
        let is_open = |fate: &&Fate| matches!(fate, Fate::Wanted | Fate::Sent | Fate::Same);
        let open = fates.iter().filter(is_open).count() as u64;
        let first = fates.iter().position(|fate| is_open(&fate));
        let Some(first) = first else {
            return Ok(());
        };
        let mut names = self.tree.entries[first].shown();
        if open > 1 {
            names.push_str(&format!(" and {} more", open - 1));
        }
        let text = format!("the receiver is done but sent no result of {names}");
        let failure = Failure::new(Exit::Damaged, text);
        Err(failure
            .advise("push the same files again to compare them")
            .into())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (fate, entry) in self.fates().iter().zip(&self.tree.entries) {
            match fate {
                Fate::Failed(_) => counts.failed += 1,
                Fate::Earlier | Fate::Pushed if entry.kind == Kind::Link => counts.links += 1,
                _ if !entry.is_file() => {}
                Fate::Earlier | Fate::Pushed => counts.pushed += 1,
                Fate::Wanted | Fate::Sent | Fate::Same => {}
                Fate::Unwanted | Fate::Found => counts.there += 1,
            }
        }
        counts
    }

    /// From now on it waits. The next attempt says for how long.
    pub fn waits(&self) {
        *self.waiting() = Some(Instant::now());
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waiting
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// Says where the push goes on after it waited, with so many bytes at the receiver.
    pub fn goes_on(&self, there: u64, total: u64) {
        if let Some(since) = self.waiting().take() {
            let percent = there as f64 * 100.0 / total.max(1) as f64;
            output::note(&format!(
                "going on after {:.0} s: {} of {} ({percent:.0} %) are there",
                since.elapsed().as_secs_f64(),
                bytes(there),
                bytes(total)
            ));
        }
    }

    /// After an interruption: says what the receiver keeps, and how to go on.
    pub fn report_kept(&self, peer: &str) {
        if self.accepted() == 0 {
            output::note("interrupted before anything was sent");
            return;
        }
        let files = self
            .tree
            .entries
            .iter()
            .filter(|entry| entry.is_file())
            .count() as u64;
        let counts = self.counts();
        let complete = counts.pushed + counts.there;
        output::note(&format!(
            "interrupted: {} of {} complete at {peer}; {} sent, and what arrived of unfinished files \
             is kept; push the same paths again to go on",
            count(complete),
            plural(files, "file is", "files are"),
            bytes(self.sent())
        ));
    }

    /// Prints the result.
    pub fn report(&self, peer: &str, how: Report) {
        let counts = self.counts();
        let unknown = self.unknown.load(Ordering::Relaxed) as u64;
        let failures = self
            .failures
            .lock()
            .unwrap_or_else(|error| error.into_inner());
        let summary = Summary {
            files: counts.pushed,
            links: counts.links,
            existed: counts.there,
            failed: counts.failed,
            skipped: self.tree.left_out + unknown,
            failures: &failures,
            ..Summary::new(peer, self.sent(), self.clock.time())
        };
        summary.print("pushed to", how);
    }

    /// The exit code of the first entry that failed. With `strict`, skipped links and special files are failures.
    pub fn exit(&self, strict: bool) -> Exit {
        let failed = self.fates().iter().find_map(|fate| match fate {
            Fate::Failed(exit) => Some(*exit),
            _ => None,
        });
        let skipped = self.tree.left_out + self.unknown.load(Ordering::Relaxed) as u64;
        match (failed, self.tree.left_out_as) {
            (Some(exit), _) => exit,
            (None, Exit::Done) if strict && skipped > 0 => Exit::Refused,
            (None, exit) => exit,
        }
    }
}
