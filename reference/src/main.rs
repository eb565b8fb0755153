//! The man pages of the C API, one for each group of functions, made from its header.
//!
//! `dcf_reference HEADER DIRECTORY` writes `GROUP.3` for each group, and a link to it for each of its
//! functions. A declaration that no group has is an error: a new function gets its page, or no page
//! is made at all.

mod comment;
mod header;
mod page;
mod pages;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use header::Header;
use page::Page;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [header, directory] = arguments.as_slice() else {
        eprintln!("usage: dcf_reference HEADER DIRECTORY");
        return ExitCode::from(2);
    };
    match make(Path::new(header), Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dcf_reference: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(header: &Path, directory: &Path) -> io::Result<()> {
    let header = Header::parse(&fs::read_to_string(header)?);
    let pages = pages::of(&header).map_err(io::Error::other)?;
    // What is there may be of an older header, with other names.
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for page in &pages {
        write(page, &header, &pages, directory)?;
    }
    Ok(())
}

fn write(page: &Page, header: &Header, all: &[Page], directory: &Path) -> io::Result<()> {
    let file = format!("{}.3", page.name);
    fs::write(directory.join(&file), page.render(header, all))?;
    for function in page.functions().filter(|function| *function != page.name) {
        symlink(&file, directory.join(format!("{function}.3")))?;
    }
    Ok(())
}
