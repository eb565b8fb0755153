//! Times, permissions and names: each promise, for new, equal, compared, resumed and replaced files.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::folders::{content, push, Folders};
use testkit::Cable;

/// The receiver's umask: see [`masked`].
const MASK: u32 = 0o022;

fn chmod(path: &str, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Sets the time of the last change, in nanoseconds since 1970.
fn date(path: &str, nanoseconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// The expected time and permissions of a file or folder below `out`.
#[track_caller]
fn same(folders: &Folders, name: &str) {
    let of = |side: &str| {
        let path = folders.at(&format!("{side}/{name}"));
        let metadata =
            fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let time = (metadata.mtime(), metadata.mtime_nsec());
        (time, metadata.mode() & 0o7777)
    };
    let (there, (time, mode)) = (of("in"), of("out"));
    assert_eq!(there, (time, mode & 0o777 & !MASK), "{name}");
}

#[test]
fn equal_content_gets_the_new_time_and_is_recognised_afterwards() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let names = ["d/large", "d/small", "d/empty"];
    for (name, size) in names.into_iter().zip([9 << 20, 100, 0]) {
        let path = folders.write(&format!("out/{name}"), content(size));
        date(&path, 1_000_000_000_000_000_001);
        chmod(&path, 0o600);
    }
    let folder = folders.at("out/d");
    push(cable.a(), &[&folder]).with(0);
    for name in names {
        let path = folders.at(&format!("out/{name}"));
        date(&path, 1_234_567_890_123_456_789);
        chmod(&path, 0o640);
    }
    for wanted in ["0 files pushed", "0 files pushed"] {
        let pushed = push(cable.a(), &[&folder]);
        assert!(pushed.out.contains(wanted), "{}", pushed.out);
        assert!(pushed.out.contains("3 existed already"), "{}", pushed.out);
        assert!(pushed.out.contains(": 0 B in"), "{}", pushed.out);
        pushed.with(0);
        for name in names {
            same(&folders, name);
        }
    }
    // It is recognised by its time, without being read.
    let there = folders.at("in/d/large");
    let read = fs::metadata(&there).unwrap().accessed().unwrap();
    File::open(&there)
        .unwrap()
        .set_times(FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH))
        .unwrap();
    push(cable.a(), &[&folder]).with(0);
    let accessed = fs::metadata(&there).unwrap().accessed().unwrap();
    assert_eq!(accessed, SystemTime::UNIX_EPOCH, "before: {read:?}");
}

#[test]
fn another_content_keeps_its_time_and_permissions() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let path = folders.write("out/file", "ours");
    date(&path, 1_234_567_890_123_456_789);
    let there = folders.write("in/file", "them");
    date(&there, 1_000_000_000_000_000_001);
    chmod(&there, 0o600);
    push(cable.a(), &[&path]).with(5);
    let there = fs::metadata(there).unwrap();
    assert_eq!((there.mtime_nsec(), there.mode() & 0o777), (1, 0o600));
}

#[test]
fn permissions_and_times_are_copied_over_existing_ones() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    let files = [
        ("d/e/f", 0o640),
        ("d/e/g", 0o755),
        ("d/e/z", 0o400),
        ("d/w", 0o6777),
    ];
    for (name, mode) in files {
        let path = folders.write(&format!("out/{name}"), name);
        date(&path, 999_999_999);
        chmod(&path, mode);
    }
    folders.write("out/d/e/0", "");
    let all = ["d", "d/e", "d/e/f", "d/e/g", "d/e/z", "d/w", "d/e/0"];
    let (outer, inner) = (folders.at("out/d"), folders.at("out/d/e"));
    // A read-only folder is filled, and then gets its permissions.
    for (number, (in_mode, out_mode)) in [(0o555, 0o500), (0o750, 0o1777), (0o711, 0o2755)]
        .into_iter()
        .enumerate()
    {
        let number = number as u64;
        chmod(&folders.at("out/d/e/f"), 0o600 + 0o44 * number as u32 / 2);
        chmod(&inner, 0o755);
        chmod(&outer, 0o755);
        // New files arrive in existing folders.
        folders.write(&format!("out/d/e/new {number}"), "new");
        chmod(&inner, in_mode);
        chmod(&outer, out_mode);
        date(&inner, 5_000_000_001 + number);
        date(&outer, 6_000_000_002 + number);
        push(cable.a(), &[&outer]).with(0);
        for name in all {
            same(&folders, name);
        }
    }
    drop(receiver);

    // Replaced ones.
    let _receiver = folders.receive(cable.b(), &["--force"]);
    chmod(&folders.write("out/d/w", "other"), 0o444);
    chmod(&inner, 0o700);
    chmod(&outer, 0o555);
    push(cable.a(), &[&outer]).with(0);
    for name in all {
        same(&folders, name);
    }
}

#[test]
fn a_resumed_file_gets_its_time_and_permissions() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let path = folders.write("out/d/file", content(10 << 20));
    chmod(&path, 0o710);
    date(&path, 77);
    folders.write("in/d/.file.dcf-part", &content(10 << 20)[..5 << 20]);
    // As an interrupted push leaves a read-only folder.
    chmod(&folders.at("in/d"), 0o755);
    chmod(&folders.at("out/d"), 0o555);
    date(&folders.at("out/d"), 88);
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    same(&folders, "d/file");
    same(&folders, "d");
}

#[test]
fn a_folder_not_created_by_a_push_keeps_its_permissions() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    folders.write("out/d/file", "content");
    fs::create_dir(folders.at("in/d")).unwrap();
    chmod(&folders.at("in/d"), 0o710);
    chmod(&folders.at("out/d"), 0o777);
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    let mode = |name: &str| fs::metadata(folders.at(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("in/d"), 0o710);
    drop(receiver);
    let _receiver = folders.receive(cable.b(), &["--force"]);
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    same(&folders, "d");
}

#[test]
fn names_are_copied_unchanged() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let long = "n".repeat(255);
    let names: [&[u8]; 9] = [
        b"\xff\xfe not UTF-8",
        b"new\nline",
        b"tab\t\x1b[2J",
        b" ",
        b"-rf",
        b"~",
        b"..x",
        "ü\u{202e}漢".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        let path = Path::new(&folders.at("out/d")).join(OsStr::from_bytes(name));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(OsStr::from_bytes(name)), name).unwrap();
    }
    push(cable.a(), &[&folders.at("out/d")]).with(0);
    for name in names {
        let path = Path::new(&folders.at("in/d")).join(OsStr::from_bytes(name));
        assert_eq!(fs::read(path.join(OsStr::from_bytes(name))).unwrap(), name);
    }
    let count = fs::read_dir(folders.at("in/d")).unwrap().count();
    assert_eq!(count, names.len());
}
