//! Hard links within a push, and metadata that is not copied.

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, UNIX_EPOCH};

use common::folders::{content, push, Disk, Folders};
use testkit::Cable;

const LARGE: usize = 5 << 20;

fn link(folders: &Folders, from: &str, to: &str) {
    fs::hard_link(folders.at(from), folders.at(to)).unwrap();
}

fn inode(folders: &Folders, name: &str) -> u64 {
    fs::metadata(folders.at(name)).unwrap().ino()
}

/// Files with several names: three of the large one, two of the small one.
fn names(folders: &Folders) -> String {
    folders.write("out/d/a", content(LARGE));
    folders.write("out/d/sub/own", "own");
    folders.write("out/d/small", "small");
    link(folders, "out/d/a", "out/d/b");
    link(folders, "out/d/a", "out/d/sub/c");
    link(folders, "out/d/small", "out/d/sub/small");
    // A name outside of the push does not matter.
    link(folders, "out/d/sub/own", "out/outside");
    folders.at("out/d")
}

#[track_caller]
fn are_one(folders: &Folders, names: &[&str]) {
    let first = inode(folders, names[0]);
    for name in names {
        assert_eq!(inode(folders, name), first, "{name}");
    }
    let links = fs::metadata(folders.at(names[0])).unwrap().nlink();
    assert_eq!(links, names.len() as u64, "{names:?}");
}

#[track_caller]
fn arrived(folders: &Folders) {
    assert_eq!(folders.names("in/d"), folders.names("out/d"));
    are_one(folders, &["in/d/a", "in/d/b", "in/d/sub/c"]);
    are_one(folders, &["in/d/small", "in/d/sub/small"]);
    are_one(folders, &["in/d/sub/own"]);
    for name in ["a", "b", "sub/c", "small", "sub/small", "sub/own"] {
        let (there, here) = (format!("in/d/{name}"), format!("out/d/{name}"));
        assert!(folders.read(&there) == folders.read(&here), "{name}");
    }
}

#[test]
fn hard_links_stay_hard_links() {
    for streams in [&[][..], &["--streams", "4"]] {
        let (cable, folders) = (Cable::new(), Folders::new());
        let folder = names(&folders);
        let _receiver = folders.receive(cable.b(), &[]);
        let arguments = [streams, &[&*folder]].concat();
        let pushed = push(cable.a(), &arguments);
        assert!(pushed.out.contains("6 files pushed"), "{}", pushed.out);
        assert!(pushed.out.contains(": 5.00 MiB in"), "once: {}", pushed.out);
        pushed.with(0);
        arrived(&folders);
        let again = push(cable.a(), &arguments);
        assert!(again.out.contains("6 existed already"), "{}", again.out);
        again.with(0);

        // A removed name comes back, even the first; a copy becomes a link again.
        for lost in ["in/d/b", "in/d/a"] {
            fs::remove_file(folders.at(lost)).unwrap();
            push(cable.a(), &arguments).with(0);
            arrived(&folders);
        }
    }
}

#[test]
fn a_hard_link_replaces_nothing_without_force() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = names(&folders);
    folders.write("in/d/b", "precious");
    let receiver = folders.receive(cable.b(), &[]);
    let refused = push(cable.a(), &[&folder]);
    assert!(
        refused.err.contains("d/b exists already"),
        "{}",
        refused.err
    );
    refused.with(5);
    assert_eq!(folders.read("in/d/b"), b"precious");
    assert_eq!(folders.names("in/d"), ["b"]);
    drop(receiver);
    let _receiver = folders.receive(cable.b(), &["--force"]);
    push(cable.a(), &[&folder]).with(0);
    arrived(&folders);
    // Another content under all names.
    folders.write("out/d/a", content(LARGE - 1));
    push(cable.a(), &[&folder]).with(0);
    arrived(&folders);
}

/// Equal content with another time: all names of it get the time.
#[test]
fn hard_links_get_the_time_of_their_file() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = names(&folders);
    let _receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&folder]).with(0);
    for seconds in [1_000_000_000, 1_100_000_000] {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        for name in ["out/d/a", "out/d/small"] {
            let file = File::options().write(true).open(folders.at(name));
            file.unwrap().set_modified(time).unwrap();
        }
        let pushed = push(cable.a(), &[&folder]);
        assert!(pushed.out.contains("6 existed already"), "{}", pushed.out);
        pushed.with(0);
        arrived(&folders);
        for name in ["a", "b", "sub/c", "small", "sub/small"] {
            let there = fs::metadata(folders.at(&format!("in/d/{name}"))).unwrap();
            assert_eq!(there.modified().unwrap(), time, "{name}");
        }
    }
}

