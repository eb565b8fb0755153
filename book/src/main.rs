//! `dcf_book TREE DIRECTORY` builds the documentation of the tree as a book into DIRECTORY, which is
//! `target/doc/book`: the C reference and the Rust documentation are beside it. A broken link is an
//! error.
//!
//! The pages are Markdown files that link to each other as they lie in the tree. They keep their
//! places in the book. Links to other files of the tree bring those files along; links to
//! directories become plain text.

mod check;
mod links;

use std::error::Error;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use mdbook_driver::config::Config;
use mdbook_driver::MDBook;

/// The contents, and the settings of mdBook.
const SUMMARY: &str = "docs/SUMMARY.md";
const SETTINGS: &str = "docs/book.toml";

/// The last chapter, which only the book has.
const APIS: (&str, &str) = (
    "APIS.md",
    "\
# Man pages and Rust documentation

- [The man pages of the C API](../c/index.html)
- [The Rust crate `thunderbolt_transport`](../thunderbolt_transport/index.html)
",
);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [tree, directory] = arguments.as_slice() else {
        eprintln!("usage: dcf_book TREE DIRECTORY");
        return ExitCode::from(2);
    };
    match build(Path::new(tree), Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dcf_book: cannot build the book in {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(tree: &Path, directory: &Path) -> Result<(), Box<dyn Error>> {
    let work = directory.with_extension("work");
    let sources = work.join("src");
    for old in [&work, directory] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(&sources)?;
    let mut pages = Vec::new();
    let contents = links::replace(&fs::read_to_string(tree.join(SUMMARY))?, |text, target| {
        let page = resolve(Path::new(SUMMARY), target)?;
        let link = format!("[{text}]({})", page.display());
        pages.push(page);
        Ok(link)
    })?;
    let last = format!("\n---\n\n[Man pages and Rust documentation]({})\n", APIS.0);
    fs::write(sources.join("SUMMARY.md"), contents + &last)?;
    fs::write(sources.join(APIS.0), APIS.1)?;
    for page in &pages {
        let text = fs::read_to_string(tree.join(page))
            .map_err(|error| format!("{SUMMARY} lists {}: {error}", page.display()))?;
        let text = links::replace(&text, |text, target| {
            link(tree, &sources, page, text, target)
        })?;
        write(&sources.join(page), text.as_bytes())?;
    }
    let mut settings = Config::from_disk(tree.join(SETTINGS))?;
    // mdBook takes it relative to its own directory.
    settings.build.build_dir = std::path::absolute(directory)?;
    MDBook::load_with_config(&work, settings)?.build()?;
    fs::remove_dir_all(&work)?;
    let broken = check::broken(&fs::canonicalize(directory)?)?;
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!("broken links:\n{}", broken.join("\n")).into()),
    }
}

/// A link of a page as the book has it.
fn link(
    tree: &Path,
    sources: &Path,
    page: &Path,
    text: &str,
    target: &str,
) -> Result<String, String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    if path.is_empty() || links::is_external(target) {
        return Ok(format!("[{text}]({target})"));
    }
    let file = resolve(page, path)?;
    let there = tree.join(&file);
    if there.is_dir() {
        return Ok(text.to_owned());
    }
    let is_page = there.extension().is_some_and(|extension| extension == "md");
    if !is_page {
        let content = fs::read(&there)
            .map_err(|error| format!("{} links to {}: {error}", page.display(), file.display()))?;
        write(&sources.join(&file), &content).map_err(|error| error.to_string())?;
    }
    // mdBook makes index.html of each README.md.
    let path = path.replace("README.md", "index.md");
    let anchor = if anchor.is_empty() {
        String::new()
    } else {
        format!("#{anchor}")
    };
    Ok(format!("[{text}]({path}{anchor})"))
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, content)
}

/// A link's target as a path from the root of the tree.
fn resolve(page: &Path, target: &str) -> Result<PathBuf, String> {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        let is_inside = match part {
            Component::ParentDir => path.pop(),
            Component::Normal(name) => {
                path.push(name);
                true
            }
            _ => part == Component::CurDir,
        };
        if !is_inside {
            return Err(format!(
                "{}: {target} leads out of the tree",
                page.display()
            ));
        }
    }
    Ok(path)
}
