//! What became of each file, over all connections of one push.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::output;
use crate::transfer::entry::Kind;
use crate::units::{bytes, plural, rate_of};

use super::tree::Tree;

pub struct Tally {
    begin: Instant,
    files: u64,
    left_out: u64,
    left_out_as: Exit,
    /// How often a receiver said what it wants.
    accepted: AtomicU64,
    /// Files that it took, by their index: the exit code of each.
    results: Mutex<BTreeMap<u32, u8>>,
    /// Those whose content it had already, as a comparison told.
    same: Mutex<BTreeSet<u32>>,
    sent: AtomicU64,
}

impl Tally {
    pub fn new(tree: &Tree) -> Self {
        let files = tree.entries.iter().filter(|entry| entry.kind == Kind::File);
        Self {
            begin: Instant::now(),
            files: files.count() as u64,
            left_out: tree.left_out,
            left_out_as: tree.left_out_as,
            accepted: AtomicU64::new(0),
            results: Mutex::default(),
            same: Mutex::default(),
            sent: AtomicU64::new(0),
        }
    }

    pub fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
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

    /// What became of a file: the last word counts.
    pub fn result(&self, index: u32, name: &str, code: u8, why: &str) {
        if code != Exit::Done as u8 {
            output::error(&format!("{name}: {}", output::harmless(why.as_bytes())));
        }
        let results = self.results.lock();
        results
            .unwrap_or_else(|error| error.into_inner())
            .insert(index, code);
    }

    /// The content of a file is there already. Its result still tells whether all is well.
    pub fn same(&self, index: u32) {
        let same = self.same.lock();
        same.unwrap_or_else(|error| error.into_inner())
            .insert(index);
    }

    /// Files that were pushed, that were there already, and that failed.
    fn counts(&self) -> (u64, u64, u64) {
        let results = self.results();
        let same = self.same.lock().unwrap_or_else(|error| error.into_inner());
        let (mut pushed, mut compared, mut failed) = (0, 0, 0);
        for (index, code) in &results {
            match code {
                0 if same.contains(index) => compared += 1,
                0 => pushed += 1,
                _ => failed += 1,
            }
        }
        let unnamed = self.files.saturating_sub(results.len() as u64);
        (pushed, compared + unnamed, failed)
    }

    fn results(&self) -> BTreeMap<u32, u8> {
        let results = self.results.lock();
        results.unwrap_or_else(|error| error.into_inner()).clone()
    }

    pub fn report(&self, peer: &str) {
        let (pushed, there, failed) = self.counts();
        let time = self.begin.elapsed().max(Duration::from_nanos(1));
        let mut text = format!(
            "{} pushed to {peer}: {} in {:.2} s, {}",
            plural(pushed, "file", "files"),
            bytes(self.sent()),
            time.as_secs_f64(),
            rate_of(self.sent(), time)
        );
        let more = [
            (there, "was there already", "were there already"),
            (failed, "failed", "failed"),
            (self.left_out, "was left out", "were left out"),
        ];
        for (count, one, many) in more {
            if count > 0 {
                text.push_str(&format!("; {}", plural(count, one, many)));
            }
        }
        output::note(&text);
    }

    /// The code of the first file that failed; without one, whether all were taken along.
    pub fn exit(&self) -> Exit {
        let codes = self.results().into_values();
        match codes.map(Exit::from_code).find(|exit| *exit != Exit::Done) {
            Some(exit) => exit,
            None => self.left_out_as,
        }
    }
}
