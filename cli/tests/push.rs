//! push and receive between two hosts: files that arrive, refusals, and output.

mod common;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

use common::folders::{content, fast, push, slow, Folders};
use common::{run, tool, Tool};
use testkit::Cable;

/// More than two pieces of a file, and not a whole number of them.
const LARGE: usize = (9 << 20) + 1234;

#[test]
fn folders_arrive_as_with_cp() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let large = folders.write("out/d/large", content(LARGE));
    folders.write("out/d/deep/er/small", "small");
    folders.write("out/d/deep/empty", "");
    fs::create_dir(folders.at("out/d/nothing in it")).unwrap();
    fs::set_permissions(&large, fs::Permissions::from_mode(0o750)).unwrap();
    let mut receiver = folders.receive(cable.b(), &[]);

    let pushed = push(cable.a(), &[&folders.at("out/d"), cable.b().address()]);
    assert!(
        pushed.out.contains("3 files pushed to fe80::"),
        "{}",
        pushed.err
    );
    assert_eq!(pushed.err, "");
    pushed.with(0);
    assert_eq!(folders.names("in/d"), folders.names("out/d"));
    for name in ["large", "deep/er/small", "deep/empty"] {
        let (there, here) = (format!("in/d/{name}"), format!("out/d/{name}"));
        assert!(folders.read(&there) == folders.read(&here), "{name}");
        let [there, here] = [there, here].map(|name| fs::metadata(folders.at(&name)).unwrap());
        assert_eq!(there.mode() & 0o777, here.mode() & 0o777 & !0o022, "{name}");
        assert_eq!(
            there.modified().unwrap(),
            here.modified().unwrap(),
            "{name}"
        );
    }
    let [there, here] = ["in/d/deep", "out/d/deep"].map(|name| fs::metadata(folders.at(name)));
    assert_eq!(
        there.unwrap().modified().unwrap(),
        here.unwrap().modified().unwrap()
    );
    receiver.wait_out("3 files received from fe80::");

    // No file is sent twice; `DIR/.` copies the content of a folder.
    let again = push(
        cable.a(),
        &[&folders.at("out/d"), &folders.at("out/d/deep/.")],
    );
    assert!(again.out.contains("2 files pushed"), "{}", again.out);
    assert!(again.out.contains(": 5 B in"), "{}", again.out);
    assert!(again.out.contains("3 existed already"), "{}", again.out);
    again.with(0);
    assert_eq!(folders.read("in/er/small"), b"small");
    receiver.interrupt();
    receiver.end().with(130);
}

#[test]
fn nothing_is_overwritten_without_force() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let paths = [
        folders.write("out/other", "ours"),
        folders.write("out/new", "new"),
    ];
    let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
    folders.write("in/other", "theirs, longer");
    let receiver = folders.receive(cable.b(), &[]);
    let refused = push(cable.a(), &arguments);
    assert!(
        refused.err.contains("other exists already"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("--force"), "{}", refused.err);
    refused.with(5);
    assert_eq!(folders.read("in/other"), b"theirs, longer");
    assert_eq!(folders.names("in"), ["other"], "nothing was changed");

    // A file of an earlier push with the same size: the content decides.
    fs::remove_file(folders.at("in/other")).unwrap();
    push(cable.a(), &arguments).with(0);
    let later = std::time::SystemTime::now();
    let touch = |name: &str| {
        let file = fs::File::options().append(true).open(folders.at(name));
        file.unwrap().set_modified(later).unwrap();
    };
    touch("out/other");
    push(cable.a(), &arguments).with(0);
    folders.write("out/other", "them");
    let refused = push(cable.a(), &arguments);
    assert!(refused
        .err
        .contains("other: it exists with different content"));
    refused.with(5);
    assert_eq!(folders.names("in"), ["new", "other"]);
    assert_eq!(folders.read("in/other"), b"ours");
    folders.write("out/other", "ours");
    drop(receiver);

    folders.write("in/other", "theirs, longer");
    symlink("other", folders.at("in/link")).unwrap();
    let link = folders.write("out/link", "no link");
    let _receiver = folders.receive(cable.b(), &["--force"]);
    push(cable.a(), &[arguments[0], &link]).with(0);
    assert_eq!(folders.read("in/other"), b"ours");
    assert!(!fs::symlink_metadata(folders.at("in/link"))
        .unwrap()
        .is_symlink());
}

