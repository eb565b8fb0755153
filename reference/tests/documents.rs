//! Links between the Markdown pages of the tree lead somewhere, and the book has every page. `make docs`
//! checks the links of the finished book; this needs neither mdBook nor a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Directories that have no pages of ours.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the tree")
}

/// All pages below a directory, each with its text.
fn pages(directory: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).expect("a directory of ours") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if path.is_symlink() || name.is_some_and(|name| SKIPPED.contains(&name)) {
            continue;
        }
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).expect("text");
            found.insert(path, text);
        }
    }
}

/// The text without blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of all links.
fn targets(text: &str) -> Vec<String> {
    let after = prose(text);
    let links = after.split("](").skip(1);
    links
        .filter_map(|link| link.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains(char::is_whitespace) && !target.contains("://"))
        .collect()
}

/// The anchors of the headings: letters, digits and hyphens of the text, in lower case.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
            heading.chars().filter(kept).collect::<String>()
        })
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

/// The links of a page that lead nowhere.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let is_broken = |target: &String| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = match path {
            "" => page.to_owned(),
            path => page.with_file_name("").join(path),
        };
        let is_page = file.extension().is_some_and(|extension| extension == "md");
        let has_anchor = || {
            let text = match path {
                "" => text.to_owned(),
                _ => fs::read_to_string(&file).unwrap_or_default(),
            };
            anchors(&text).contains(anchor)
        };
        !(path.is_empty() || file.exists()) || (is_page && !anchor.is_empty() && !has_anchor())
    };
    targets(text).into_iter().filter(is_broken).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = BTreeMap::new();
    pages(&root(), &mut all);
    let mut links = 0;
    for (page, text) in &all {
        let broken = broken(page, text);
        assert!(broken.is_empty(), "{}: {broken:?}", page.display());
        links += targets(text).len();
    }
    assert!(links > 50, "only {links} links were found");
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let page = root().join("docs/example.md");
    let text = "# One heading, `two`\n[a](#one-heading-two) [b](ABI.md) [c](#three) [d](NONE.md)
[e](ABI.md#none) [f](../src) [g](https://example.org)\n```\n[h](NONE.md)\n```\n";
    assert_eq!(broken(&page, text), ["#three", "NONE.md", "ABI.md#none"]);
}

#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("the contents");
    let listed = targets(&summary);
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("UTF-8");
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        let is_listed = listed.iter().any(|target| target == name);
        assert!(
            !is_page || is_listed,
            "docs/SUMMARY.md does not list {name}"
        );
    }
    for name in [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        let target = format!("../{name}");
        assert!(
            listed.contains(&target),
            "docs/SUMMARY.md does not list {target}"
        );
    }
}
