//! The C examples, built against an installed tree in every supported way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::{package_root, Host, Running};

use crate::tree::{examples, fresh_directory, output_of, Tree};

/// Longer than any example takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A directory with the built examples, and the directory where they find the library.
pub struct Programs {
    directory: PathBuf,
    libraries: Option<PathBuf>,
    build: PathBuf,
}

impl Programs {
    /// Builds with the shared library, by pkg-config.
    pub fn by_pkg_config(tree: &Tree) -> Self {
        let build = fresh_directory("pkg-config");
        let flags = tree.pkg_config(&["--cflags", "--libs"]);
        for name in examples() {
            compile(&build, &name, &[], &flags);
        }
        Self {
            directory: build.clone(),
            libraries: Some(tree.libraries()),
            build,
        }
    }

    /// Builds without any shared library, by pkg-config. Leaves out the examples that load the library at
    /// run time.
    pub fn wholly_static(tree: &Tree) -> Self {
        let build = fresh_directory("static");
        let flags = tree.pkg_config(&["--static", "--cflags", "--libs"]);
        for name in examples() {
            if !loads_the_library(&name) {
                compile(&build, &name, &["-static"], &flags);
                assert!(!needs_libraries(&build.join(&name)), "{name} is not static");
            }
        }
        Self {
            directory: build.clone(),
            libraries: None,
            build,
        }
    }

    /// Builds by CMake, with the target `shared` and with the target `static`.
    pub fn by_cmake(tree: &Tree) -> [Self; 2] {
        let build = fresh_directory("cmake");
        cmake(tree, &build, "all");
        let of = |kind: &str, libraries| Self {
            directory: build.join(kind),
            libraries,
            build: build.clone(),
        };
        [of("shared", Some(tree.libraries())), of("static", None)]
    }

    /// Starts one of them on a host.
    pub fn start(&self, host: &Host, name: &str, arguments: &[&str]) -> Running {
        let program = self.directory.join(name);
        let mut command = host.command(program.to_str().expect("paths here are UTF-8"));
        command.args(arguments);
        // Otherwise the programs could find another library than that of the tree.
        command.env_remove("LD_LIBRARY_PATH");
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        Running::start(name, command, LIMIT)
    }

    /// Whether it was built.
    pub fn has(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.build);
    }
}

/// Builds and runs the C++ program by CMake.
pub fn cpp_by_cmake(tree: &Tree) {
    let build = fresh_directory("cmake-cpp");
    cmake(tree, &build, "wrapper");
    let mut program = Command::new(build.join("wrapper"));
    output_of(program.env("LD_LIBRARY_PATH", tree.libraries()));
    let _ = fs::remove_dir_all(build);
}

fn cmake(tree: &Tree, build: &Path, target: &str) {
    let project = package_root().join("tests/installed/cmake");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(project).arg("-B").arg(build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", tree.path("").display()));
    configure.arg(format!("-DSOURCES={}", package_root().display()));
    output_of(&mut configure);
    let mut make = Command::new("cmake");
    make.arg("--build").arg(build).args(["--target", target]);
    output_of(&mut make);
}

fn compile(directory: &Path, name: &str, before: &[&str], flags: &[String]) {
    let source = package_root().join("c_examples").join(format!("{name}.c"));
    let mut compiler = Command::new("cc");
    compiler
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-pthread",
        ])
        .args(before)
        .arg("-o")
        .arg(directory.join(name))
        .arg(source)
        .args(flags);
    // The linker may warn about the C library in static programs; the compiler's warnings are errors.
    let output = compiler.output().expect("a C compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}:\n{said}");
}

/// Whether an example loads the library with `dlopen`.
fn loads_the_library(name: &str) -> bool {
    let source = package_root().join("c_examples").join(format!("{name}.c"));
    let source = fs::read_to_string(source).expect("our own file");
    source.contains("dlopen(")
}

fn needs_libraries(program: &Path) -> bool {
    let dynamic = Command::new("readelf")
        .arg("--dynamic")
        .arg(program)
        .output();
    String::from_utf8_lossy(&dynamic.expect("binutils").stdout).contains("NEEDED")
}
