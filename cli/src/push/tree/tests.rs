use std::os::unix::fs::symlink;

use super::*;

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("d/empty")).unwrap();
    fs::write(at("d/file"), "12345").unwrap();
    fs::write(at("d/.x.dcf-part"), "").unwrap();
    symlink("file", at("d/link")).unwrap();
    symlink("d", at("other")).unwrap();
    directory
}

fn read_all(paths: &[PathBuf], dereference: bool) -> Result<Tree, Failure> {
    Tree::read(
        paths,
        None,
        dereference,
        &Selection::new(&[], &[], None).unwrap(),
    )
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.entries
        .iter()
        .map(|entry| entry.path.to_str().unwrap())
        .collect()
}

#[test]
fn names_are_those_of_cp() {
    let directory = tree();
    let read = |name: &str, follow| read_all(&[directory.path().join(name)], follow).unwrap();
    let plain = read("d", false);
    assert_eq!(names(&plain), ["d", "d/empty", "d/file", "d/link"]);
    assert_eq!((plain.left_out, plain.first_link), (1, 3));
    assert_eq!(plain.entries[2].size, 5);
    assert_eq!(names(&read("d/.", false)), ["empty", "file", "link"]);
    assert_eq!(
        names(&read("d/", true)),
        ["d", "d/empty", "d/file", "d/link"]
    );
    assert_eq!(
        names(&read("other", false)),
        ["other", "other/empty", "other/file", "other/link"]
    );
    assert_eq!(names(&read("d/file", false)), ["file"]);
    assert_eq!(names(&read("d/empty/..", false))[0], "d");
}

/// Whether an entry can be opened, or why not.
fn opens(tree: &Tree, name: &str) -> Result<String, String> {
    let at = |entry: &Entry| entry.path == Path::new(name);
    let index = tree.entries.iter().position(at).unwrap();
    let mut text = String::new();
    let mut file = tree.open(index as u32).map_err(|error| error.to_string())?;
    io::Read::read_to_string(&mut file, &mut text).unwrap();
    Ok(text)
}

/// A folder to push, and one that must not be read through it.
fn with_secret() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for folder in ["d/in/ner", "secret/ner"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("d/in/ner/file"), "open").unwrap();
    fs::write(at("secret/ner/file"), "SECR").unwrap();
    let same = fs::metadata(at("d/in/ner/file")).unwrap();
    let file = File::options().write(true).open(at("secret/ner/file"));
    file.unwrap()
        .set_modified(same.modified().unwrap())
        .unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}

/// Changes something below a folder.
type Take = fn(&Path);

#[test]
fn what_took_the_place_of_a_file_is_not_opened() {
    let takes_its_place: [(&str, Take); 6] = [
        ("a link instead of the file", |at| {
            fs::remove_file(at.join("d/in/ner/file")).unwrap();
            symlink("../../../secret/ner/file", at.join("d/in/ner/file")).unwrap();
        }),
        ("a link instead of its folder", |at| {
            fs::rename(at.join("d/in/ner"), at.join("d/in/was")).unwrap();
            symlink("../../secret/ner", at.join("d/in/ner")).unwrap();
        }),
        ("a link instead of a folder above it", |at| {
            fs::rename(at.join("d/in"), at.join("d/was")).unwrap();
            symlink(at.join("secret"), at.join("d/in")).unwrap();
        }),
        ("a link instead of the folder that was named", |at| {
            fs::rename(at.join("d"), at.join("was")).unwrap();
            fs::create_dir(at.join("other")).unwrap();
            symlink("../secret", at.join("other/in")).unwrap();
            symlink("other", at.join("d")).unwrap();
        }),
        ("another file of the same size and time", |at| {
            let file = at.join("d/in/ner/file");
            fs::rename(at.join("secret/ner/file"), file).unwrap();
        }),
        ("a pipe, for which opening would wait", |at| {
            fs::remove_file(at.join("d/in/ner/file")).unwrap();
            let mut mkfifo = std::process::Command::new("mkfifo");
            let made = mkfifo.arg(at.join("d/in/ner/file")).status();
            assert!(made.unwrap().success());
        }),
    ];
    for follow in [false, true] {
        for (what, take) in takes_its_place {
            let (_directory, at) = with_secret();
            let tree = read_all(&[at.join("d")], follow).unwrap();
            take(&at);
            let opened = opens(&tree, "d/in/ner/file");
            let why = opened.expect_err(what);
            assert!(
                why.contains("changed after") || why.contains("it was replaced by a link"),
                "{what}: {why}"
            );
        }
        let (_directory, at) = with_secret();
        let tree = read_all(&[at.join("d")], follow).unwrap();
        assert_eq!(opens(&tree, "d/in/ner/file").unwrap(), "open");
    }
}

#[test]
fn a_named_file_is_the_one_that_was_seen() {
    let (_directory, at) = with_secret();
    symlink("d/in/ner/file", at.join("named")).unwrap();
    let tree = read_all(&[at.join("named")], false).unwrap();
    assert_eq!(opens(&tree, "named").unwrap(), "open");
    fs::remove_file(at.join("named")).unwrap();
    symlink("secret/ner/file", at.join("named")).unwrap();
    assert!(opens(&tree, "named").unwrap_err().contains("changed after"));
}