#[test]
fn links_in_the_receivers_folder_are_not_followed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    fs::create_dir(folders.at("elsewhere")).unwrap();
    symlink("../elsewhere", folders.at("in/d")).unwrap();
    folders.write("out/d/file", "content");
    for force in [&[][..], &["--force"]] {
        let _receiver = folders.receive(cable.b(), force);
        let refused = push(cable.a(), &[&folders.at("out/d")]);
        assert!(refused.code == 5 || refused.code == 8, "{refused:?}");
        assert!(folders.names("elsewhere").is_empty());
    }
}

#[test]
fn entries_that_are_neither_file_nor_folder_are_reported_and_left_out() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/file", "content");
    symlink("../../elsewhere", folders.at("out/d/link")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(folders.at("out/d/pipe"))
        .status();
    assert!(made.unwrap().success());
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &[&folders.at("out/d")]);
    assert!(
        pushed
            .err
            .contains("link: a link: it leads outside of the pushed folders (use --dereference"),
        "{}",
        pushed.err
    );
    assert!(
        pushed
            .err
            .contains("pipe: it is neither a file nor a folder"),
        "{}",
        pushed.err
    );
    assert!(pushed.out.contains("2 were skipped"), "{}", pushed.out);
    pushed.with(0);
    let strict = push(cable.a(), &["--strict", &folders.at("out/d")]);
    assert!(strict.out.contains("2 were skipped"), "{strict:?}");
    strict.with(8);
    assert_eq!(folders.names("in"), ["d", "d/file"]);
    fs::remove_file(folders.at("out/d/pipe")).unwrap();
    folders.write("elsewhere", "content");
    push(cable.a(), &["--dereference", &folders.at("out/d")]).with(0);
    assert_eq!(folders.read("in/d/link"), b"content");
}

#[test]
fn several_streams_copy_the_same_content() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for number in 0..40 {
        folders.write(&format!("out/d/{number}"), content(number * 20_000));
    }
    folders.write("out/d/large", content(LARGE));
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &["--streams", "4", &folders.at("out/d")]);
    assert!(pushed.out.contains("41 files pushed"), "{}", pushed.out);
    pushed.with(0);
    for name in folders.names("out/d") {
        assert!(folders.read(&format!("in/d/{name}")) == folders.read(&format!("out/d/{name}")));
    }
    assert_eq!(folders.names("in/d"), folders.names("out/d"));
}

#[test]
fn push_tries_more_streams_automatically() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for number in 0..40 {
        folders.write(&format!("out/d/{number}"), content(3_000_000 + number));
    }
    let _receiver = folders.receive(cable.b(), &[]);
    slow(cable.a());
    let folder = folders.at("out/d");
    let arguments = ["push", "-v", &folder, cable.b().address()];
    let mut pusher = Tool::start(tool(cable.a(), &arguments));
    pusher.wait_err("trying one more stream");
    fast(cable.a());
    pusher.end().with(0);
    assert_eq!(folders.names("in/d"), folders.names("out/d"));
    for name in folders.names("out/d") {
        assert!(folders.read(&format!("in/d/{name}")) == folders.read(&format!("out/d/{name}")));
    }
}

#[test]
fn a_receiver_with_once_ends_after_one_push() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let receiver = folders.receive(cable.b(), &["--once", "--sync"]);
    push(cable.a(), &["--quiet", &file]).with(0);
    receiver.end().with(0);
    assert_eq!(folders.read("in/file"), b"content");
}

#[test]
fn quiet_prints_nothing() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &["--quiet", &file]);
    assert_eq!((pushed.out.as_str(), pushed.err.as_str()), ("", ""));
    pushed.with(0);
}

