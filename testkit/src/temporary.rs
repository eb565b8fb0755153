//! Files for tests.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

/// A file that is deleted with this value: its path, and the file, open for reading and writing.
#[derive(Debug)]
pub struct Temporary(pub PathBuf, pub File);

impl Temporary {
    /// Creates a file with this content. The position is at its end.
    pub fn new(content: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dcf-tb-file-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .expect("a new file");
        file.write_all(content).expect("room on the disk");
        Self(path, file)
    }

    /// Its content now.
    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.0).expect("it is there")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
