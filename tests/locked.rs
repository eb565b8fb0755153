//! Builds use the reviewed versions of Cargo.lock: every call of cargo that resolves dependencies has
//! `--locked`.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::package_root;

/// Files and directories with commands that build, test or package.
const PLACES: [&str; 16] = [
    ".ci",
    "Makefile",
    "bench",
    "book",
    "cli",
    "debian",
    "examples",
    "fuzz",
    "lisp",
    "packaging",
    "reference",
    "scripts",
    "soak",
    "testkit",
    "tests",
    "transport",
];

/// Words that call cargo. Make's `$(CARGO)` is split at its parentheses.
const CALLS: [&str; 3] = ["CARGO", "\"${CARGO:-cargo}\"", "cargo"];

/// Subcommands that resolve dependencies. A variable may hold any of them.
const RESOLVE: [&str; 16] = [
    "b", "bench", "build", "c", "check", "clippy", "d", "doc", "fix", "install", "metadata",
    "package", "r", "run", "rustc", "test",
];

/// The files below a path that may hold commands, without build directories.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        if path.file_name().is_some_and(|name| name == "target") {
            return;
        }
        for entry in fs::read_dir(path).expect("a directory of ours") {
            files(&entry.expect("an entry").path(), found);
        }
    } else {
        found.push(path.to_owned());
    }
}

/// The lines of a script or makefile, joined with their continuation lines, without comments.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim_start);
    lines
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The calls of cargo in a command that resolve dependencies and may change Cargo.lock.
fn unlocked(command: &str) -> Option<&str> {
    let words: Vec<&str> = command
        .split([' ', '\t', ';', '|', '&', ',', '(', ')', '`'])
        .filter(|word| !word.is_empty())
        .collect();
    let bad = words.windows(2).enumerate().any(|(place, pair)| {
        let (call, next) = (pair[0], pair[1]);
        let resolves = RESOLVE.contains(&next) || next.starts_with(['"', '$']);
        // `apt-get install cargo rustc` names packages.
        let package = place > 0 && words[place - 1] == "install";
        let rest = &words[place + 1..];
        let harmless = |word: &&str| word.starts_with("--version") || *word == "--locked";
        CALLS.contains(&call) && resolves && !package && !rest.iter().any(harmless)
    });
    bad.then_some(command)
}

/// Finds calls in Rust code, which reads the name of cargo from the environment.
fn unlocked_in_rust(text: &str) -> bool {
    let name = concat!("var_os(", "\"CARGO\")");
    let mut calls = text.match_indices(name);
    calls.any(|(place, _)| {
        let rest: String = text[place..].chars().take(500).collect();
        !rest.contains("\"--locked\"")
    })
}

#[test]
fn every_call_of_cargo_is_locked() {
    let mut found = Vec::new();
    for place in PLACES {
        let path = package_root().join(place);
        if path.exists() {
            files(&path, &mut found);
        }
    }
    let (mut faults, mut calls) = (Vec::new(), 0);
    for path in found {
        // Files that are not text hold no commands.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                if unlocked_in_rust(&text) {
                    faults.push(format!("{}: a Command", path.display()));
                }
            }
            // Documents show commands for users.
            Some("md" | "lock" | "toml" | "c" | "h" | "lisp" | "snap" | "1") => {}
            _ => {
                for command in commands(&text) {
                    calls += usize::from(command.contains("--locked"));
                    if let Some(command) = unlocked(&command) {
                        faults.push(format!("{}: {command}", path.display()));
                    }
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "without --locked:\n{}",
        faults.join("\n")
    );
    assert!(calls >= 8, "only {calls} calls were found");
}

#[test]
fn a_call_without_it_is_found() {
    for bad in [
        "$(CARGO) build --release",
        "@$(CARGO) run --quiet --package dcf_reference",
        "$(if $(wildcard cli),$(CARGO) build --bin dcf-tb)",
        "cargo test --workspace",
        "exec \"${CARGO:-cargo}\" test \"$@\"",
        "cd x && cargo build",
        "\"${CARGO:-cargo}\" \"$1\" --quiet",
        "found=$(cargo metadata)",
    ] {
        assert!(unlocked(bad).is_some(), "{bad}");
        let good = bad.replacen("build", "build --locked", 1);
        if good != bad {
            assert!(unlocked(&good).is_none(), "{good}");
        }
    }
    for good in [
        "$(CARGO) fmt --all --check",
        "cargo clippy --version >/dev/null",
        "install cargo rustc",
        "this project is built by cargo",
        "CARGO ?= cargo",
    ] {
        assert!(unlocked(good).is_none(), "{good}");
    }
    let calls = "Command::new(env::var_os(\"CARGO\")); cargo.args([\"build\"";
    assert!(unlocked_in_rust(calls));
    assert_eq!(commands("a \\\n b\n# cargo build\n"), ["a   b"]);
}
