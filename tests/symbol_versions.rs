//! Two major versions of the library in one process. Each caller gets the version that it was linked with, because
//! symbols are versioned. Without versions, both callers would get the library that was loaded first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use testkit::library_directory;

/// A later major version.
const OTHER: &str = "unsigned dcf_tb_abi_version(void) { return 2; }\n";
const OTHER_VERSIONS: &str = "DCF_TB_2.0 { global: dcf_tb_abi_version; local: *; };\n";
/// A library that is linked with `OTHER`, in a program that is linked with ours.
const USER: &str = "unsigned dcf_tb_abi_version(void);
    unsigned version_of_user(void);
    unsigned version_of_user(void) { return dcf_tb_abi_version(); }\n";
const PROGRAM: &str = "#include <stdio.h>
    unsigned dcf_tb_abi_version(void);
    unsigned version_of_user(void);
    int main(void) { return printf(\"%u %u\\n\", dcf_tb_abi_version(), version_of_user()) < 0; }\n";
/// A program that looks up names with `dlsym`.
const LOOKING: &str = "#define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    int main(int count, char **arguments) {
        void *library = dlopen(arguments[count - 1], RTLD_NOW);
        printf(\"%d %d %d %d\\n\", dlsym(library, \"dcf_tb_init\") != NULL, dlsym(library, \"create_plugin\") != NULL,
            dlvsym(library, \"dcf_tb_init\", \"DCF_TB_1.0\") != NULL, dlvsym(library, \"dcf_tb_init\", \"DCF_TB_2.0\") != NULL);
        return 0;
    }\n";

/// A directory for compiled files, which is deleted with this value.
struct Place(PathBuf);

impl Place {
    fn new(purpose: &str) -> Self {
        let path = env::temp_dir().join(format!("dcf-tb-versions-{purpose}-{}", process::id()));
        fs::create_dir(&path).expect("room for a directory");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("room for a file");
        self.path(name)
    }

    /// Compiles `source` with further compiler arguments. Libraries are found here and in the build.
    fn compile(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let source = self.write(&format!("{name}.c"), source);
        let binary = self.path(name);
        let mut compiler = Command::new("cc");
        compiler.arg("-o").arg(&binary).arg(source).args(arguments);
        for directory in [&self.0, library_directory()] {
            compiler.arg(format!("-Wl,-rpath,{}", directory.display()));
        }
        printed(compiler.arg("-ldl"));
        binary
    }

    /// Builds the other version, a library that uses it, and a program that uses that library and ours.
    fn two_versions(&self) -> PathBuf {
        let versions = self.write("versions.map", OTHER_VERSIONS);
        let versions = format!("-Wl,--version-script={}", versions.display());
        let shared = ["-shared", "-fPIC"];
        let name = "libdcf_thunderbolt.so.2";
        let soname = format!("-Wl,-soname,{name}");
        let other = self.compile(name, OTHER, &[&shared[..], &[&versions, &soname]].concat());
        let user = self.compile("libuser.so", USER, &[&shared[..], &[text(&other)]].concat());
        let ours = library_directory().join("libdcf_thunderbolt.so.1");
        self.compile("program", PROGRAM, &[text(&ours), text(&user)])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

/// The output of a command, which must succeed.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().expect("a C compiler and binutils");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn each_caller_gets_the_version_that_it_was_linked_with() {
    let place = Place::new("two");
    let program = place.two_versions();
    assert_eq!(printed(&mut Command::new(&program)), "1 2\n");
    // The other version is now first in the search order.
    let other = place.path("libdcf_thunderbolt.so.2");
    let mut preloaded = Command::new(&program);
    assert_eq!(printed(preloaded.env("LD_PRELOAD", other)), "1 2\n");
}

#[test]
fn a_linked_program_asks_for_the_version() {
    let place = Place::new("linked");
    let program = place.two_versions();
    let mut nm = Command::new("nm");
    let asked = printed(nm.args(["--dynamic", "--undefined-only"]).arg(program));
    assert!(asked.contains("dcf_tb_abi_version@DCF_TB_1.0"), "{asked}");
}

#[test]
fn names_are_found_without_a_version_too() {
    let place = Place::new("looking");
    let program = place.compile("looking", LOOKING, &[]);
    let library = library_directory().join("libdcf_thunderbolt.so.1");
    let found = printed(Command::new(program).arg(library));
    assert_eq!(found, "1 1 1 0\n");
}
