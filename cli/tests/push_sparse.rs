//! Sparse files: holes are reported, not sent, and use no space on the receiver's disk.

mod common;

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use common::folders::{content, fast, push, slow, Disk, Folders, LONG};
use common::{tool, Tool};
use testkit::{wait_until, Cable};

const MIB: u64 = 1 << 20;
/// The apparent size of a sparse file: too large for the disk and for reading it.
const HUGE: u64 = 1 << 40;
/// The space that a file system may need for metadata.
const SOME: u64 = 2 * MIB;

/// Where a file has data, and how much.
type Data = &'static [(u64, usize)];

/// A file of a size that has data in these places only: an offset, and how much.
fn sparse(folders: &Folders, name: &str, size: u64, data: &[(u64, usize)]) -> String {
    let path = folders.write(name, "");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length) in data {
        file.write_all_at(&content(*length), *offset).unwrap();
    }
    path
}

fn date(path: &str, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

fn on_disk(folders: &Folders, name: &str) -> u64 {
    fs::metadata(folders.at(name)).unwrap().blocks() * 512
}

/// Checks the content at these places and the size; the disk usage shows that the rest is holes.
#[track_caller]
fn arrived(folders: &Folders, name: &str, data: &[(u64, usize)]) {
    let [there, here] = ["in", "out"].map(|side| folders.at(&format!("{side}/{name}")));
    let sizes = [&there, &here].map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(sizes[0], sizes[1], "{name}");
    let file = File::open(&there).unwrap();
    let mut wanted = 0;
    for (offset, length) in data {
        let mut is = vec![0; *length];
        file.read_exact_at(&mut is, *offset).unwrap();
        assert!(is == content(*length), "{name} at {offset}");
        wanted += *length as u64;
    }
    let room = on_disk(folders, &format!("in/{name}"));
    assert!(room <= wanted + SOME, "{name}: {room} for {wanted}");
}

/// Holes at the beginning, in the middle, at the end, everywhere; data at the borders of pieces, and across them.
const FILES: [(&str, u64, Data); 9] = [
    ("begins", 64 * MIB, &[(63 * MIB, MIB as usize)]),
    ("ends", 64 * MIB, &[(0, MIB as usize)]),
    ("within", 64 * MIB, &[(0, 4096), (64 * MIB - 4096, 4096)]),
    ("nothing", 64 * MIB, &[]),
    (
        "odd",
        64 * MIB + 777,
        &[(20 * MIB + 4096, 5 * MIB as usize)],
    ),
    ("pieces", 12 * MIB, &[(4 * MIB, 4 << 20)]),
    ("small", 200_000, &[(65_536, 10)]),
    ("tiny", 5000, &[]),
    (
        "many",
        4 * MIB,
        &[(8192, 1), (3 << 16, 300_000), (MIB, 4096), (3 * MIB, 1)],
    ),
];

#[test]
fn holes_arrive_as_holes() {
    let (cable, folders) = (Cable::new(), Folders::new());
    for (name, size, data) in FILES {
        sparse(&folders, &format!("out/d/{name}"), size, data);
    }
    sparse(
        &folders,
        "out/d/huge",
        HUGE,
        &[(HUGE / 2 + 4096, MIB as usize)],
    );
    let receiver = folders.receive(cable.b(), &[]);
    let folder = folders.at("out/d");
    let pushed = push(cable.a(), &[&folder]);
    assert!(pushed.out.contains("10 files pushed"), "{}", pushed.out);
    pushed.with(0);
    let all = || {
        for (name, _, data) in FILES {
            arrived(&folders, &format!("d/{name}"), data);
        }
        arrived(&folders, "d/huge", &[(HUGE / 2 + 4096, MIB as usize)]);
    };
    all();
    let again = push(cable.a(), &[&folder]);
    assert!(again.out.contains("10 existed already"), "{}", again.out);
    again.with(0);

    // Compared: no hole is read or sent.
    for name in folders.names("out/d") {
        date(&folders.at(&format!("out/d/{name}")), 1_000_000_000);
    }
    let compared = push(cable.a(), &[&folder]);
    assert!(compared.out.contains("0 files pushed"), "{}", compared.out);
    assert!(
        compared.out.contains("10 existed already"),
        "{}",
        compared.err
    );
    compared.with(0);
    all();
    drop(receiver);

    // Replaced: the old content does not show through the holes.
    for (name, size, _) in FILES {
        let size = size.min(8 * MIB) as usize;
        folders.write(&format!("in/d/{name}"), vec![7; size]);
    }
    let _receiver = folders.receive(cable.b(), &["--force", "--sync"]);
    push(cable.a(), &[&folder]).with(0);
    all();
    for (name, size, data) in FILES {
        let mut wanted = vec![0; size as usize];
        for (offset, length) in data {
            wanted[*offset as usize..][..*length].copy_from_slice(&content(*length));
        }
        assert!(folders.read(&format!("in/d/{name}")) == wanted, "{name}");
    }
}

#[test]
fn a_difference_in_a_hole_is_found() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let path = sparse(&folders, "out/file", HUGE, &[(MIB, 4096)]);
    let _receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&path]).with(0);
    // Data where the receiver has a hole, and a hole where it has data.
    for data in [&[(MIB, 4096), (HUGE / 3, 10)][..], &[]] {
        fs::remove_file(&path).unwrap();
        sparse(&folders, "out/file", HUGE, data);
        let other = push(cable.a(), &[&path]);
        assert!(
            other.err.contains("it exists with different content"),
            "{}",
            other.err
        );
        other.with(5);
    }
    // Zeros that are no hole are the same as a hole.
    fs::remove_file(&path).unwrap();
    sparse(&folders, "out/file", HUGE, &[(MIB, 4096)]);
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0; 9 << 20], 5 * MIB).unwrap();
    let same = push(cable.a(), &[&path]);
    assert!(same.out.contains("1 existed already"), "{}", same.out);
    same.with(0);
    arrived(&folders, "file", &[(MIB, 4096)]);
}

