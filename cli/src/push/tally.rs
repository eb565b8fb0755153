//! What became of each entry, over all connections of one push.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::entry::Kind;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::message::Want;
use crate::units::{bytes, files_and_links, plural, rate_of};

use super::tree::Tree;

/// Failures that are shown; the rest is counted.
const SHOWN: u64 = 100;

pub struct Tally<'a> {
    begin: Instant,
    tree: &'a Tree,
    /// How often a receiver said what it wants.
    accepted: AtomicU64,
    fates: Mutex<Vec<Fate>>,
    /// Links that the receiver does not know how to make.
    unknown: AtomicUsize,
    /// Failures that were shown or counted.
    said: AtomicU64,
    sent: AtomicU64,
}

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing of it is wanted: it is there, or it is a folder.
    Unwanted,
    /// It was pushed on a connection that broke later.
    Earlier,
    Wanted,
    /// All of it has left, and its result has not come.
    Sent,
    /// The same of one that the receiver has, as a comparison told.
    Same,
    Pushed,
    Found,
    Failed(Exit),
}

/// How many came to what.
#[derive(Default)]
struct Counts {
    pushed: u64,
    links: u64,
    there: u64,
    failed: u64,
}

impl<'a> Tally<'a> {
    pub fn new(tree: &'a Tree) -> Self {
        Self {
            begin: Instant::now(),
            tree,
            accepted: AtomicU64::new(0),
            fates: Mutex::new(vec![Fate::Unwanted; tree.entries.len()]),
            unknown: AtomicUsize::new(0),
            said: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    fn fates(&self) -> MutexGuard<'_, Vec<Fate>> {
        self.fates.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// A connection begins: what failed on an earlier one is open again.
    pub fn begin(&self) {
        for fate in self.fates().iter_mut() {
            *fate = match fate {
                Fate::Earlier | Fate::Pushed | Fate::Found => Fate::Earlier,
                _ => Fate::Unwanted,
            };
        }
    }

    /// What is pushed was announced but for so many links.
    pub fn announced(&self, unknown: usize) {
        if self.unknown.swap(unknown, Ordering::Relaxed) != unknown && unknown > 0 {
            output::note(&format!(
                "left out {}: the dcf-tb over there is older and knows none \
                 (install this version there; --dereference copies what they point to)",
                plural(unknown as u64, "link", "links")
            ));
        }
    }

    /// The receiver said what it wants.
    pub fn accept(&self, wants: &[Want]) -> Result<()> {
        for (fate, want) in self.fates().iter_mut().zip(wants) {
            match (*fate, want) {
                (_, Want::Nothing) => {}
                (Fate::Failed(_), _) => {
                    return Err(TransferError::protocol(
                        "a file that cannot be taken is wanted",
                    ))
                }
                _ => *fate = Fate::Wanted,
            }
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn add_sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// All of a file is about to leave: its result may come.
    pub fn leaves(&self, index: u32) {
        self.set(index, Fate::Sent);
    }

    /// A comparison told that the receiver has this content. Its result still tells whether all is well.
    pub fn same(&self, index: u32) {
        self.set(index, Fate::Same);
    }

    fn set(&self, index: u32, now: Fate) {
        let fate = &mut self.fates()[index as usize];
        if *fate == Fate::Wanted {
            *fate = now;
        }
    }

    /// Whether the receiver gave a file up before it had all of it.
    pub fn is_over(&self, index: u32) -> bool {
        matches!(self.fates()[index as usize], Fate::Failed(_))
    }

    /// The receiver says what became of an entry. That has to fit with what it was sent.
    pub fn result(&self, index: u32, code: u8, why: &str) -> Result<()> {
        let entry = self.tree.entries.get(index as usize);
        let entry = entry.ok_or_else(|| TransferError::protocol("a result of no file"))?;
        let wrong = |what| TransferError::protocol(format!("{}: {what}", entry.shown()));
        {
            let fate = &mut self.fates()[index as usize];
            let is_good = code == Exit::Done as u8;
            *fate = match *fate {
                Fate::Pushed | Fate::Found | Fate::Failed(_) => {
                    return Err(wrong("a second result"))
                }
                // A code from a later version is a failure, too.
                _ if !is_good => Fate::Failed(Exit::from_code(code)),
                Fate::Sent => Fate::Pushed,
                Fate::Same => Fate::Found,
                Fate::Unwanted | Fate::Earlier | Fate::Wanted => {
                    return Err(wrong("a result of what was not sent"))
                }
            };
            if is_good {
                return Ok(());
            }
        }
        self.say(index, why);
        Ok(())
    }

    /// It never got as far as the receiver.
    pub fn skip(&self, index: u32, exit: Exit, why: &str) {
        self.fates()[index as usize] = Fate::Failed(exit);
        self.say(index, why);
    }

    fn say(&self, index: u32, why: &str) {
        let entry = &self.tree.entries[index as usize];
        let why = output::harmless(why.as_bytes());
        match self.said.fetch_add(1, Ordering::Relaxed) {
            ..SHOWN => output::error(&format!("{}: {why}", entry.shown())),
            SHOWN => output::error("more that failed are only counted"),
            _ => {}
        }
    }

    /// The receiver says that all is done. It has to have said so of each file.
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
        let text = format!("the receiver is done and did not say what became of {names}");
        let failure = Failure::new(Exit::Damaged, text);
        Err(failure
            .advise("push the same again: what is there is compared")
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
                _ => counts.there += 1,
            }
        }
        counts
    }

    pub fn report(&self, peer: &str) {
        let counts = self.counts();
        let left_out = self.tree.left_out + self.unknown.load(Ordering::Relaxed) as u64;
        let time = self.begin.elapsed().max(Duration::from_nanos(1));
        let mut text = format!(
            "{} pushed to {peer}: {} in {:.2} s, {}",
            files_and_links(counts.pushed, counts.links),
            bytes(self.sent()),
            time.as_secs_f64(),
            rate_of(self.sent(), time)
        );
        let more = [
            (counts.there, "was there already", "were there already"),
            (counts.failed, "failed", "failed"),
            (left_out, "was left out", "were left out"),
        ];
        for (count, one, many) in more {
            if count > 0 {
                text.push_str(&format!("; {}", plural(count, one, many)));
            }
        }
        output::note(&text);
    }

    /// The code of the first entry that failed; without one, whether all were taken along.
    pub fn exit(&self) -> Exit {
        let failed = self.fates().iter().find_map(|fate| match fate {
            Fate::Failed(exit) => Some(*exit),
            _ => None,
        });
        let left_out_as = match self.unknown.load(Ordering::Relaxed) {
            1.. if self.tree.left_out == 0 => Exit::Refused,
            _ => self.tree.left_out_as,
        };
        failed.unwrap_or(left_out_as)
    }
}
