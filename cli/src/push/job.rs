//! State that the streams of an attempt share while they send.

use std::borrow::Cow;

use super::tally::Tally;
use super::tree::Tree;
use crate::transfer::entry::Entry;
use crate::transfer::extensions::Extensions;
use crate::transfer::message::Want;
use crate::transfer::progress::Progress;

pub struct Job<'a> {
    pub tree: &'a Tree,
    /// The entries, as announced to this receiver.
    pub entries: Cow<'a, [Entry]>,
    pub wants: Vec<Want>,
    pub extensions: Extensions,
    pub tally: &'a Tally<'a>,
    pub progress: Progress,
}

impl Job<'_> {
    /// Counts bytes that were sent.
    pub fn sent(&self, count: u64) {
        self.tally.add_sent(count);
        self.progress.add(count);
    }
}
