//! Links within the pushed folders: kept unchanged, and never a way out of the receiver's folder.

mod common;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::sync::{Arc, Mutex};

use common::folders::{content, push, Folders};
use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{DataStream, ThunderboltTransportBuilder};

/// A model cache: blobs are named by their hash, and snapshots link to them.
fn cache(folders: &Folders) -> String {
    for (blob, size) in [("abc", 5 << 20), ("def", 100)] {
        folders.write(&format!("out/hub/blobs/{blob}"), content(size));
    }
    for (snapshot, names) in [("1", &["model", "config"][..]), ("2", &["model"])] {
        fs::create_dir_all(folders.at(&format!("out/hub/snapshots/{snapshot}"))).unwrap();
        for (name, blob) in names.iter().zip(["abc", "def"]) {
            let link = folders.at(&format!("out/hub/snapshots/{snapshot}/{name}"));
            symlink(format!("../../blobs/{blob}"), link).unwrap();
        }
    }
    symlink("2", folders.at("out/hub/snapshots/latest")).unwrap();
    symlink("nothing yet", folders.at("out/hub/dangling")).unwrap();
    folders.at("out/hub")
}

fn links(folders: &Folders, below: &str) -> Vec<(String, String)> {
    let target = |name: &String| {
        let target = fs::read_link(folders.at(&format!("{below}/{name}"))).ok()?;
        Some((name.clone(), target.to_str().unwrap().to_owned()))
    };
    folders.names(below).iter().filter_map(target).collect()
}

#[test]
fn a_model_cache_arrives_unchanged() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let hub = cache(&folders);
    let mut receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &[&hub]);
    assert!(
        pushed.out.contains("2 files and 5 links pushed"),
        "{}",
        pushed.err
    );
    assert!(!pushed.err.contains("skipped"), "{}", pushed.err);
    pushed.with(0);
    receiver.wait_out("2 files and 5 links received");
    assert_eq!(folders.names("in/hub"), folders.names("out/hub"));
    assert_eq!(links(&folders, "in/hub"), links(&folders, "out/hub"));
    assert_eq!(links(&folders, "in/hub").len(), 5);
    for name in ["snapshots/1/model", "snapshots/latest/model"] {
        let (there, here) = (format!("in/hub/{name}"), format!("out/hub/{name}"));
        assert!(folders.read(&there) == folders.read(&here), "{name}");
    }
    let time = |side: &str| {
        let link = folders.at(&format!("{side}/hub/snapshots/latest"));
        let metadata = fs::symlink_metadata(link).unwrap();
        (metadata.mtime(), metadata.mtime_nsec())
    };
    assert_eq!(time("in"), time("out"));
    let folder = |side: &str| fs::metadata(folders.at(&format!("{side}/hub/snapshots/1")));
    assert_eq!(
        folder("in").unwrap().modified().unwrap(),
        folder("out").unwrap().modified().unwrap()
    );

    // Existing links with the same target are left alone.
    let inode = || {
        fs::symlink_metadata(folders.at("in/hub/dangling"))
            .unwrap()
            .ino()
    };
    let was = inode();
    let again = push(cable.a(), &[&hub]);
    assert!(again.out.contains("0 files pushed"), "{}", again.out);
    again.with(0);
    assert_eq!(inode(), was);

    // A new snapshot beside the old one costs a link.
    symlink("1", folders.at("out/hub/snapshots/main")).unwrap();
    let more = push(cable.a(), &["--streams", "3", &hub]);
    assert!(
        more.out.contains("0 files and 1 link pushed"),
        "{}",
        more.err
    );
    more.with(0);
    assert_eq!(links(&folders, "in/hub"), links(&folders, "out/hub"));
}

#[test]
fn a_link_replaces_nothing_without_force() {
    let (cable, folders) = (Cable::new(), Folders::new());
    fs::create_dir_all(folders.at("out/d")).unwrap();
    for name in ["file", "link", "folder"] {
        symlink("ours", folders.at(&format!("out/d/{name}"))).unwrap();
    }
    folders.write("in/d/file", "precious");
    symlink("theirs", folders.at("in/d/link")).unwrap();
    let receiver = folders.receive(cable.b(), &[]);
    let refused = push(cable.a(), &[&folders.at("out/d")]);
    assert!(
        refused.err.contains("d/file, d/link exist already"),
        "{}",
        refused.err
    );
    refused.with(5);
    assert_eq!(folders.read("in/d/file"), b"precious");
    assert_eq!(links(&folders, "in/d"), [("link".into(), "theirs".into())]);
    drop(receiver);

    let receiver = folders.receive(cable.b(), &["--force"]);
    folders.write("in/d/folder/file", "precious");
    push(cable.a(), &[&folders.at("out/d")]).with(5);
    assert_eq!(folders.read("in/d/folder/file"), b"precious");
    fs::remove_dir_all(folders.at("in/d/folder")).unwrap();
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    assert_eq!(links(&folders, "in/d"), links(&folders, "out/d"));
    drop(receiver);

    // A file is not written through a link in its place.
    let _receiver = folders.receive(cable.b(), &[]);
    folders.write("in/d/ours", "precious");
    fs::remove_file(folders.at("out/d/link")).unwrap();
    folders.write("out/d/link", "other");
    push(cable.a(), &[&folders.at("out/d")]).with(5);
    assert_eq!(folders.read("in/d/ours"), b"precious");
}

