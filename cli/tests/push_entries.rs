//! Entries that one side's file system refuses: they are reported, and all others arrive.

mod common;

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;

use common::folders::{content, push, slow, Disk, Folders};
use common::{plain, Tool, TOOL};
use testkit::{Cable, Host};

const LARGE: usize = (9 << 20) + 1234;

/// `dcf-tb` subject to permissions, even where the tests run as root.
fn bound_by_permissions(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search", TOOL]);
    plain(&mut command).env("DCF_TB_INTERFACE", "thunderbolt0");
    command.args(arguments);
    command
}

fn receive(folders: &Folders, host: &Host, arguments: &[&str]) -> Tool {
    let folder = folders.at("in");
    let arguments = [&["receive", &folder], arguments].concat();
    let mut receiver = Tool::start(bound_by_permissions(host, &arguments));
    receiver.wait_err("listening on thunderbolt0");
    receiver
}

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Pushes `out/d` twice: each time `failing` fail, with these words and this code, and all else arrives.
#[track_caller]
fn all_but(cable: &Cable, folders: &Folders, failing: &[(&str, &str)], code: i32) {
    for name in ["a", "z", "m/n/o"] {
        folders.write(&format!("out/d/{name}"), content(300_000));
    }
    for streams in ["1", "3"] {
        let pushed = push(cable.a(), &["--streams", streams, &folders.at("out/d")]);
        for (name, why) in failing {
            let line = pushed.err.lines().find(|line| {
                let is_it = line.strip_prefix(&format!("d/{name}: "));
                is_it.is_some_and(|said| said.contains(why))
            });
            assert!(line.is_some(), "{name}: {}", pushed.err);
        }
        let summary = format!("{} failed", failing.len());
        assert!(pushed.out.contains(&summary), "{}", pushed.out);
        pushed.with(code);
        for name in ["a", "z", "m/n/o"] {
            assert!(
                folders.read(&format!("in/d/{name}")) == content(300_000),
                "{name}"
            );
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/locked/small", "1");
    folders.write("out/d/locked/large", content(LARGE));
    folders.write("out/d/locked/deeper/file", "2");
    symlink("small", folders.at("out/d/locked/link")).unwrap();
    fs::create_dir_all(folders.at("in/d/locked")).unwrap();
    mode(&folders.at("in/d/locked"), 0o555);
    let mut receiver = receive(&folders, cable.b(), &[]);
    let denied = "Permission denied";
    let failing = [
        ("locked/deeper", denied),
        ("locked/deeper/file", "its folder d/locked/deeper: "),
        ("locked/large", denied),
        ("locked/link", denied),
        ("locked/small", denied),
    ];
    all_but(&cable, &folders, &failing, 1);
    receiver.wait_out("4 failed");
    mode(&folders.at("in/d/locked"), 0o755);
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    assert_eq!(folders.names("in/d"), folders.names("out/d"));
}

#[test]
fn the_rest_of_a_file_that_failed_is_not_sent() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/locked/large", content(64 << 20));
    folders.write("out/d/z", "after it");
    fs::create_dir_all(folders.at("in/d/locked")).unwrap();
    mode(&folders.at("in/d/locked"), 0o555);
    let _receiver = receive(&folders, cable.b(), &[]);
    slow(cable.a());
    let pushed = push(cable.a(), &[&folders.at("out/d"), cable.b().address()]);
    let line = pushed
        .out
        .lines()
        .find(|line| line.contains("1 file pushed"));
    let sent = line.and_then(|line| line.split(": ").nth(1)?.split(' ').next());
    let sent: f64 = sent.unwrap().parse().unwrap();
    // At most the content of both sides' buffers when the result arrives.
    assert!(sent < 48.0, "{}", pushed.err);
    pushed.with(1);
    assert_eq!(folders.read("in/d/z"), b"after it");
}

#[test]
fn existing_entries_that_cannot_be_read() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/compared", content(LARGE));
    mode(&folders.write("in/d/compared", content(LARGE)), 0);
    let _receiver = receive(&folders, cable.b(), &["--compare"]);
    let failing = [("compared", "the existing file cannot be read")];
    all_but(&cable, &folders, &failing, 1);
}

