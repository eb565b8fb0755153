//! The folder and its places, and obstacles of other programs and users.

use super::*;
use crate::receive::mark;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

fn folder() -> (tempfile::TempDir, Folder) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("in")).unwrap();
    fs::create_dir(directory.path().join("out")).unwrap();
    let folder = Folder::open(&directory.path().join("in")).unwrap();
    (directory, folder)
}

fn opened(place: &Place) -> (File, bool) {
    let part = place.open_part().unwrap();
    (part.file.try_clone().unwrap(), part.is_kept)
}

#[test]
fn links_are_never_followed() {
    let (directory, folder) = folder();
    symlink("../out", directory.path().join("in/link")).unwrap();
    assert!(folder.make(Path::new("link/x"), 0o755, true).is_err());
    assert!(folder.make(Path::new("link"), 0o755, true).is_err());
    assert!(folder.place(Path::new("link/x")).is_err());
    for target in ["../../out/target", "../out"] {
        symlink(target, directory.path().join("in/.x.dcf-part")).unwrap();
        let place = folder.place(Path::new("x")).unwrap();
        assert_eq!(place.left().unwrap(), 0);
        let part = place.open_part().unwrap();
        assert!(!part.is_kept);
        place.remove_part(&part);
    }
    symlink("../out", directory.path().join("in/y")).unwrap();
    let place = folder.place(Path::new("y")).unwrap();
    assert_eq!(place.there().unwrap().0, There::Special);
    assert!(place.open_existing().is_err());
    assert_eq!(
        fs::read_dir(directory.path().join("out")).unwrap().count(),
        0
    );
}

