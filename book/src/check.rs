//! Every link of the book leads to a file that exists, and to an anchor in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::links::{attribute, is_external};

/// The broken links of the book in `book`, each with its page.
pub fn broken(book: &Path) -> std::io::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read(book, &mut pages)?;
    let anchors: BTreeMap<&PathBuf, BTreeSet<&str>> = pages
        .iter()
        .map(|(path, html)| (path, attribute(html, "id").collect()))
        .collect();
    let mut broken = Vec::new();
    for (page, html) in &pages {
        for target in attribute(html, "href").chain(attribute(html, "src")) {
            if is_external(target) {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => page.clone(),
                path => normal(&page.with_file_name("").join(path)),
            };
            let is_there = match anchors.get(&file) {
                Some(anchors) => anchor.is_empty() || anchors.contains(anchor),
                None => file.exists(),
            };
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    Ok(broken)
}

/// All pages below a directory.
fn read(directory: &Path, pages: &mut BTreeMap<PathBuf, String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, pages)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            pages.insert(normal(&path), fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The same path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::broken;

    #[test]
    fn links_without_a_file_or_an_anchor_are_broken() {
        let book = std::env::temp_dir().join(format!("dcf-book-{}", std::process::id()));
        let page = book.join("docs/page.html");
        fs::create_dir_all(book.join("docs")).unwrap();
        fs::write(book.join("index.html"), "<h1 id=\"top\">").unwrap();
        let good = "<p id=\"here\"><a href=\"../index.html#top\"><a href=\"#here\"><a href=\"https://x.y/z\">";
        fs::write(&page, good).unwrap();
        let of_good = broken(&book).unwrap();
        let bad = "<a href=\"../index.html#bottom\"><a href=\"../other.html\"><img src=\"x.png\">";
        fs::write(&page, bad).unwrap();
        let of_bad = broken(&book).unwrap();
        fs::remove_dir_all(&book).unwrap();
        assert_eq!(of_good, Vec::<String>::new());
        assert_eq!(of_bad.len(), 3, "{of_bad:?}");
    }
}
