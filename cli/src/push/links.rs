//! Selects the symbolic links that are kept.

use std::collections::HashSet;
use std::path::PathBuf;

use super::tree::Tree;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::link::resolve;

impl Tree {
    /// Keeps the links that stay within the pushed folders, and skips the others.
    pub(super) fn keep_links(&mut self, paths: &[PathBuf]) {
        let folders: HashSet<PathBuf> = self
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Folder)
            .map(|entry| entry.path.clone())
            .collect();
        for (entry, place) in std::mem::take(&mut self.links) {
            let root = place.root as usize;
            match self.leads_within(&entry, root, &folders) {
                Ok(()) => {
                    self.entries.push(entry);
                    self.places.push(place);
                }
                Err(why) => {
                    let below = entry.path.strip_prefix(&self.bases[root]);
                    let path = paths[root].join(below.unwrap_or(&entry.path));
                    let why = format!("a link: {why} (use --dereference to copy its target)");
                    self.skip(&path, &why);
                }
            }
        }
    }

    fn leads_within(
        &self,
        entry: &Entry,
        root: usize,
        folders: &HashSet<PathBuf>,
    ) -> Result<(), &'static str> {
        let target = entry.target().unwrap_or_default();
        let to = resolve(&entry.path, target, |path| folders.contains(path))?;
        // At the receiver the link must lead to the same thing as here: below the same path, or below one beside
        // it.
        let beside = &self.beside[root];
        let is_there = |(other, base): (usize, &PathBuf)| {
            let is_beside = beside.is_some() && *beside == self.beside[other];
            (other == root || is_beside) && to.starts_with(base)
        };
        match self.bases.iter().enumerate().any(is_there) {
            true => Ok(()),
            false => Err("it leads outside of the pushed folders"),
        }
    }
}