#[test]
fn a_peer_without_a_receiver_is_distinguished_from_an_absent_one() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let nobody = push(cable.a(), &[&file]);
    assert!(
        nobody.err.contains("no peer answered on thunderbolt0"),
        "{}",
        nobody.err
    );
    nobody.with(4);
    let refused = push(cable.a(), &[&file, cable.b().address()]);
    assert!(refused.err.contains("refused"), "{}", refused.err);
    refused.with(4);
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let other = push(cable.a(), &[&file]);
    assert!(other.err.contains("dcf-tb receive DIR"), "{}", other.err);
    other.with(4);
    let missing = push(cable.a(), &[&folders.at("out/missing")]);
    assert!(missing.err.contains("missing"), "{}", missing.err);
    missing.with(1);
    let nowhere = run(tool(cable.b(), &["receive", &folders.at("nowhere")]));
    assert!(nowhere.err.contains("nowhere"), "{}", nowhere.err);
    nowhere.with(1);
}

#[test]
fn both_ends_print_the_result_as_json() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/file", content(LARGE));
    folders.write("out/d/taken", "ours");
    folders.write("out/d/other", "x");
    fs::create_dir_all(folders.at("in/d/taken")).unwrap();
    let mut receiver = folders.receive(cable.b(), &["--json", "--once"]);
    let pushed = push(cable.a(), &["--json", &folders.at("out/d")]);
    receiver.wait_out("}");
    let ends = [pushed.with(5), receiver.end().with(0)];
    let ends = ends.map(|out| serde_json::from_str::<serde_json::Value>(&out).unwrap());
    for end in &ends {
        assert_eq!(
            (&end["files"], &end["failed"]),
            (&2.into(), &1.into()),
            "{end}"
        );
        assert_eq!(end["bytes"], LARGE + 1, "{end}");
        assert!(end["bytes_per_second"].as_f64().unwrap() > 0.0, "{end}");
        assert!(end["peer"].as_str().unwrap().contains("fe80::"), "{end}");
    }
    let failure = &ends[0]["failures"][0];
    assert_eq!(
        (&failure["path"], &failure["code"]),
        (&"d/taken".into(), &5.into())
    );
}

#[test]
fn what_is_pushed_can_be_selected_and_slowed_down() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for name in ["a.o", "keep.o", "a.c", "target/x", "sub/b.c"] {
        folders.write(&format!("out/d/{name}"), "content");
    }
    let list = folders.write("list", "sub\na.c\nabsent\n");
    let folder = folders.at("out/d");
    let _receiver = folders.receive(cable.b(), &[]);
    let patterns = [
        "--exclude",
        "*.o",
        "--exclude",
        "target/",
        "--include",
        "keep.o",
    ];
    push(cable.a(), &[&patterns[..], &[&folder]].concat()).with(0);
    assert_eq!(folders.names("in/d"), ["a.c", "keep.o", "sub", "sub/b.c"]);
    fs::remove_dir_all(folders.at("in/d")).unwrap();
    let listed = push(cable.a(), &["--files-from", &list, &folder]);
    assert!(
        listed
            .err
            .contains("absent: it is listed, but was not found"),
        "{listed:?}"
    );
    listed.with(1);
    assert_eq!(folders.names("in/d"), ["a.c", "sub", "sub/b.c"]);

    // 4 MiB at 16 Mb/s take two seconds; half of it is enough on a busy clock.
    let large = folders.write("out/large", content(4 << 20));
    let slow = push(cable.a(), &["--json", "--bwlimit", "16Mb/s", &large]).with(0);
    let json: serde_json::Value = serde_json::from_str(&slow).unwrap();
    assert!(json["bytes_per_second"].as_f64().unwrap() < 4e6, "{json}");
    assert!(folders.read("in/large") == folders.read("out/large"));
    push(cable.a(), &["--bwlimit", "16", &large]).with(2);
    push(cable.a(), &["--exclude", "a[z-a]", &large]).with(2);
}

