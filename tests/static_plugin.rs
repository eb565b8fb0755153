//! A shared object of an application that contains the static library, and is unloaded. The `-z nodelete` of our
//! shared library does not apply to it. This tests the advice of docs/EMBEDDING.md.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{library_directory, package_root, CProgram, Dialect, Host};

/// A shared object that is deleted with this value.
struct Plugin(PathBuf);

impl Plugin {
    /// Links it as docs/EMBEDDING.md says, with additional options.
    fn link(name: &str, options: &[&str]) -> Self {
        let file = format!("dcf-tb-static-{name}-{}.so", std::process::id());
        let plugin = Self(std::env::temp_dir().join(file));
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-I"])
            .arg(package_root().join("include"))
            .arg(package_root().join("tests/c/static_plugin.c"))
            .arg(library_directory().join("libdcf_thunderbolt.a"))
            .args(["-lpthread", "-ldl", "-lm"])
            .args(options)
            .arg("-o")
            .arg(&plugin.0)
            .output()
            .expect("a C compiler");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        plugin
    }

    fn is_unloaded(&self, how: &str) {
        let path = self.0.to_str().expect("a plain path");
        CProgram::without_library("unloader", Dialect::C11)
            .arg(path)
            .arg(how)
            .on(&Host::alone())
            .run();
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const OPTION: &str = "-Wl,-z,nodelete";

#[test]
fn a_plugin_linked_with_nodelete_may_be_unloaded_with_a_transport_open() {
    Plugin::link("nodelete", &[OPTION]).is_unloaded("open");
}

#[test]
fn a_plugin_without_nodelete_must_close_its_transports_first() {
    Plugin::link("plain", &[]).is_unloaded("closed");
}

#[test]
fn the_option_is_documented() {
    for document in ["docs/EMBEDDING.md", "include/dcf_thunderbolt.h"] {
        let text = fs::read_to_string(package_root().join(document)).expect("a document of ours");
        assert!(text.contains(OPTION), "{document} does not name {OPTION}");
    }
}
