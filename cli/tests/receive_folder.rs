//! The receiver's folder disappears or is replaced while the receiver runs.

mod common;

use std::fs;
use std::process::Command;

use common::folders::{push, Disk, Folders};
use common::{local, run, tool, Tool};
use testkit::Cable;

#[test]
fn a_replaced_folder_receives_no_files() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let path = folders.write("out/file", "content");
    let (there, moved) = (folders.at("in"), folders.at("moved"));
    let refused = |words: &str| {
        let refused = push(cable.a(), &[&path]);
        assert!(refused.err.contains(words), "{words}: {}", refused.err);
        assert!(!refused.err.contains(&there), "{}", refused.err);
        refused.with(1);
    };
    let mut receiver = folders.receive(cable.b(), &[]);
    fs::rename(&there, &moved).unwrap();
    refused("was renamed");
    fs::create_dir(&there).unwrap();
    refused("was replaced by another one");
    receiver.wait_err("was replaced by another one");
    fs::remove_dir(&there).unwrap();
    fs::remove_dir(&moved).unwrap();
    refused("was removed");
    drop(receiver);

    fs::create_dir(&there).unwrap();
    let receiver = folders.receive(cable.b(), &[]);
    let disk = Disk::of(&folders, "tmpfs", "size=4m");
    refused("was mounted or unmounted");
    drop(receiver);
    let receiver = folders.receive(cable.b(), &[]);
    drop(disk);
    refused("was mounted or unmounted");
    drop(receiver);

    let _disk = Disk::of(&folders, "tmpfs", "size=4m");
    let _receiver = folders.receive(cable.b(), &[]);
    let options = ["-o", "remount,ro", &there];
    let status = Command::new("mount").args(options).status();
    assert!(status.unwrap().success());
    refused("read-only file system");
    assert!(folders.names("in").is_empty());
}

#[test]
fn the_current_folder_is_the_usual_one_and_a_new_one_is_made_on_request() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let new = folders.at("in/new/folder");
    let absent = run(tool(cable.b(), &["receive", &new]));
    assert!(absent.err.contains("--mkdir"), "{}", absent.err);
    absent.with(1);
    for (words, place) in [
        (&["receive", "--once"][..], "in/file"),
        (
            &["receive", "--once", "--mkdir", &new],
            "in/new/folder/file",
        ),
    ] {
        let mut command = tool(cable.b(), words);
        command.current_dir(folders.at("in"));
        let mut receiver = Tool::start(command);
        receiver.wait_err("listening");
        push(cable.a(), &[&file]).with(0);
        receiver.end().with(0);
        assert_eq!(folders.read(place), b"content");
    }
}

#[test]
fn unfinished_files_of_yesterday_are_cleaned_away() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let pusher = folders.push_slowly(&cable, 48 << 20, &[]);
    let clean = || run(local(&["receive", "--clean", &folders.at("in")])).with(0);
    assert_eq!(clean(), "0 unfinished files removed, 0 B freed\n");
    // Old, but still being received.
    let part = folders.at("in/.file.dcf-part");
    let touch = || {
        let touched = std::process::Command::new("touch")
            .args(["-d", "2 days ago", &part])
            .status();
        assert!(touched.unwrap().success());
    };
    touch();
    assert!(clean().starts_with("0 "));
    pusher.interrupt();
    pusher.end().with(130);
    drop(_receiver);
    touch();
    fs::create_dir(folders.at("in/d")).unwrap();
    // Another program's file with such a name stays.
    let other = folders.write("in/d/.other.dcf-part", "other");
    let touched = std::process::Command::new("touch")
        .args(["-d", "2 days ago", &other])
        .status();
    assert!(touched.unwrap().success());
    let said = clean();
    assert!(
        said.starts_with(".file.dcf-part (") && said.contains("\n1 unfinished file removed"),
        "{said}"
    );
    assert_eq!(folders.names("in"), ["d", "d/.other.dcf-part"]);
}
