//! Where the facts come from: the system's files and the answers of its programs, or a recording of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A root directory with `sys`, `proc`, `run` and `etc`. In a recording, what programs answered lies in
/// `commands`, in files that are called as the command with `-` for its spaces.
pub struct Tree {
    root: PathBuf,
    is_live: bool,
}

impl Tree {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            is_live: root == Path::new("/"),
        }
    }

    pub fn is_live(&self) -> bool {
        self.is_live
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// What is in a file, without space around it.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.at(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.parse().ok()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The last name in what a link points to.
    pub fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.at(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// What a program answered; `None` when it failed, or is not there.
    pub fn command(&self, words: &[&str]) -> Option<String> {
        if !self.is_live {
            return self.read(&format!("commands/{}", words.join("-")));
        }
        let output = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }
}
