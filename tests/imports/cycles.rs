//! Cycles in a graph of imports.

use std::collections::{BTreeMap, BTreeSet};

use super::files::Imports;

/// The groups of files that import each other in a circle, directly or indirectly: the strongly connected components
/// of more than one file, the largest first.
pub fn cycles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = imports
        .keys()
        .map(|from| (from, reachable(from, imports)))
        .collect();
    let mut cycles: Vec<BTreeSet<String>> = Vec::new();
    for (file, from_it) in &reached {
        let is_known = cycles.iter().any(|cycle| cycle.contains(*file));
        if is_known || !from_it.contains(file) {
            continue;
        }
        let back = from_it
            .iter()
            .filter(|other| reached[**other].contains(file));
        cycles.push(back.map(|other| (**other).clone()).collect());
    }
    cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
    cycles
}

/// All files that a file imports from, directly or indirectly.
fn reachable<'a>(from: &str, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&String> = imports[from].iter().collect();
    while let Some(file) = left.pop() {
        if found.insert(file) {
            left.extend(&imports[file]);
        }
    }
    found
}

/// Describes a cycle: its files, and the imports between them.
pub fn described(cycle: &BTreeSet<String>, imports: &Imports) -> String {
    let line = |file: &String| {
        let within: Vec<&str> = imports[file]
            .intersection(cycle)
            .map(String::as_str)
            .collect();
        format!("    {file} imports from {}\n", within.join(", "))
    };
    let lines: String = cycle.iter().map(line).collect();
    format!(
        "{} files import each other in a circle:\n{lines}",
        cycle.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Imports {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), owned(to)))
            .collect()
    }

    #[test]
    fn cycles_are_found_and_named() {
        let imports = graph(&[
            ("a", &["b", "leaf"]),
            ("b", &["c"]),
            ("c", &["a", "x"]),
            ("x", &["y"]),
            ("y", &["x"]),
            ("leaf", &[]),
            ("above", &["a", "above_too"]),
            ("above_too", &["leaf"]),
        ]);
        let found = cycles(&imports);
        let names: Vec<Vec<&str>> = found
            .iter()
            .map(|cycle| cycle.iter().map(String::as_str).collect())
            .collect();
        assert_eq!(names, [&["a", "b", "c"][..], &["x", "y"]]);
        let text = described(&found[0], &imports);
        assert!(
            text.contains("3 files") && text.contains("c imports from a\n"),
            "{text}"
        );
    }

    #[test]
    fn one_way_imports_have_no_cycle() {
        let imports = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
        assert!(cycles(&imports).is_empty());
    }
}
