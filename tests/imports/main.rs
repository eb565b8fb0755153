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

#[test]
fn imports_run_one_way() {
    let mut wrong = String::new();
    for folder in ["src", "transport/src", "cli/src"] {
        let imports = files::imports(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert!(
            imports.values().any(|others| !others.is_empty()),
            "{folder}"
        );
        for cycle in cycles::cycles(&imports) {
            println!("{folder}: {}", cycles::described(&cycle, &imports));
            if cycle.len() > MOST {
                wrong += &format!(
                    "{folder} (at most {MOST}): {}",
                    cycles::described(&cycle, &imports)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
