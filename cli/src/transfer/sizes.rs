//! How much of a push is still to come.

use super::entry::Entry;
use super::message::Want;

/// Bytes that the disk will have to take: holes take none.
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

/// Bytes of files that are to come, with those of holes.
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