#[test]
fn a_link_does_not_lead_through_one_that_leads_out() {
    let (cable, folders) = (Cable::new(), Folders::new());
    folders.write("elsewhere/secret", "secret");
    folders.write("in/d/nested/own", "own");
    symlink("../../elsewhere", folders.at("in/d/away")).unwrap();
    symlink("nested", folders.at("in/d/near")).unwrap();
    folders.write("out/d/file", "content");
    for (link, target) in [
        ("link", "away/secret"),
        ("nested/link", "../away"),
        ("second", "link"),
        ("good", "near/own"),
    ] {
        fs::create_dir_all(folders.at("out/d/nested")).unwrap();
        symlink(target, folders.at(&format!("out/d/{link}"))).unwrap();
    }
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &[&folders.at("out/d")]);
    for link in ["link", "nested/link"] {
        let said = format!("d/{link}: cannot create the link to ");
        assert!(pushed.err.contains(&said), "{}", pushed.err);
    }
    assert!(
        pushed
            .err
            .contains("an existing link on its way leads outside of the folder"),
        "{}",
        pushed.err
    );
    pushed.with(8);
    assert_eq!(folders.read("in/d/file"), b"content", "the rest is taken");
    assert_eq!(folders.read("in/d/good"), b"own");
    for (name, target) in links(&folders, "in/d") {
        let path = fs::canonicalize(folders.at(&format!("in/d/{name}")));
        let is_within = path.is_ok_and(|path| path.starts_with(folders.at("in")));
        assert!(
            is_within || ["away", "second"].contains(&&*name),
            "{name} -> {target}"
        );
    }
}

/// A receiver of the first version up to the plan: returns what was announced, and refuses.
fn announced_to_old_receiver(cable: &Cable, folders: &Folders) -> (Vec<u8>, common::Ended) {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let receiver = {
        let heard = Arc::clone(&heard);
        cable.b().run(|| {
            ThunderboltTransportBuilder::new()
                .interface("thunderbolt0")
                .on_stream(move |stream| {
                    *heard.lock().unwrap() = old_receiver(&stream);
                    let text = frame(0x85, b"\x01that was all");
                    stream.write_timeout(&text, Some(GENEROUS)).outcome.unwrap();
                    stream.finish().unwrap();
                    let _ = stream.read_timeout(&mut [0; 100], Some(GENEROUS));
                })
                .build()
                .unwrap()
        })
    };
    let pushed = push(cable.a(), &[&folders.at("out/hub"), cable.b().address()]);
    receiver.close();
    let heard = heard.lock().unwrap().clone();
    (heard, pushed)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

/// The frames of an announcement, to its end.
fn old_receiver(stream: &DataStream) -> Vec<u8> {
    let read = |count: usize| {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            let more = stream.read_timeout(&mut bytes[have..], Some(GENEROUS));
            have += more.unwrap();
        }
        bytes
    };
    assert_eq!(&read(16)[..10], b"DCFTBASK\x01\x01");
    let welcome = [&b"DCFTBANS\x01\x01"[..], &[0; 6]].concat();
    stream
        .write_timeout(&welcome, Some(GENEROUS))
        .outcome
        .unwrap();
    let mut all = Vec::new();
    loop {
        let head = read(5);
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let payload = read(length as usize);
        all.extend(frame(head[0], &payload));
        if head[0] == 2 {
            return all;
        }
    }
}

#[test]
fn links_are_not_announced_to_a_receiver_of_the_first_version() {
    let (cable, folders) = (Cable::new(), Folders::new());
    cache(&folders);
    let (heard, pushed) = announced_to_old_receiver(&cable, &folders);
    assert!(pushed.err.contains("skipped 5 links"), "{}", pushed.err);
    assert!(pushed.err.contains("that was all"), "{}", pushed.err);
    assert_eq!(heard[0], 1, "entries of the first version");
    for (name, is_there) in [
        (&b"hub/blobs/abc"[..], true),
        (b"latest", false),
        (b"dangling", false),
    ] {
        let found = heard.windows(name.len()).any(|part| part == name);
        assert_eq!(found, is_there, "{}", String::from_utf8_lossy(name));
    }
}
