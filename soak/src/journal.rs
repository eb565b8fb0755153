//! Output, on the terminal and in the log.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Lines with the time since the beginning.
pub struct Journal {
    began: Instant,
    file: File,
}

impl Journal {
    pub fn new(directory: &Path) -> Result<Self, String> {
        let path = directory.join("soak.log");
        fs::create_dir_all(directory)
            .and_then(|()| File::create(&path))
            .map(|file| Self {
                began: Instant::now(),
                file,
            })
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Writes a line. The soak goes on if that fails.
    pub fn line(&mut self, text: &str) {
        let time = self.began.elapsed().as_secs_f64();
        for line in text.lines() {
            self.plain(&format!("{time:8.1} s  {line}"));
        }
    }

    /// Writes a line without a time.
    pub fn plain(&mut self, text: &str) {
        println!("{text}");
        let _ = writeln!(self.file, "{text}");
    }

    pub fn began(&self) -> Instant {
        self.began
    }
}