#[test]
fn other_disks_below_the_folder() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/full/large", content(LARGE));
    folders.write("out/d/full/small", content(200_000));
    folders.write("out/d/read only/file", "2");
    for name in ["in/d/full", "in/d/read only"] {
        fs::create_dir_all(folders.at(name)).unwrap();
    }
    let _full = Disk::at(folders.at("in/d/full"), "tmpfs", "size=100k");
    let _read_only = Disk::at(folders.at("in/d/read only"), "tmpfs", "ro");
    let _receiver = receive(&folders, cable.b(), &[]);
    let full = "the disk is full";
    let failing = [
        ("full/large", full),
        ("full/small", full),
        ("read only", "Read-only file system"),
        ("read only/file", "Read-only file system"),
    ];
    all_but(&cable, &folders, &failing, 6);
}

#[test]
fn an_existing_entry_of_another_kind() {
    for arguments in [&[][..], &["--force"]] {
        let (cable, folders) = (Cable::new(), Folders::new());
        folders.write("out/d/a folder over there", content(LARGE));
        folders.write("out/d/a file over there/deep/file", content(LARGE));
        folders.write("out/d/a link over there/file", "3");
        fs::create_dir_all(folders.at("in/d/a folder over there")).unwrap();
        fs::create_dir(folders.at("elsewhere")).unwrap();
        folders.write("in/d/a file over there", "4");
        symlink("../../elsewhere", folders.at("in/d/a link over there")).unwrap();
        let _receiver = receive(&folders, cable.b(), arguments);
        let failing = [
            ("a file over there", "something other than a folder"),
            ("a file over there/deep", "its folder d/"),
            ("a file over there/deep/file", "its folder d/"),
            ("a folder over there", "a folder has that name"),
            ("a link over there", "something other than a folder"),
            ("a link over there/file", "its folder d/"),
        ];
        all_but(&cable, &folders, &failing, 5);
        assert!(folders.names("elsewhere").is_empty());
        assert_eq!(folders.read("in/d/a file over there"), b"4");
    }
}

#[test]
fn a_file_that_is_too_large_for_the_receivers_limit() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/large", content(LARGE));
    folders.write("out/d/not so large", content(5 << 20));
    // Beyond the limit by a piece that is copied through user space.
    folders.write("out/d/rest", content((4 << 20) + 100_000));
    let receiver = receive(&folders, cable.b(), &[]);
    let limit = format!("--fsize={}", 4 << 20);
    let mut limited = Command::new("prlimit");
    limited.args(["--pid", &receiver.id().to_string(), &limit]);
    assert!(limited.status().unwrap().success());
    let why = "cannot store a file of that size";
    let failing = [("large", why), ("not so large", why), ("rest", why)];
    all_but(&cable, &folders, &failing, 6);
}

#[test]
fn entries_that_the_pusher_cannot_read() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for name in ["a", "z"] {
        folders.write(&format!("out/d/{name}"), "content");
    }
    mode(&folders.write("out/d/secret", "1"), 0);
    folders.write("out/d/hidden/file", "2");
    mode(&folders.at("out/d/hidden"), 0);
    let _receiver = receive(&folders, cable.b(), &[]);
    let arguments = ["push", &folders.at("out/d"), cable.b().address()];
    let pushed = common::run(bound_by_permissions(cable.a(), &arguments));
    mode(&folders.at("out/d/hidden"), 0o755);
    assert!(
        pushed
            .err
            .contains("hidden: cannot be read: Permission denied"),
        "{}",
        pushed.err
    );
    assert!(
        pushed
            .err
            .contains("d/secret: cannot be read: Permission denied"),
        "{}",
        pushed.err
    );
    assert!(pushed.out.contains("2 files pushed"), "{}", pushed.out);
    pushed.with(1);
    assert_eq!(folders.names("in/d"), ["a", "hidden", "z"]);
}

#[test]
fn the_folder_itself_fails() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/a", "1");
    folders.write("out/d/b", "2");
    let mounted = Disk::of(&folders, "tmpfs", "ro");
    let read_only = receive(&folders, cable.b(), &[]);
    let pushed = push(cable.a(), &[&folders.at("out/d")]);
    assert!(
        pushed.err.contains("read-only file system"),
        "{}",
        pushed.err
    );
    pushed.with(1);
    drop(read_only);
    drop(mounted);

    let _receiver = receive(&folders, cable.b(), &[]);
    fs::remove_dir(folders.at("in")).unwrap();
    let pushed = push(cable.a(), &[&folders.at("out/d")]);
    assert!(
        pushed.err.contains("the receiver's folder was removed"),
        "{}",
        pushed.err
    );
    pushed.with(1);
}
