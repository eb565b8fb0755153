//! The shared library under test.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::OnceLock;

/// The root of the project.
pub fn package_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("testkit is a member of the workspace")
}

/// The directory of the build profile that the running test belongs to.
pub(crate) fn profile_directory() -> PathBuf {
    let test = env::current_exe().expect("procfs");
    let deps = test.parent().expect("a test lies in a directory");
    deps.parent().expect("and that in the profile's").to_owned()
}

/// A directory with the shared library under its soname and its linking name, and with the static
/// library, as in an installation. Builds them first, in the running test's profile, unless they are
/// up to date: `cargo test` does not build them.
pub fn library_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let profile = profile_directory();
        build(&profile);
        let directory = profile.join("c-tests").join("lib");
        fs::create_dir_all(&directory).expect("the target directory can be written");
        for (file, name) in [
            ("libdcf_thunderbolt.so", "libdcf_thunderbolt.so"),
            ("libdcf_thunderbolt.so", "libdcf_thunderbolt.so.1"),
            ("libdcf_thunderbolt.a", "libdcf_thunderbolt.a"),
        ] {
            put_link(&profile.join(file), &directory.join(name));
        }
        directory
    })
}

fn build(profile: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The same packages as `cargo build` at the root, so that both produce the same library.
    cargo.args(["build", "--locked", "--quiet", "--lib", "--target-dir"]);
    cargo.arg(profile.parent().expect("a profile has a parent"));
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(name) => {
            cargo.args(["--profile", name]);
        }
    }
    let output = cargo
        .current_dir(package_root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cannot build the shared library:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Creates or replaces a link atomically, because other tests may be using it.
fn put_link(target: &Path, link: &Path) {
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return;
    }
    let fresh = link.with_extension(format!("{}.new", process::id()));
    symlink(target, &fresh).expect("the target directory can be written");
    fs::rename(&fresh, link).expect("the target directory can be written");
}
