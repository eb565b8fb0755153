//! Lisp implementations as test programs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use testkit::{library_directory, package_root, Host, Running};

/// Longer than any suite takes on a busy machine with constant garbage collection.
const LIMIT: Duration = Duration::from_secs(300);

/// A Lisp implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lisp {
    Sbcl,
    Ecl,
}

impl Lisp {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Sbcl => &["sbcl", "--script"],
            Self::Ecl => &["ecl", "--norc", "--shell"],
        }
    }

    /// Runs `lisp/<script>` with arguments on a host, with the library of this test's build.
    fn command(self, host: &Host, script: &str, arguments: &[&str]) -> Command {
        let mut command = host.command("env");
        command
            .arg(format!(
                "DCF_THUNDERBOLT_LIBRARY={}",
                library_directory()
                    .join("libdcf_thunderbolt.so.1")
                    .display()
            ))
            .arg(format!("XDG_CACHE_HOME={}", cache().display()))
            .args(self.words())
            .arg(package_root().join("lisp").join(script))
            .args(arguments);
        command
    }

    /// Compiles the systems and their dependencies once, so that no suite waits for it or finds an
    /// incomplete file.
    pub fn compile(self, host: &Host) {
        // One lock for each implementation, so that neither waits for the other.
        static COMPILED: [Mutex<bool>; 2] = [Mutex::new(false), Mutex::new(false)];
        let mut compiled = COMPILED[self as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *compiled {
            return;
        }
        let output = self
            .command(host, "tests/run.lisp", &[])
            .output()
            .expect("nsenter runs");
        assert!(
            output.status.success(),
            "the Lisp systems do not compile with {}, or it and its libraries are not installed \
             (make test sees to that):\n{}{}",
            self.words()[0],
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        *compiled = true;
    }

    /// Starts a file of `lisp/` on a host.
    #[track_caller]
    pub fn start(self, host: &Host, script: &str, arguments: &[&str]) -> Running {
        self.compile(host);
        Running::start(
            &format!("{} {script} {}", self.words()[0], arguments.join(" ")),
            self.command(host, script, arguments),
            LIMIT,
        )
    }

    /// Starts suites of tests.
    #[track_caller]
    pub fn suites(self, host: &Host, names: &[&str]) -> Running {
        let arguments: Vec<&str> = ["--"].iter().chain(names).copied().collect();
        self.start(host, "tests/run.lisp", &arguments)
    }

    /// Runs suites on a host of their own until they end with success.
    #[track_caller]
    pub fn run(self, names: &[&str]) {
        let printed = self.suites(&Host::alone(), names).finish();
        let passed = printed.lines().find_map(|line| {
            let count = line
                .strip_prefix("checks: ")?
                .strip_suffix(" passed, 0 failed")?;
            count.parse::<u32>().ok()
        });
        assert!(passed.is_some_and(|count| count > 0), "{printed}");
    }
}

/// The directory for compiled files.
fn cache() -> PathBuf {
    let directory = library_directory()
        .parent()
        .expect("it lies in the target's");
    directory.join("lisp")
}