#[test]
fn a_disk_with_room_for_the_data_is_enough() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _disk = Disk::of(&folders, "tmpfs", "size=8m");
    let data = [(0, MIB as usize), (5 << 30, MIB as usize)];
    let path = sparse(&folders, "out/file", 8 << 30, &data);
    let _receiver = folders.receive(cable.b(), &[]);
    push(cable.a(), &[&path]).with(0);
    arrived(&folders, "file", &data);
    // The data alone may be too much.
    let path = sparse(&folders, "out/other", 8 << 30, &[(0, 9 << 20)]);
    let full = push(cable.a(), &[&path]);
    assert!(full.err.contains("9.00 MiB needed"), "{}", full.err);
    full.with(6);
}

#[test]
fn an_interrupted_sparse_file_continues() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let data = [
        (16 * MIB + 8192, 12 << 20),
        (HUGE / 2, 24 << 20),
        (HUGE - 8 * MIB, 4 << 20),
    ];
    let path = sparse(&folders, "out/file", HUGE, &data);
    let _receiver = folders.receive(cable.b(), &[]);
    slow(cable.a());
    let arguments = ["push", &path, cable.b().address()];
    let pusher = Tool::start(tool(cable.a(), &arguments));
    wait_until("the second part begins", LONG, || {
        folders.arrived("file") > HUGE / 2 + 5 * MIB
    });
    pusher.interrupt();
    pusher.end().with(130);
    wait_until("complete files are kept", LONG, || {
        folders.arrived("file") % (4 * MIB) == 0
    });
    fast(cable.a());
    let pushed = push(cable.a(), &[&path]);
    // The first part was kept, and is not sent again.
    let sent = pushed.out.split(": ").nth(1).unwrap();
    let sent: f64 = sent.split(" MiB").next().unwrap().parse().unwrap();
    assert!(sent < 28.0, "{}", pushed.err);
    pushed.with(0);
    arrived(&folders, "file", &data);
    assert_eq!(folders.names("in"), ["file"]);
}
