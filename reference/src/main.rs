//! `dcf_reference HEADER DIRECTORY` writes the man pages of the C API into a directory.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [header, directory] = arguments.as_slice() else {
        eprintln!("usage: dcf_reference HEADER DIRECTORY");
        return ExitCode::from(2);
    };
    let made = fs::read_to_string(header)
        .and_then(|text| dcf_reference::write_man_pages(&text, Path::new(directory)));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dcf_reference: cannot make man pages from {header} in {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}
