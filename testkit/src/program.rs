//! C and C++ programs as tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use crate::host::Host;
use crate::library::{library_directory, package_root, profile_directory};
use crate::running::Running;

/// Longer than any program here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Valgrind runs a program twenty to fifty times slower.
const VALGRIND_LIMIT: Duration = Duration::from_secs(300);

/// A language mode in which the header has to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// ISO C99.
    C99,
    /// ISO C11.
    C11,
    /// ISO C23, by the name that older compilers accept.
    C23,
    /// ISO C++11.
    Cpp11,
    /// ISO C++17.
    Cpp17,
}

impl Dialect {
    fn compiler(self) -> &'static str {
        match self {
            Self::C99 | Self::C11 | Self::C23 => "cc",
            Self::Cpp11 | Self::Cpp17 => "c++",
        }
    }

    fn language(self) -> &'static str {
        match self {
            Self::C99 | Self::C11 | Self::C23 => "c",
            Self::Cpp11 | Self::Cpp17 => "c++",
        }
    }

    fn standard(self) -> &'static str {
        match self {
            Self::C99 => "c99",
            Self::C11 => "c11",
            Self::C23 => "c2x",
            Self::Cpp11 => "c++11",
            Self::Cpp17 => "c++17",
        }
    }

    /// The compiler with every warning an error, and the header's directory.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.compiler());
        command
            .arg(format!("-std={}", self.standard()))
            .args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-x",
                self.language(),
            ])
            .arg("-I")
            .arg(package_root().join("include"));
        command
    }
}

/// A test program from `tests/c`, or an example, compiled, and how to run it.
#[derive(Debug)]
pub struct CProgram<'a> {
    binary: PathBuf,
    arguments: Vec<String>,
    host: Option<&'a Host>,
    valgrind: bool,
    /// The command that runs it, such as valgrind.
    before: Vec<String>,
}

impl<'a> CProgram<'a> {
    /// Compiles `tests/c/<name>.c` or `.cpp`, and links it with the shared library.
    ///
    /// # Panics
    ///
    /// When it does not compile, or with a warning; the message has the compiler's output.
    pub fn new(name: &str, dialect: Dialect) -> Self {
        Self::build("tests/c", name, dialect, "", &["-ldcf_thunderbolt"])
    }

    /// Compiles it and links it with the static library.
    pub fn with_static_library(name: &str, dialect: Dialect) -> Self {
        Self::build(
            "tests/c",
            name,
            dialect,
            "-static",
            &["-l:libdcf_thunderbolt.a", "-lpthread"],
        )
    }

    /// Compiles it with ThreadSanitizer. The library itself is not instrumented.
    pub fn with_thread_sanitizer(name: &str, dialect: Dialect) -> Self {
        Self::build(
            "tests/c",
            name,
            dialect,
            "-tsan",
            &["-fsanitize=thread", "-ldcf_thunderbolt"],
        )
    }

    /// Compiles a program that loads the library with `dlopen`.
    pub fn without_library(name: &str, dialect: Dialect) -> Self {
        Self::build("tests/c", name, dialect, "", &[])
    }

    /// Compiles `c_examples/<name>.c`, which loads the library with `dlopen`.
    pub fn example(name: &str, dialect: Dialect) -> Self {
        Self::build("c_examples", name, dialect, "", &[])
    }

    /// `kind` distinguishes the programs of one source and dialect.
    fn build(
        directory: &str,
        name: &str,
        dialect: Dialect,
        kind: &str,
        libraries: &[&str],
    ) -> Self {
        let sources = package_root().join(directory);
        let source = ["c", "cpp"]
            .map(|extension| sources.join(format!("{name}.{extension}")))
            .into_iter()
            .find(|source| source.exists())
            .unwrap_or_else(|| panic!("there is no {name}.c in {}", sources.display()));
        let library = library_directory();
        let directory = profile_directory().join("c-tests");
        let binary = directory.join(format!("{name}-{}{kind}", dialect.standard()));
        if !is_current(&binary, &source) {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let fresh = binary.with_extension(format!("{}-{number}.new", process::id()));
            let output = dialect
                .command()
                .args(["-g", "-O1", "-pthread", "-o"])
                .arg(&fresh)
                .arg(&source)
                .args(["-x", "none", "-L"])
                .arg(library)
                .arg(format!("-Wl,-rpath,{}", library.display()))
                .args(libraries)
                .args(["-ldl", "-lm"])
                .output()
                .unwrap_or_else(|error| panic!("{}: {error}", dialect.compiler()));
            assert!(
                output.status.success(),
                "{name} does not compile as {dialect:?}:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            // Replace it atomically: the same program may be running in another test.
            fs::rename(&fresh, &binary).expect("the target directory can be written");
        }
        Self {
            binary,
            arguments: Vec::new(),
            host: None,
            valgrind: false,
            before: Vec::new(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs it inside a host.
    #[must_use]
    pub fn on(mut self, host: &'a Host) -> Self {
        self.host = Some(host);
        self
    }

    /// Runs it under valgrind, where every memory error and every leaked block is a failure.
    #[must_use]
    pub fn under_valgrind(mut self) -> Self {
        self.valgrind = true;
        self
    }

    /// Runs it as the last arguments of another command. Arguments added later follow it.
    #[must_use]
    pub fn behind<const N: usize>(mut self, command: [&str; N]) -> Self {
        self.before.extend(command.map(str::to_owned));
        self
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        let program = self.binary.to_str().expect("paths here are UTF-8");
        let mut line: Vec<&str> = self.before.iter().map(String::as_str).collect();
        if self.valgrind {
            line.extend([
                "valgrind",
                "--quiet",
                "--leak-check=full",
                "--show-leak-kinds=definite,indirect,possible",
                "--errors-for-leak-kinds=definite,indirect,possible",
                "--track-fds=no",
                "--error-exitcode=99",
            ]);
        }
        line.push(program);
        let mut command = match self.host {
            Some(host) => host.command(line[0]),
            None => Command::new(line[0]),
        };
        command.args(&line[1..]).args(&self.arguments);
        let name = self
            .binary
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(program);
        Running::start(
            name,
            command,
            if self.valgrind { VALGRIND_LIMIT } else { LIMIT },
        )
    }

    /// Runs it until it ends with success, and returns its output.
    #[track_caller]
    pub fn run(&self) -> String {
        self.start().finish()
    }

    /// Runs it until it ends, and answers its questions: see [`Running::serve`].
    #[track_caller]
    pub fn serve(&self, answer: impl FnMut(&str) -> String) -> String {
        self.start().serve(answer)
    }
}

/// Whether `binary` is newer than all its sources.
fn is_current(binary: &Path, source: &Path) -> bool {
    let Some(built) = modified(binary) else {
        return false;
    };
    let mut inputs = vec![env::current_exe().expect("procfs"), source.to_owned()];
    for directory in [
        package_root().join("include"),
        package_root().join("tests/c"),
    ] {
        let entries = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        inputs.extend(
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    let extension = path.extension();
                    extension.is_some_and(|extension| extension == "h" || extension == "hpp")
                }),
        );
    }
    inputs
        .iter()
        .all(|input| modified(input).is_some_and(|time| time < built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
