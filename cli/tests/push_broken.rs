//! Pushes that are interrupted: by the cable, by either end, by a full disk, by a change.

mod common;

use std::fs::{self, File};
use std::io::Write;

use common::folders::{content, fast, push, Disk, Folders};
use common::{run, tool, Tool};
use testkit::{while_suspended, Cable};

/// A size that takes seconds at the speed of [`slow`].
const SIZE: usize = 48 << 20;
/// A push in progress, of which some has arrived.
fn under_way(cable: &Cable, folders: &Folders, arguments: &[&str]) -> Tool {
    let to = cable.b().address();
    folders.push_slowly(cable, SIZE, &[&[to], arguments].concat())
}

/// The megabytes that a push reports as sent.
fn sent(said: &str) -> f64 {
    let line = said
        .lines()
        .find(|line| line.contains(" pushed to "))
        .unwrap();
    let amount = line.split(": ").nth(1).unwrap();
    let (number, unit) = amount
        .split(" in ")
        .next()
        .unwrap()
        .split_once(' ')
        .unwrap();
    assert_eq!(unit, "MiB", "{said}");
    number.parse().unwrap()
}

#[test]
fn a_cable_that_is_pulled_and_plugged_in_again() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &[]);
    cable.unplug();
    pusher.wait_err("waiting for up to 120 s");
    receiver.wait_err("push it again to resume");
    assert_eq!(folders.names("in"), [".file.dcf-part"]);
    cable.plug();
    pusher.wait_err("going on after ");
    let ended = pusher.end();
    assert!(ended.out.contains("1 file pushed"), "{}", ended.out);
    ended.with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
    assert_eq!(folders.names("in"), ["file"]);
}

#[test]
fn a_receiver_that_is_not_there_yet_is_waited_for() {
    for named in [false, true] {
        let (cable, folders) = (Cable::new(), Folders::new());
        let file = folders.write("out/file", "content");
        let to = cable.b().address();
        let words = ["push", "--wait", "60", &file, to];
        let words = if named { &words[..] } else { &words[..4] };
        cable.unplug();
        let mut pusher = Tool::start(tool(cable.a(), words));
        pusher.wait_err("waiting for up to 60 s");
        cable.plug();
        let _receiver = folders.receive(cable.b(), &[]);
        pusher.end().with(0);
        assert_eq!(folders.names("in"), ["file"]);
    }
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    // The reason has a test of its own.
    let waited = run(tool(cable.a(), &["push", "--wait", "0.3", &file]));
    assert!(waited.err.contains("no peer answered"), "{waited:#?}");
    waited.with(4);
}

#[test]
fn a_cable_that_is_not_plugged_in_again() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &["--wait", "0.3"]);
    cable.unplug();
    let ended = pusher.end();
    assert!(
        ended.err.contains("push the same files again"),
        "{}",
        ended.err
    );
    ended.with(3);
}

#[test]
fn a_receiver_that_is_interrupted_and_started_again() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &[]);
    receiver.interrupt();
    let ended = receiver.end();
    assert!(
        ended.err.contains("are kept in .file.dcf-part"),
        "{}",
        ended.err
    );
    ended.with(130);
    pusher.wait_err("waiting for up to 120 s");
    assert_eq!(folders.names("in"), [".file.dcf-part"]);
    let _receiver = folders.receive(cable.b(), &[]);
    pusher.end().with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn an_interrupted_push_continues_where_it_stopped() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &[]);
    pusher.interrupt();
    let ended = pusher.end();
    for said in [
        "interrupted: 0 of 1 file is complete at fe80::",
        "is kept",
        "to go on",
    ] {
        assert!(ended.err.contains(said), "{said}: {ended:#?}");
    }
    ended.with(130);
    receiver.wait_err("push it again to resume");
    assert_eq!(folders.names("in"), [".file.dcf-part"]);

    let part = folders.at("in/.file.dcf-part");
    let kept = fs::metadata(&part).unwrap().len();
    assert!(kept >= 8 << 20, "{kept}");
    let file = folders.at("out/file");
    fast(cable.a());
    let ended = push(cable.a(), &[&file]);
    let again = sent(&ended.out);
    assert!(
        again <= ((SIZE as u64 - kept) >> 20) as f64 + 0.1,
        "{again} after {kept}"
    );
    ended.with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn a_kept_part_is_verified_before_it_is_used() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let mut receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &[]);
    pusher.interrupt();
    pusher.end().with(130);
    receiver.wait_err("push it again to resume");
    fast(cable.a());
    let file = folders.at("out/file");
    let mut kept = folders.read("in/.file.dcf-part");
    kept[5 << 20] ^= 1;
    folders.write("in/.file.dcf-part", kept);
    let ended = push(cable.a(), &[&file]);
    // The first piece of 4 MiB is right.
    assert_eq!(sent(&ended.out), 44.0, "{}", ended.err);
    ended.with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn only_one_push_runs_at_once() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &[]);
    let other = folders.write("out/other", "other");
    let busy = push(cable.a(), &["--wait", "0", &other, cable.b().address()]);
    assert!(busy.err.contains("busy with another push"), "{}", busy.err);
    busy.with(4);
    let to = cable.b().address();
    let mut patient = Tool::start(tool(cable.a(), &["push", &other, to]));
    patient.wait_err("the receiver is busy with another push");
    fast(cable.a());
    pusher.end().with(0);
    patient.end().with(0);
    assert_eq!(folders.names("in"), ["file", "other"]);
}

#[test]
fn a_file_that_changes_during_the_push_is_refused() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &[]);
    let mut file = File::options()
        .append(true)
        .open(folders.at("out/file"))
        .unwrap();
    file.write_all(b"more").unwrap();
    fast(cable.a());
    let ended = pusher.end();
    assert!(ended.err.contains("it changed after"), "{}", ended.err);
    ended.with(7);
    assert_eq!(folders.names("in"), [".file.dcf-part"]);
    push(cable.a(), &[&folders.at("out/file")]).with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn a_disk_that_is_too_small_is_reported_before_the_transfer() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _disk = Disk::of(&folders, "tmpfs", "size=4m");
    let file = folders.write("out/file", content(5 << 20));
    let _receiver = folders.receive(cable.b(), &[]);
    let full = push(cable.a(), &[&file]);
    assert!(
        full.err.contains("not enough disk space: 5.00 MiB needed"),
        "{}",
        full.err
    );
    full.with(6);
    assert!(folders.names("in").is_empty());
}

#[test]
fn a_disk_that_becomes_full_during_the_push() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _disk = Disk::of(&folders, "tmpfs", "size=56m");
    let mut receiver = folders.receive(cable.b(), &[]);
    let pusher = under_way(&cable, &folders, &[]);
    while_suspended(receiver.id(), || {
        let mut other = File::create(folders.at("in/somebody else's")).unwrap();
        // As much as fits: more may have arrived than the test waited for.
        let _ = other.write_all(&vec![1; 40 << 20]);
    });
    fast(cable.a());
    let ended = pusher.end();
    assert!(
        ended.err.contains("file: the disk is full"),
        "{}",
        ended.err
    );
    ended.with(6);
    receiver.wait_err("the disk is full");
    assert_eq!(folders.names("in"), [".file.dcf-part", "somebody else's"]);

    fs::remove_file(folders.at("in/somebody else's")).unwrap();
    push(cable.a(), &[&folders.at("out/file")]).with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}
