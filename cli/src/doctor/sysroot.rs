//! The source of all facts: the system's files and the output of its programs, or a recording of both.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{fstat, open, openat2, readlinkat, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::program;

/// Larger than any file that is read here.
const LARGEST: u64 = 16 << 20;

/// The time limit of a program.
const PATIENCE: Duration = Duration::from_secs(10);

/// A root directory with `sys`, `proc`, `run` and `etc`. A recording has the output of programs in `commands`, in
/// files named as the command with `-` for spaces. A recording is untrusted: its links are resolved within it,
/// and its pipes and devices are not read.
pub struct SysRoot {
    root: PathBuf,
    is_live: bool,
}

impl SysRoot {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            is_live: root == Path::new("/"),
        }
    }

    /// The running system.
    pub fn live() -> Self {
        Self::new(Path::new("/"))
    }

    pub fn is_live(&self) -> bool {
        self.is_live
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The interfaces of this network namespace and their indices, from the kernel without sysfs.
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

    /// Opens a path below the root.
    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut flags = flags | OFlags::CLOEXEC;
        // openat2 rejects meaningless combinations of flags.
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
        }
        if self.is_live {
            return open(self.at(path), flags, Mode::empty());
        }
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(&self.root, folder, Mode::empty())?;
        // Links of a recording, even absolute ones, are resolved within it (openat2(2)).
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&root, path, flags, Mode::empty(), within)
    }

    /// The content of a file, trimmed.
    pub fn read(&self, path: &str) -> Option<String> {
        let file = self.open(path, OFlags::RDONLY).ok()?;
        let mode = fstat(&file).ok()?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return None;
        }
        let mut bytes = Vec::new();
        let mut file = File::from(file).take(LARGEST + 1);
        file.read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > LARGEST {
            return None;
        }
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.parse().ok()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.open(path, OFlags::PATH).is_ok()
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &str) -> Vec<String> {
        let folder = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let entries = folder.and_then(Dir::new).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort();
        names
    }

    /// The text of a link.
    fn target(&self, path: &str) -> Option<PathBuf> {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = self.open(folder, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        let target = readlinkat(&folder, name, Vec::new()).ok()?;
        Some(PathBuf::from(target.to_string_lossy().into_owned()))
    }

    /// The last component of a link's target.
    pub fn link(&self, path: &str) -> Option<String> {
        let target = self.target(path)?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether two links lead to the same file. A recording has only the links.
    pub fn is_same_file(&self, one: &str, other: &str) -> bool {
        if !self.is_live {
            let target = self.target(one);
            return target.is_some() && target == self.target(other);
        }
        let file = |path: &str| {
            let file = fs::metadata(self.at(path)).ok()?;
            Some((file.dev(), file.ino()))
        };
        file(one).is_some() && file(one) == file(other)
    }

    /// The output of a program, or why there is none.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        let command = words.join(" ");
        if !self.is_live {
            return self
                .read(&format!("commands/{}", words.join("-")))
                .ok_or_else(|| format!("the output of `{command}` was not recorded"));
        }
        let ended = program::run(words, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{} is not installed", words[0]),
            _ => format!("`{command}` failed: {error}"),
        })?;
        if ended.success {
            return Ok(String::from_utf8_lossy(&ended.output).into_owned());
        }
        let complaint = String::from_utf8_lossy(&ended.complaint);
        let complaint = complaint.lines().next().unwrap_or("without a reason");
        Err(format!("`{command}` failed: {complaint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn a_recording_is_read_within_itself_and_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("recording");
        fs::create_dir_all(root.join("sys/class")).unwrap();
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::write(directory.path().join("secret"), "outside").unwrap();
        fs::write(root.join("sys/inside"), " inside\n").unwrap();
        for (link, target) in [
            ("sys/class/climbs", "../../../secret"),
            ("sys/class/whole", "/sys/inside"),
            ("sys/class/relative", "../inside"),
            ("sys/class/host", "/etc/passwd"),
            ("sys/class/magic", "/proc/self/environ"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let made = Command::new("mkfifo").arg(root.join("sys/pipe")).status();
        assert!(made.unwrap().success());
        let large = File::create(root.join("sys/large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();

        let sys = SysRoot::new(&root);
        let inside = Some("inside".to_owned());
        assert_eq!(sys.read("sys/inside"), inside);
        assert_eq!(sys.read("sys/class/relative"), inside);
        assert_eq!(sys.read("sys/class/whole"), inside);
        for path in [
            "class/climbs",
            "class/host",
            "class/magic",
            "pipe",
            "large",
            "class",
        ] {
            assert_eq!(sys.read(&format!("sys/{path}")), None, "{path}");
        }
        assert!(!sys.exists("sys/class/host") && sys.exists("sys/class/whole"));
        assert_eq!(sys.list("sys"), ["class", "inside", "large", "pipe"]);
        assert_eq!(sys.link("sys/class/host").as_deref(), Some("passwd"));
        assert!(sys.is_same_file("sys/class/host", "sys/class/host"));
    }
}