#[test]
fn changed_files_are_replaced_if_the_receiver_allows_it() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("out/d/file", "first");
    folders.write("out/d/gone", "x");
    folders.write("out/d/sub/gone too", "x");
    let folder = folders.at("out/d");
    let receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&folder]).with(0);
    folders.write("out/d/file", "second, longer");
    folders.write("out/d/new", "new");
    fs::remove_file(folders.at("out/d/gone")).unwrap();
    fs::remove_dir_all(folders.at("out/d/sub")).unwrap();
    for (mode, option) in [
        ("--update", "--allow-update"),
        ("--delete", "--allow-delete"),
    ] {
        let refused = push(cable.a(), &[mode, &folder]);
        assert!(refused.err.contains(option), "{refused:?}");
        refused.with(8);
    }
    assert_eq!(folders.read("in/d/file"), b"first");
    drop(receiver);
    let _receiver = folders.receive(cable.b(), &["--allow-update", "--allow-delete"]);
    let link = folders.write("in/outside", "stays");
    symlink(&link, folders.at("in/d/link")).unwrap();
    fs::create_dir(folders.at("in/other")).unwrap();
    let before = folders.names("in");
    let dry = push(cable.a(), &["--dry-run", "--update", "--delete", &folder]);
    assert!(
        dry.out
            .starts_with("d/file (14 B)\nd/new (3 B)\nwould push 2 files"),
        "{dry:?}"
    );
    dry.with(0);
    assert_eq!(
        (folders.names("in"), folders.read("in/d/file")),
        (before, b"first".to_vec())
    );
    push(cable.a(), &["--update", &folder]).with(0);
    assert_eq!(folders.read("in/d/file"), b"second, longer");
    assert!(folders.names("in/d").contains(&"gone".to_owned()));
    push(cable.a(), &["--update", "--delete", &folder]).with(0);
    assert_eq!(
        folders.names("in"),
        ["d", "d/file", "d/new", "other", "outside"]
    );
    assert_eq!(folders.read("in/outside"), b"stays");
    // What was skipped here must not be deleted there.
    symlink("/nowhere", folders.at("out/d/skipped")).unwrap();
    push(cable.a(), &["--delete", &folder]).with(2);
}

#[test]
fn standard_input_gets_a_name() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let stored = folders.write("out/stored", content(LARGE));
    let _receiver = folders.receive(cable.b(), &[]);
    let piped = |words: &[&str]| {
        let mut command = tool(cable.a(), &[&["push"], words].concat());
        command.stdin(fs::File::open(&stored).unwrap());
        command.env("TMPDIR", folders.at("out"));
        run(command)
    };
    piped(&["-", "--name", "from a pipe"]).with(0);
    assert!(folders.read("in/from a pipe") == folders.read("out/stored"));
    assert_eq!(folders.names("out"), ["stored"], "nothing stays behind");
    for wrong in [
        &["-"][..],
        &["--name", "x", &stored],
        &["-", &stored, "--name", "x"],
    ] {
        piped(wrong).with(2);
    }
    // Names are checked as any other.
    piped(&["-", "--name", "../out/x"]).with(8);
    assert_eq!(folders.names("out"), ["stored"]);
}

#[test]
fn one_file_can_go_to_standard_output() {
    let (cable, folders) = (Cable::new(), Folders::new());
    // Text, because the test collects lines.
    let text = "a line\n".repeat(100_000);
    let file = folders.write("out/file", &text);
    let receive = || {
        let mut command = tool(cable.b(), &["receive", "--stdout"]);
        command.env("TMPDIR", folders.at("in"));
        let mut receiver = Tool::start(command);
        receiver.wait_err("listening");
        receiver
    };
    let receiver = receive();
    push(cable.a(), &[&file]).with(0);
    assert!(receiver.end().with(0) == text);
    let receiver = receive();
    push(cable.a(), &[&folders.at("out")]).with(0);
    let folder = receiver.end();
    assert!(folder.err.contains("--stdout takes one file"), "{folder:?}");
    folder.with(1);
    let receiver = receive();
    receiver.interrupt();
    assert_eq!(receiver.end().with(130), "");
    assert!(folders.names("in").is_empty(), "nothing stays behind");
}
