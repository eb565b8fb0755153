//! doctor on recorded trees, and on hosts of the test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use testkit::Host;

use super::{local, plain, run, Ended, TOOL};

pub const HEALTHY: &str = "healthy";

/// The recordings: those of faults are laid over the healthy one.
pub fn trees() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trees");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut trees: Vec<_> = entries
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    trees.sort();
    trees
}

/// Makes files of a recording.
pub fn unpack(recording: &str, root: &Path) {
    for line in recording.lines().filter(|line| !line.starts_with('#')) {
        let make_room = |path: &str| {
            let path = root.join(path);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        if let Some(path) = line.strip_prefix("- ") {
            make_room(path);
        } else if let Some((path, content)) = line.split_once(" = ") {
            let content = content.replace("\\n", "\n").replace("\\t", "\t");
            fs::write(make_room(path), content + "\n").unwrap();
        } else if let Some((path, target)) = line.split_once(" -> ") {
            symlink(target, make_room(path)).unwrap();
        } else {
            panic!("no line of a recording: {line:?}");
        }
    }
}

pub fn doctor(recordings: &[&str], arguments: &[&str]) -> Ended {
    let root = tempfile::tempdir().unwrap();
    recordings
        .iter()
        .for_each(|recording| unpack(recording, root.path()));
    let root = root.path().to_str().unwrap();
    run(local(&[&["doctor", "--root", root], arguments].concat()))
}

/// `dcf-tb doctor` on a host, with a view of /sys that is the host's own.
pub fn on_host(host: &Host, arguments: &[&str]) -> Command {
    let mut command = seeing_its_own_sysfs(host, "doctor");
    command
        .env("DCF_TB_INTERFACE", "thunderbolt0")
        .args(arguments);
    command
}

/// A subcommand on a host, which sees the /sys of that host as on a machine of its own.
pub fn seeing_its_own_sysfs(host: &Host, subcommand: &str) -> Command {
    let mut command = host.command("unshare");
    plain(&mut command);
    let script = "mount -t sysfs sysfs /sys && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh", TOOL, subcommand]);
    command
}

/// The report's line about something.
pub fn line<'a>(report: &'a str, check: &str) -> &'a str {
    let is_it = |line: &&str| line.get(9..).is_some_and(|rest| rest.starts_with(check));
    report
        .lines()
        .find(is_it)
        .unwrap_or_else(|| panic!("no {check} in {report}"))
}
