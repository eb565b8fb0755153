//! The folders of a pusher and a receiver.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{wait_until, Cable, Host};

use super::{tool, Ended, Tool};

/// A receiver's folder and one with things to push.
pub struct Folders {
    directory: tempfile::TempDir,
}

impl Folders {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["in", "out"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    /// A path below both.
    pub fn at(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.at(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// All names below, sorted.
    pub fn names(&self, name: &str) -> Vec<String> {
        let root = self.directory.path().join(name);
        let mut names: Vec<String> = walkdir::WalkDir::new(&root)
            .min_depth(1)
            .into_iter()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .strip_prefix(&root)
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        names.sort();
        names
    }

    /// Starts `dcf-tb receive` into `in`, and waits until it listens.
    pub fn receive(&self, host: &Host, arguments: &[&str]) -> Tool {
        let folder = self.at("in");
        let mut tool = Tool::start(tool(host, &[&["receive", &folder], arguments].concat()));
        tool.wait_err("listening on thunderbolt0");
        tool
    }

    /// Starts a slow push of `out/file` from host A to host B, and waits until more than [`SOME`] has arrived.
    pub fn push_slowly(&self, cable: &Cable, size: usize, arguments: &[&str]) -> Tool {
        let file = self.write("out/file", content(size));
        slow(cable.a());
        let push = tool(cable.a(), &[&["push", &file], arguments].concat());
        let pusher = Tool::start(push);
        wait_until("a part of the file arrives", LONG, || {
            self.arrived("file") > SOME
        });
        pusher
    }

    /// Bytes that have arrived of an unfinished file.
    pub fn arrived(&self, name: &str) -> u64 {
        fs::metadata(self.at(&format!("in/.{name}.dcf-part"))).map_or(0, |part| part.len())
    }
}

/// A separate file system at a folder, as long as it lives.
pub struct Disk(String);

impl Disk {
    /// At `in`.
    pub fn of(folders: &Folders, kind: &str, options: &str) -> Self {
        Self::at(folders.at("in"), kind, options)
    }

    pub fn at(folder: String, kind: &str, options: &str) -> Self {
        let mount = ["-t", kind, "-o", options, "dcf-tb-test", &folder];
        let status = Command::new("mount").args(mount).status().unwrap();
        assert!(
            status.success(),
            "this test mounts a {kind}: run it as root, or by `make test`"
        );
        Self(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", &self.0]).status();
    }
}

/// The content of a file, without repetitions.
pub fn content(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Pushes to the only peer.
pub fn push(host: &Host, arguments: &[&str]) -> Ended {
    super::run(tool(host, &[&["push"], arguments].concat()))
}

/// Limits the rate of a host, so that a transfer can be interrupted in the middle.
pub fn slow(host: &Host) {
    let queue = "qdisc add dev thunderbolt0 root tbf rate 100mbit burst 512kb latency 100ms";
    host.traffic_control(&queue.split(' ').collect::<Vec<_>>());
}

/// Removes that limit.
pub fn fast(host: &Host) {
    host.traffic_control(&["qdisc", "delete", "dev", "thunderbolt0", "root"]);
}

/// How much has arrived when a test interrupts a slow push.
pub const SOME: u64 = 10 << 20;

/// Long enough for a slow transfer on a busy machine.
pub const LONG: Duration = Duration::from_secs(120);
