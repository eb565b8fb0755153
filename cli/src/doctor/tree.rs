//! Where the facts come from: the system's files and the answers of its programs, or a recording of both.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program;

/// How long a program has for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

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

    /// The interfaces of this network namespace, with their indices, as the kernel tells them without sysfs.
    pub fn interfaces(&self) -> Option<Vec<(String, u32)>> {
        if !self.is_live {
            return None;
        }
        let found = nix::net::if_::if_nameindex().ok()?;
        let of = |interface: &nix::net::if_::Interface| {
            let name = interface.name().to_string_lossy().into_owned();
            (name, interface.index())
        };
        Some(found.iter().map(of).collect())
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

    /// Whether two links lead to one file. In a recording only the links are there.
    pub fn is_same_file(&self, one: &str, other: &str) -> bool {
        let (one, other) = (self.at(one), self.at(other));
        if !self.is_live {
            let target = |path: &Path| fs::read_link(path).ok();
            return target(&one).is_some() && target(&one) == target(&other);
        }
        let file = |path: &Path| {
            let file = fs::metadata(path).ok()?;
            Some((file.dev(), file.ino()))
        };
        file(&one).is_some() && file(&one) == file(&other)
    }

    /// What a program answers, or why it does not.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        let command = words.join(" ");
        if !self.is_live {
            return self
                .read(&format!("commands/{}", words.join("-")))
                .ok_or_else(|| format!("what `{command}` answers was not recorded"));
        }
        let ended = program::run(words, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{} is not installed", words[0]),
            _ => format!("`{command}` failed: {error}"),
        })?;
        if ended.success {
            return Ok(String::from_utf8_lossy(&ended.output).into_owned());
        }
        let complaint = String::from_utf8_lossy(&ended.complaint);
        let complaint = complaint.lines().next().unwrap_or("it does not say why");
        Err(format!("`{command}` failed: {complaint}"))
    }
}