/// A separate file of an earlier push becomes a link to another if it has the same content, and only then.
#[test]
fn a_copy_becomes_a_hard_link_if_its_content_is_the_same() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = names(&folders);
    let _receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&folder]).with(0);
    let mut other = content(LARGE);
    for same in [true, false] {
        fs::remove_file(folders.at("in/d/b")).unwrap();
        if !same {
            other[LARGE / 2] ^= 1;
        }
        folders.write("other/d/b", &other);
        let copy = folders.at("other/d");
        push(cable.a(), &[&copy]).with(0);
        assert_ne!(inode(&folders, "in/d/b"), inode(&folders, "in/d/a"));

        let pushed = push(cable.a(), &[&folder]);
        if same {
            pushed.with(0);
            arrived(&folders);
        } else {
            assert!(pushed.err.contains("d/b: "), "{}", pushed.err);
            pushed.with(5);
            assert!(folders.read("in/d/b") == other);
        }
    }
}

#[test]
fn a_hard_link_to_a_file_that_did_not_arrive() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = names(&folders);
    fs::create_dir_all(folders.at("in/d/a")).unwrap();
    let _receiver = folders.receive(cable.b(), &[]);
    let pushed = push(cable.a(), &[&folder]);
    for name in ["d/b", "d/sub/c"] {
        let said = format!("{name}: d/a, of which it is another name, did not arrive");
        assert!(pushed.err.contains(&said), "{}", pushed.err);
    }
    assert_ne!(pushed.code, 0);
    are_one(&folders, &["in/d/small", "in/d/sub/small"]);
}

#[test]
fn without_hard_link_support_a_copy_is_made() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = names(&folders);
    fs::create_dir_all(folders.at("in/d/sub")).unwrap();
    let _disk = Disk::at(folders.at("in/d/sub"), "tmpfs", "mode=1777");
    let _receiver = folders.receive(cable.b(), &[]);
    for _ in 0..2 {
        push(cable.a(), &[&folder]).with(0);
        are_one(&folders, &["in/d/a", "in/d/b"]);
        are_one(&folders, &["in/d/sub/c"]);
        for name in ["sub/c", "sub/small"] {
            let [there, here] = ["in", "out"].map(|side| format!("{side}/d/{name}"));
            assert!(folders.read(&there) == folders.read(&here), "{name}");
            let time = |name: &str| fs::metadata(folders.at(name)).unwrap().modified().unwrap();
            assert_eq!(time(&there), time(&here), "{name}");
        }
    }
}

#[test]
fn metadata_that_is_not_copied_is_reported_once() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let first = folders.write("out/d/first", "first");
    let second = folders.write("out/d/second", "second");
    let receiver = folders.receive(cable.b(), &[]);
    let folder = folders.at("out/d");
    let pushed = push(cable.a(), &[&folder]);
    assert!(!pushed.err.contains("not copied"), "{}", pushed.err);
    pushed.with(0);
    drop(receiver);

    let flags = rustix::fs::XattrFlags::empty();
    for path in [&first, &second] {
        rustix::fs::setxattr(path, "user.comment", b"precious", flags).unwrap();
    }
    // For the owner, one user more, the group, the mask and others: rw-.
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, id) in [
        (1_u16, u32::MAX),
        (2, 12345),
        (4, u32::MAX),
        (16, u32::MAX),
        (32, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(6_u16.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    rustix::fs::setxattr(&first, "system.posix_acl_access", &list, flags).unwrap();
    fs::set_permissions(&second, Permissions::from_mode(0o4755)).unwrap();
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let pushed = push(cable.a(), &[&folder]);
    let said = "not copied (number of files and folders): extended attributes (2), access control \
                lists (1), set-user-ID, set-group-ID or sticky bits (1)";
    assert_eq!(pushed.err.matches(said).count(), 1, "{}", pushed.err);
    pushed.with(0);
    let quiet = push(cable.a(), &["--quiet", &folder]);
    assert_eq!(quiet.err, "");
    // The receiver's own marks do not count.
    let received = push(cable.b(), &["--wait", "0", &folders.at("in/d")]);
    assert!(!received.err.contains("not copied"), "{}", received.err);
}
