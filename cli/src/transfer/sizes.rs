//! The amount of data that a push has yet to transfer.

use super::entry::Entry;
use super::message::Want;

/// The disk space that the wanted files need, without their holes.
pub fn needed(entries: &[Entry], wants: &[Want]) -> u64 {
    entries
        .iter()
        .zip(wants)
        .map(|(entry, want)| match want {
            Want::Content { have } => entry.data().min(entry.size - have),
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}

/// The size of the wanted files, with their holes.
pub fn missing(entries: &[Entry], wants: &[Want]) -> u64 {
    entries
        .iter()
        .zip(wants)
        .map(|(entry, want)| match want {
            Want::Content { have } => entry.size - have,
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}
