//! Imports run one way: no more than a few files of a crate import each other in a circle.
//!
//! A file that declares a module and uses it also imports from it. So items that its children need belong in a file
//! of their own.

mod cycles;
mod files;
mod tokens;

use std::path::Path;

/// The most files that a cycle may have.
const MOST: usize = 3;
/// Crates that still have larger cycles, and the size of the largest. Only lower these numbers, and remove a crate
/// when it has no cycle of more than [`MOST`] files.
const NOT_YET: [(&str, usize); 1] = [("transport/src", 35)];

#[test]
fn imports_run_one_way() {
    let mut wrong = String::new();
    for folder in ["src", "transport/src", "cli/src"] {
        let imports = files::imports(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert!(
            imports.values().any(|others| !others.is_empty()),
            "{folder}"
        );
        let not_yet = NOT_YET.iter().find(|(name, _)| *name == folder);
        let most = not_yet.map_or(MOST, |(_, most)| *most);
        for cycle in cycles::cycles(&imports) {
            println!("{folder}: {}", cycles::described(&cycle, &imports));
            if cycle.len() > most {
                wrong += &format!(
                    "{folder} (at most {most}): {}",
                    cycles::described(&cycle, &imports)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
