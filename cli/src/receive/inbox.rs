//! A private folder for a push whose only file goes to standard output.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{mkdir, Mode};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// How much is printed at once.
const STEP: usize = 256 << 10;

/// A folder in TMPDIR, removed with all that is in it when this is dropped.
pub struct Inbox(PathBuf);

impl Inbox {
    pub fn new() -> Result<Self, Failure> {
        let folder = env::temp_dir();
        let failed = |error: io::Error| {
            let folder = output::shown(&folder);
            Failure::new(
                Exit::Failed,
                format!("cannot create a folder in {folder}: {error}"),
            )
        };
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| failed(error.into()))?;
        let path = folder.join(format!("dcf-tb-{:016x}", u64::from_ne_bytes(random)));
        mkdir(&path, Mode::RWXU).map_err(|error| failed(error.into()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Prints the only file that arrived. The folder goes first: a reader that exits ends the program at once.
    pub fn print(self) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot read what arrived: {error}"))
        };
        let entries: Result<Vec<_>, _> = fs::read_dir(&self.0).map_err(failed)?.collect();
        let entries = entries.map_err(failed)?;
        let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
        let mut file = match &entries[..] {
            [only] if is_file(only) => File::open(only.path()).map_err(failed)?,
            _ => {
                let text = format!(
                    "{} entries arrived, and --stdout takes one file",
                    entries.len()
                );
                return Err(Failure::new(Exit::Failed, text));
            }
        };
        drop(self);
        let mut buf = vec![0; STEP];
        loop {
            match file.read(&mut buf).map_err(failed)? {
                0 => return Ok(()),
                count => output::script(&buf[..count]),
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // On failure it stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}
