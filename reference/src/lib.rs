//! The reference of the C API, made from its header: man pages, and one page of Markdown.
//!
//! A declaration that no page lists is an error: a new function gets its place, or nothing is made.

mod comment;
mod header;
mod markdown;
mod page;
mod pages;
mod rust;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, io};

use header::Header;
use page::Page;

/// Writes `GROUP.3` for each group of functions, and a link to it for each function.
///
/// # Errors
///
/// If a declaration is on no page or on two, or if a file cannot be written.
pub fn write_man_pages(header: &str, directory: &Path) -> io::Result<()> {
    let header = Header::parse(header);
    let pages = pages::of(&header).map_err(io::Error::other)?;
    // The directory may hold pages of an older header, with other names.
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for page in &pages {
        write_man_page(page, &header, &pages, directory)?;
    }
    Ok(())
}

/// The text of `docs/REFERENCE.md`.
///
/// # Errors
///
/// If a declaration is on no page or on two, or if a status has no counterpart in Rust.
pub fn markdown(header: &str) -> Result<String, String> {
    let header = Header::parse(header);
    let pages = pages::of(&header)?;
    markdown::render(&header, &pages)
}

fn write_man_page(page: &Page, header: &Header, all: &[Page], directory: &Path) -> io::Result<()> {
    let file = format!("{}.3", page.name);
    fs::write(directory.join(&file), page.render(header, all))?;
    for function in page.functions().filter(|function| *function != page.name) {
        symlink(&file, directory.join(format!("{function}.3")))?;
    }
    Ok(())
}
