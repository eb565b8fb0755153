//! A receiver reveals about files of other programs in its folder only that the name exists.

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::folders::{push, Disk, Folders};
use testkit::Cable;

/// Gives a file the time of another.
fn same_time(folders: &Folders, of: &str, to: &str) {
    let time = fs::metadata(folders.at(of)).unwrap().modified().unwrap();
    let file = File::options().append(true).open(folders.at(to)).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_secret_cannot_be_guessed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let secret = folders.write("in/secret", "the password is 1234");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    for force in [&[][..], &["--sync"]] {
        let receiver = folders.receive(cable.b(), force);
        let guesses = [
            "the password is 1234",
            "the password is 9999",
            "another size",
            "",
        ];
        let mut answers = Vec::new();
        for guess in guesses {
            for with_its_time in [false, true] {
                let path = folders.write("out/secret", guess);
                if with_its_time {
                    same_time(&folders, "in/secret", "out/secret");
                }
                let refused = push(cable.a(), &[&path]);
                answers.push((refused.code, refused.err));
            }
        }
        assert_eq!(answers[0].0, 5, "{answers:?}");
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        drop(receiver);
    }
    assert_eq!(folders.read("in/secret"), b"the password is 1234");

    // With --force a pusher learns no more.
    let path = folders.write("out/secret", "the password is 1234");
    same_time(&folders, "in/secret", "out/secret");
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let pushed = push(cable.a(), &[&path]);
    assert!(pushed.out.contains("1 file pushed"), "{}", pushed.out);
    assert!(!pushed.err.contains("already"), "{}", pushed.err);
    pushed.with(0);
}

#[test]
fn the_content_of_an_unfinished_file_cannot_be_guessed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let content = vec![7; 9 << 20];
    let part = folders.write("in/.file.dcf-part", &content);
    fs::set_permissions(&part, Permissions::from_mode(0o600)).unwrap();
    let path = folders.write("out/file", &content);
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &[&path]);
    assert!(pushed.out.contains(": 9.00 MiB in"), "{}", pushed.out);
    pushed.with(0);
    assert_eq!(folders.names("in"), ["file"]);
}

#[test]
fn a_pushed_file_is_recognised_until_it_is_changed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let path = folders.write("out/file", "content");
    let receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&path]).with(0);
    drop(receiver);
    // Another receiver recognises it, too.
    let _receiver = folders.receive(cable.b(), &[]);
    let again = push(cable.a(), &[&path]);
    assert!(again.out.contains("1 existed already"), "{}", again.out);
    again.with(0);

    let copied = Command::new("cp")
        .args([
            "--preserve=all",
            &folders.at("in/file"),
            &folders.at("in/copy"),
        ])
        .status();
    assert!(copied.unwrap().success());
    let copy = folders.write("out/copy", "content");
    same_time(&folders, "out/file", "out/copy");
    push(cable.a(), &[&copy]).with(5);

    let file = File::options()
        .append(true)
        .open(folders.at("in/file"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1))
        .unwrap();
    let refused = push(cable.a(), &[&path]);
    assert!(
        refused
            .err
            .contains("file exists already: nothing was changed"),
        "{}",
        refused.err
    );
    refused.with(5);
}

#[test]
fn compare_permits_comparing_other_files() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("in/same", "content");
    folders.write("in/other", "CONTENT");
    let [same, other] = ["out/same", "out/other"].map(|name| folders.write(name, "content"));
    let _receiver = folders.receive(cable.b(), &["--compare"]);
    push(cable.a(), &[&same]).with(0);
    let refused = push(cable.a(), &[&other]);
    assert!(
        refused.err.contains("with different content"),
        "{}",
        refused.err
    );
    refused.with(5);
    assert_eq!(folders.read("in/other"), b"CONTENT");
}

#[test]
fn the_target_of_a_link_cannot_be_guessed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for (folder, target) in [("right", "here"), ("wrong", "there")] {
        folders.write(&format!("out/{folder}/d/here"), "");
        symlink(target, folders.at(&format!("out/{folder}/d/link"))).unwrap();
    }
    fs::create_dir(folders.at("in/d")).unwrap();
    let theirs = folders.at("in/d/link");
    symlink("here", &theirs).unwrap();
    // Links that are made one after the other may have the same time.
    let touch = ["--no-dereference", "--date=2001-02-03", &theirs];
    let touched = Command::new("touch").args(touch).status();
    assert!(touched.unwrap().success());
    let guess = |folder: &str| {
        let guessed = push(cable.a(), &[&folders.at(&format!("out/{folder}/."))]);
        (guessed.code, guessed.err)
    };
    let receiver = folders.receive(cable.b(), &[]);
    let (right, wrong) = (guess("right"), guess("wrong"));
    assert_eq!(right, wrong);
    assert_eq!(right.0, 5, "{}", right.1);
    drop(receiver);
    let receiver = folders.receive(cable.b(), &["--compare"]);
    assert_eq!((guess("right").0, guess("wrong").0), (0, 5));
    drop(receiver);

    // A link that a push made is recognised.
    fs::remove_file(&theirs).unwrap();
    for _ in 0..2 {
        let _receiver = folders.receive(cable.b(), &[]);
        let made = guess("right");
        assert_eq!(made.0, 0, "{}", made.1);
    }
}

/// A file system that cannot mark files.
#[test]
fn without_marks_the_receiver_remembers_as_long_as_it_runs() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _disk = Disk::of(&folders, "ramfs", "mode=755");
    folders.write("in/theirs", "content");
    let [theirs, ours] = ["out/theirs", "out/ours"].map(|name| folders.write(name, "content"));
    same_time(&folders, "in/theirs", "out/theirs");
    let receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&theirs]).with(5);
    push(cable.a(), &[&ours]).with(0);
    let again = push(cable.a(), &[&ours]);
    assert!(again.out.contains("1 existed already"), "{}", again.out);
    again.with(0);
    drop(receiver);
    let _receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&ours]).with(5);
}
