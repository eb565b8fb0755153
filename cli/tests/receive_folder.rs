//! The receiver's folder disappears or is replaced while the receiver runs.

mod common;

use std::fs;
use std::process::Command;

use common::folders::{push, Disk, Folders};
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