#[test]
fn links_are_followed_when_the_user_says_so() {
    let (_directory, at) = with_secret();
    symlink("../secret/ner", at.join("d/link")).unwrap();
    symlink("..", at.join("d/in/round")).unwrap();
    symlink("nowhere", at.join("d/broken")).unwrap();
    let tree = read_all(&[at.join("d")], true).unwrap();
    assert_eq!(opens(&tree, "d/link/file").unwrap(), "SECR");
    assert_eq!((tree.left_out, tree.left_out_as), (2, Exit::Failed));
    fs::remove_file(at.join("d/link")).unwrap();
    symlink("in/ner", at.join("d/link")).unwrap();
    let why = opens(&tree, "d/link/file").unwrap_err();
    assert!(why.contains("changed after"), "{why}");
}

#[test]
fn a_walk_does_not_leave_the_folder_while_others_swap_it() {
    use rustix::fs::{renameat_with, RenameFlags, CWD};
    use std::sync::atomic::{AtomicBool, Ordering};

    let (_directory, at) = with_secret();
    fs::write(at.join("secret/ner/of root"), "SECR").unwrap();
    symlink("../secret", at.join("d/swapped")).unwrap();
    // The skipped entries of each walk do not matter.
    output::set_verbosity(output::Verbosity::Quiet);
    let (ended, swaps) = (AtomicBool::new(false), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (one, other) = (at.join("d/in"), at.join("d/swapped"));
            swaps.wait();
            while !ended.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        swaps.wait();
        for _ in 0..500 {
            let tree = read_all(&[at.join("d")], false).unwrap();
            assert!(names(&tree).iter().all(|name| !name.contains("of root")));
            for index in 0..tree.entries.len() as u32 {
                if let Ok(mut file) = tree.open(index) {
                    let mut text = String::new();
                    io::Read::read_to_string(&mut file, &mut text).unwrap();
                    assert_eq!(text, "open");
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_too_deep_is_left_out_once() {
    let directory = tempfile::tempdir().unwrap();
    let deep: PathBuf = (0..140).map(|_| "d").collect();
    fs::create_dir_all(directory.path().join(deep)).unwrap();
    let tree = read_all(&[directory.path().join("d")], false).unwrap();
    assert_eq!((tree.entries.len(), tree.left_out), (128, 1));
    assert_eq!(tree.left_out_as, Exit::Refused);
}

#[test]
fn two_of_one_name_are_a_mistake() {
    let directory = tree();
    let paths = [directory.path().join("d"), directory.path().join("d")];
    let failure = read_all(&paths, false).err().unwrap();
    assert_eq!(failure.exit, Exit::Usage);
    let nothing = read_all(&[directory.path().join("nothing")], false)
        .err()
        .unwrap();
    assert_eq!(nothing.exit, Exit::Failed);
}

/// The links that are kept of those below some paths.
fn kept(directory: &Path, paths: &[&str]) -> Vec<String> {
    let paths: Vec<_> = paths.iter().map(|path| directory.join(path)).collect();
    let tree = read_all(&paths, false).unwrap();
    let links = &tree.entries[tree.first_link..];
    let shown = |entry: &Entry| entry.path.to_str().unwrap().to_owned();
    let announced = tree.announced(Extensions(0));
    assert!(announced.iter().all(|entry| entry.kind != Kind::Link));
    assert_eq!(tree.announced(Extensions::KNOWN).len(), tree.entries.len());
    links.iter().map(shown).collect()
}

#[test]
fn links_are_kept_that_stay_within_what_is_pushed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for folder in ["hub/blobs", "hub/snapshots/1", "other/blobs"] {
        fs::create_dir_all(directory.join(folder)).unwrap();
    }
    let whole = directory.join("hub/blobs/x").to_str().unwrap().to_owned();
    for (link, target) in [
        ("hub/snapshots/1/model", "../../blobs/x"),
        ("hub/beside", "../other/blobs"),
        ("hub/round", "../hub/blobs"),
        ("hub/self", "."),
        ("hub/up", ".."),
        ("hub/snapshots/whole", &whole),
        ("hub/snapshots/out", "../../../x"),
        ("hub/snapshots/through", "../beside/../x"),
        ("hub/snapshots/down", "1/../1/model"),
    ] {
        symlink(target, directory.join(link)).unwrap();
    }
    symlink("hub", directory.join("named")).unwrap();
    let always = ["snapshots/1/model", "snapshots/down"];
    let with = |base: &str, more: &[&str]| {
        let mut all: Vec<String> = always.iter().map(|name| format!("{base}{name}")).collect();
        all.extend(more.iter().map(|name| format!("{base}{name}")));
        all.sort();
        all
    };
    let sorted = |paths: &[&str]| {
        let mut kept = kept(directory, paths);
        kept.sort();
        kept
    };
    assert_eq!(sorted(&["hub"]), with("hub/", &["round", "self"]));
    assert_eq!(sorted(&["hub/."]), with("", &["self"]));
    // The name at the receiver differs.
    assert_eq!(sorted(&["named"]), with("named/", &["self"]));
    // Folders that are beside each other here are so at the receiver.
    assert_eq!(
        sorted(&["hub", "other"]),
        with("hub/", &["beside", "round", "self"])
    );
    assert_eq!(
        sorted(&["hub", "other/."]),
        with("hub/", &["round", "self"])
    );
    assert_eq!(
        sorted(&["hub/snapshots", "hub/blobs"]),
        ["snapshots/1/model", "snapshots/down"]
    );
    assert!(sorted(&["hub/snapshots/1", "hub/blobs"]).is_empty());
}
