//! The table of rows, with their goals.

mod idle;
mod lisp;
mod messages;
mod round_trips;
mod streams;

use std::path::Path;

use crate::contestant::Contestant;
use crate::instructions;
use crate::peers;
use crate::work::{Builder, Work};

/// All works, with those of the other tools that are installed.
pub fn works(programs: &Path, quick: bool) -> Vec<Work> {
    let builder = Builder { programs, quick };
    let mut works = round_trips::works(&builder);
    works.extend(messages::works(&builder));
    works.extend(streams::works(&builder));
    works.extend(lisp::works(&builder));
    works.extend(idle::works(&builder));
    works.extend(instructions::works(programs));
    for peer in peers::installed(programs) {
        // A quick run has only time for contestants that a goal names.
        if quick && !works.iter().any(|work| work.names(peer.name)) {
            continue;
        }
        if let Some(work) = works.iter_mut().find(|work| work.id == peer.row) {
            let other = Contestant::other(peer);
            let other = match &work.length {
                Some(length) => other.with(length),
                None => other,
            };
            work.contestants.push(other);
        }
    }
    works
}

#[cfg(test)]
mod tests {
    use super::works;
    use crate::contestant::Kind;
    use crate::figure::Better;
    use crate::work::Goal;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn ids_are_unique_and_begin_with_their_works() {
        let works = works(Path::new("."), true);
        let mut seen = BTreeSet::new();
        for work in &works {
            for row in &work.rows {
                assert!(row.id.starts_with(work.id), "{}", row.id);
                assert!(seen.insert(row.id.clone()), "{} is there twice", row.id);
                assert!(row.title.chars().count() <= 29, "{} is too long", row.title);
            }
        }
    }

    #[test]
    fn the_library_comes_first() {
        for work in works(Path::new("."), false) {
            assert_eq!(work.contestants[0].kind, Kind::Library, "{}", work.id);
            let libraries = work.contestants.iter().filter(|c| c.kind == Kind::Library);
            assert_eq!(libraries.count(), 1, "{}", work.id);
        }
    }

    #[test]
    fn an_aim_is_no_easier_than_a_must() {
        for row in works(Path::new("."), false)
            .iter()
            .flat_map(|work| &work.rows)
        {
            let (Goal::Ratio { must, aim, .. } | Goal::Limit { must, aim }) = row.goal else {
                continue;
            };
            match row.figure.better() {
                Better::Lower => assert!(aim <= must, "{}", row.id),
                Better::Higher => assert!(aim >= must, "{}", row.id),
            }
        }
    }
}