#[test]
fn a_file_gets_its_place_in_one_step_and_replaces_none() {
    let (directory, folder) = folder();
    folder.make(Path::new("a"), 0o555, false).unwrap();
    folder.make(Path::new("a"), 0o555, false).unwrap();
    let place = folder.place(Path::new("a/x")).unwrap();
    let part = place.open_part().unwrap();
    assert!(place.open_part().is_err(), "one at a time");
    (&*part.file).write_all(b"new").unwrap();
    assert_eq!(place.left().unwrap(), 3);
    let marked = place.finish(&part, 0o440, (1_000_000, 7), false).unwrap();
    let there = There::File {
        size: 3,
        modified: (1_000_000, 7),
        mode: 0o440,
    };
    let brought = if marked {
        Mark::Ours
    } else {
        Mark::Unsupported
    };
    assert_eq!(place.there().unwrap(), (there, brought));

    let part = place.open_part().unwrap();
    let error = place.finish(&part, 0o640, (1, 0), false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    place.finish(&part, 0o640, (1, 0), true).unwrap();
    assert_eq!(fs::read(directory.path().join("in/a/x")).unwrap(), b"");
}

#[test]
fn only_what_a_push_left_is_gone_on_with() {
    let (directory, folder) = folder();
    let path = directory.path().join("in/.x.dcf-part");
    let place = folder.place(Path::new("x")).unwrap();
    let (mut file, is_kept) = opened(&place);
    assert!(!is_kept);
    file.write_all(b"some").unwrap();
    drop(file);
    assert_eq!(place.left().unwrap(), 4);
    assert!(opened(&place).1);

    // Writable by others; another program's; a copy.
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    for wrong in [0o620, 0o602] {
        mode(wrong);
        assert_eq!(place.left().unwrap(), 0, "{wrong:o}");
    }
    let mut writer = File::options().write(true).open(&path).unwrap();
    let (fresh, is_kept) = opened(&place);
    assert!(!is_kept);
    writer.write_all(b"of somebody who had it open").unwrap();
    assert_eq!(fresh.metadata().unwrap().len(), 0);
    assert_eq!(fresh.metadata().unwrap().mode() & 0o777, 0o600);
    drop(fresh);
    let file = File::open(&path).unwrap();
    if mark::is_part(&file, &fstat(&file).unwrap()) == Mark::Ours {
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another program's").unwrap();
        mode(0o600);
        assert_eq!(place.left().unwrap(), 0);
        assert!(!opened(&place).1);
    }
}

#[test]
fn a_hard_link_is_no_unfinished_file() {
    let (directory, folder) = folder();
    let other = directory.path().join("out/precious");
    fs::write(&other, "precious").unwrap();
    fs::hard_link(&other, directory.path().join("in/.x.dcf-part")).unwrap();
    let (file, is_kept) = opened(&folder.place(Path::new("x")).unwrap());
    assert!(!is_kept);
    file.set_len(0).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
}

#[test]
fn pipes_and_folders_in_the_way_hold_up_nobody() {
    let (directory, folder) = folder();
    let path = directory.path().join("in/.x.dcf-part");
    let place = folder.place(Path::new("x")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    assert_eq!(place.left().unwrap(), 0);
    let part = place.open_part().unwrap();
    assert!(!part.is_kept && part.is_found_again);
    place.remove_part(&part);
    fs::create_dir(&path).unwrap();
    let part = place.open_part().unwrap();
    assert!(!part.is_kept && !part.is_found_again);
    place.finish(&part, 0o644, (1, 0), false).unwrap();
    assert!(path.is_dir() && directory.path().join("in/x").is_file());
    let fifo = directory.path().join("in/pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let place = folder.place(Path::new("pipe")).unwrap();
    assert_eq!(place.there().unwrap().0, There::Special);
    assert!(place.open_existing().is_err());
}

/// Makes everything that exists belong to another user, for `folder`.
fn as_another_user(folder: &mut Folder) {
    folder.user += 1;
    folder.trusted = [folder.user; 3];
}

#[test]
fn what_belongs_to_another_user_is_left_alone() {
    let (directory, mut folder) = folder();
    fs::create_dir(directory.path().join("in/d")).unwrap();
    let (mut file, _) = opened(&folder.place(Path::new("x")).unwrap());
    file.write_all(b"another user's").unwrap();
    drop(file);
    as_another_user(&mut folder);
    for path in ["d/x", "d/e/x"] {
        let error = folder.place(Path::new(path)).err().unwrap();
        assert!(error.to_string().contains("another user"), "{error}");
    }
    assert!(folder.make(Path::new("d"), 0o755, true).is_err());
    assert!(folder.settle(Path::new("d"), 0o755, (1, 0), true).is_err());
    let place = folder.place(Path::new("x")).unwrap();
    assert_eq!(place.left().unwrap(), 0);
    let part = place.open_part().unwrap();
    assert!(!part.is_kept && !part.is_found_again);
    place.finish(&part, 0o644, (1, 0), false).unwrap();
    let left = fs::read(directory.path().join("in/.x.dcf-part")).unwrap();
    assert_eq!(left, b"another user's");
}

#[test]
fn a_file_that_was_changed_or_copied_was_not_brought() {
    let (directory, folder) = folder();
    let path = directory.path().join("in/x");
    let place = folder.place(Path::new("x")).unwrap();
    let brought = || place.there().unwrap().1;
    let part = place.open_part().unwrap();
    (&*part.file).write_all(b"new").unwrap();
    let marked = place.finish(&part, 0o640, (1_000_000, 7), false).unwrap();
    drop(part);
    if !marked {
        assert_eq!(brought(), Mark::Unsupported);
        folder.remember(Path::new("x"), &place);
        let brought = |state| folder.brought(Mark::Unsupported, Path::new("x"), state);
        assert_eq!(brought((3, (1_000_000, 7))), Mark::Ours);
        assert_eq!(brought((3, (1_000_000, 8))), Mark::Unsupported);
        return;
    }
    assert_eq!(brought(), Mark::Ours);
    let copy = directory.path().join("in/copy");
    let copied = std::process::Command::new("cp")
        .args([
            "--preserve=all".as_ref(),
            path.as_os_str(),
            copy.as_os_str(),
        ])
        .status();
    assert!(copied.unwrap().success());
    fs::rename(&path, directory.path().join("in/original")).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_eq!(brought(), Mark::NotOurs, "a copy");
    fs::rename(directory.path().join("in/original"), &path).unwrap();
    assert_eq!(brought(), Mark::Ours);
    fs::write(&path, "NEW").unwrap();
    assert_eq!(brought(), Mark::NotOurs, "changed in place");
}
