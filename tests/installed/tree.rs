//! A tree installed by `make install`.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

use testkit::{library_directory, package_root};

/// The library installed below a directory of its own, which is deleted with this value.
pub struct Tree {
    root: PathBuf,
    prefix: &'static str,
    library_directory: String,
}

impl Tree {
    /// `library_directory` is below the prefix; the programs are to be built against this tree.
    pub fn install(prefix: &'static str, library_directory: &str) -> Self {
        let tree = Self {
            root: fresh_directory("installed"),
            prefix,
            library_directory: library_directory.to_owned(),
        };
        // All trees share these, so they are built once.
        static BUILT: OnceLock<()> = OnceLock::new();
        BUILT.get_or_init(|| {
            tree.make("man");
            build_tool();
        });
        tree.make("install");
        tree
    }

    /// Installs into Debian's directories.
    pub fn multiarch() -> Self {
        let output = output_of(Command::new("cc").arg("-print-multiarch"));
        let triplet = output.trim();
        assert!(!triplet.is_empty(), "this compiler knows no multiarch");
        Self::install("/usr", &format!("lib/{triplet}"))
    }

    /// Runs `make` with the directories of this tree.
    pub fn make(&self, target: &str) {
        let built = profile();
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "--silent", target])
            .arg(format!("DESTDIR={}", self.root.display()))
            .arg(format!("PREFIX={}", self.prefix))
            .arg(format!("LIBDIR={}/{}", self.prefix, self.library_directory))
            .arg(format!("RELEASE={}", built.display()))
            // Drop the flags of the make that runs the tests.
            .env_remove("MAKEFLAGS")
            .current_dir(package_root());
        output_of(&mut make);
    }

    /// The path of a file below the prefix.
    pub fn path(&self, below_prefix: &str) -> PathBuf {
        self.root.join(&self.prefix[1..]).join(below_prefix)
    }

    /// The directory with the libraries.
    pub fn libraries(&self) -> PathBuf {
        self.path(&self.library_directory)
    }

    /// The output of pkg-config for this tree.
    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command
            .args(arguments)
            .arg("dcf_thunderbolt")
            .env("PKG_CONFIG_LIBDIR", self.libraries().join("pkgconfig"))
            .env("PKG_CONFIG_SYSROOT_DIR", &self.root);
        let flags = output_of(&mut command);
        flags.split_whitespace().map(str::to_owned).collect()
    }

    /// All files that are not directories, as paths below the root.
    pub fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("our own directory") {
                let entry = entry.expect("our own directory");
                if entry.file_type().expect("it is there").is_dir() {
                    directories.push(entry.path());
                } else {
                    let path = entry.path();
                    let below = path.strip_prefix(&self.root).expect("below it");
                    files.insert(format!("/{}", below.display()));
                }
            }
        }
        files
    }

    /// Moves the tree to another directory.
    pub fn relocate(&mut self) {
        let place = fresh_directory("moved");
        fs::rename(&self.root, &place).expect("an empty directory of ours");
        self.root = place;
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The directory of cargo's build profile.
fn profile() -> PathBuf {
    let library = library_directory().join("libdcf_thunderbolt.so");
    let library = fs::canonicalize(library).expect("the library was built");
    parent(&library).to_owned()
}

/// Builds dcf-tb, which `cargo test` of the library alone does not. Under `scripts/test-pool` it is built already,
/// with the features of the whole workspace, and other tests run it: replacing it would break them.
fn build_tool() {
    if env::var_os("TEST_POOL_BUILT").is_some() {
        return;
    }
    let profile = profile();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--locked",
        "--quiet",
        "--package",
        "dcf_tb",
        "--target-dir",
    ]);
    cargo.arg(parent(&profile)).current_dir(package_root());
    match profile.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => {}
        Some(name) => {
            cargo.args(["--profile", name]);
        }
    }
    output_of(&mut cargo);
}

/// Creates a new directory. The caller removes it.
pub fn fresh_directory(purpose: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("dcf-tb-{purpose}-{}-{number}", process::id());
    let path = env::temp_dir().join(name);
    fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// The output of a command, which must succeed and print no warning.
#[track_caller]
pub fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        panic!("cannot run {program} ({error}): `make deps` installs what the tests need")
    });
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    assert!(output.stderr.is_empty(), "{command:?}:\n{said}");
    said
}

/// The directory of a path.
pub fn parent(path: &Path) -> &Path {
    path.parent().expect("it is in a directory")
}

/// The names of the C examples.
pub fn examples() -> Vec<String> {
    let entries = fs::read_dir(package_root().join("c_examples")).expect("our own directory");
    let paths = entries.map(|entry| entry.expect("our own directory").path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension() == Some(OsStr::new("c")))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names
}
