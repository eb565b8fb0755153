//! The ABI keeps the promises of `docs/ABI.md`.
//!
//! `abidiff` compares the compiled headers with a baseline. It may report only changes that the policy allows: structs
//! with a `struct_size` may grow at their end, and functions may be added.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{package_root, CProgram, Dialect, Temporary};

/// The structs that may grow.
const SIZED: [&str; 4] = [
    "dcf_tb_config",
    "dcf_tb_stats",
    "dcf_tb_rtt",
    "dcf_tb_stream_stats",
];
const FIRST: &str = "dcf_thunderbolt-1.0.abi";
const HEADERS: [&str; 2] = ["dcf_thunderbolt.h", "dcf_plugin.h"];

/// The report of abidiff on the headers in which every `from` is replaced by `to`.
fn report_with(from: &str, to: &str) -> String {
    let directory = std::env::temp_dir().join(format!(
        "dcf-tb-abi-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::create_dir_all(&directory).expect("room for a header");
    let mut found = from.is_empty();
    for name in HEADERS {
        let header = fs::read_to_string(package_root().join("include").join(name));
        let header = header.expect("our own header");
        found |= header.contains(from);
        let changed = if from.is_empty() {
            header
        } else {
            header.replace(from, to)
        };
        fs::write(directory.join(name), changed).expect("room for a header");
    }
    assert!(found, "no header has {from:?}");
    let report = report(&directory, FIRST);
    let _ = fs::remove_dir_all(directory);
    report
}

/// The report of abidiff on headers, compared with a baseline.
fn report(headers: &Path, baseline: &str) -> String {
    let witness = Temporary::new(b"");
    let made = Command::new(package_root().join("scripts/abi-witness"))
        .arg(headers)
        .arg(&witness.0)
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{said}");
    let output = Command::new("abidiff")
        // The baseline is of one 64-bit architecture; the layouts of all others are the same. `--harmless`
        // reports more, for example a function that no longer returns a value.
        .args(["--no-architecture", "--no-added-syms", "--harmless"])
        .arg(package_root().join("abi").join(baseline))
        .arg(&witness.0)
        .output()
        .unwrap_or_else(|error| panic!("cannot run abidiff ({error}): install abigail-tools"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Bit 0: abidiff failed. Bit 1: its arguments were wrong.
    let code = output.status.code().expect("an exit code, not a signal");
    assert!(code & 3 == 0 && said.is_empty(), "{said}");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        code == 0,
        report.trim().is_empty() || says_nothing(&report),
        "{report}"
    );
    report
}

/// Whether the report has only empty summaries.
fn says_nothing(report: &str) -> bool {
    let mut lines = report.lines().filter(|line| !line.is_empty());
    lines.all(|line| line.contains("changes summary: 0 Removed, 0 Changed"))
}

/// The lines of a report that the policy does not allow.
fn breaks(report: &str) -> Vec<&str> {
    let mut old_size = u64::MAX;
    let lines = report
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .filter(|line| !is_allowed(line, &mut old_size))
        .collect()
}

fn is_allowed(line: &str, old_size: &mut u64) -> bool {
    let number_after = |words: &str| -> Option<u64> {
        let (_, rest) = line.split_once(words)?;
        rest.split(' ').next()?.parse().ok()
    };
    let named = |before: &str| {
        let rest = line.strip_prefix(before)?;
        Some(
            SIZED
                .iter()
                .any(|name| rest.starts_with(&format!("{name}'"))),
        )
    };
    if let Some(sized) = named("in pointed to type 'struct ") {
        *old_size = u64::MAX;
        return sized;
    }
    // A change that was reported before.
    if let Some(sized) =
        named("in pointed to type 'const ").or(named("unqualified underlying type 'struct "))
    {
        return sized;
    }
    if let Some(size) = number_after("type size changed from ") {
        *old_size = size;
        return true;
    }
    if let Some(place) = number_after("', at offset ") {
        return place >= *old_size; // behind the old members
    }
    line.starts_with("Functions changes summary: 0 Removed,")
        || line.starts_with("Variables changes summary: 0 Removed, 0 Changed,")
        || line.ends_with("with some indirect sub-type change:")
        || line.ends_with("has some indirect sub-type changes:")
        || line.starts_with("parameter ") && line.ends_with("has sub-type changes:")
        || line.ends_with("data member insertion:")
        || line.ends_with("data member insertions:")
}

/// Compares with the baseline of this version and of every earlier one.
#[test]
fn the_abi_is_compatible_with_every_baseline() {
    let entries = fs::read_dir(package_root().join("abi")).expect("our own directory");
    let names = entries.map(|entry| entry.expect("our own directory").file_name());
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let baselines = || names.iter().filter(|name| name.ends_with(".abi"));
    assert!(baselines().any(|name| name == FIRST), "{names:?}");
    for baseline in baselines() {
        let report = report(&package_root().join("include"), baseline);
        assert_eq!(breaks(&report), Vec::<&str>::new(), "{baseline}: {report}");
    }
}

/// The check detects changes: each of these would break a program.
#[test]
fn every_change_that_breaks_callers_is_found() {
    for (what, from, to) in [
        ("a type", "uint8_t tcp_nodelay;", "uint16_t tcp_nodelay;"),
        ("a sign", "int32_t log_level;", "uint32_t log_level;"),
        (
            "a place",
            "    uint32_t max_streams;",
            "    uint32_t new_one;\n    uint32_t max_streams;",
        ),
        (
            "the last place",
            "    uint32_t silent_after_ms;",
            "    uint32_t x;\n    uint32_t silent_after_ms;",
        ),
        ("a member less", "    uint64_t rejected_malformed;\n", ""),
        (
            "a struct without a size",
            "    uint64_t rtt_ns;",
            "    uint64_t rtt_ns;\n    uint64_t more;",
        ),
        (
            "an array",
            "char address[DCF_TB_PEER_SIZE];",
            "char address[DCF_TB_PEER_SIZE + 8];",
        ),
        (
            "a parameter",
            "dcf_tb_accept(dcf_tb_transport transport, uint32_t",
            "dcf_tb_accept(dcf_tb_transport transport, uint64_t",
        ),
        (
            "a parameter less",
            "uint16_t *control_port, uint16_t *data_port);",
            "uint16_t *control_port);",
        ),
        (
            "a result",
            "int32_t dcf_tb_last_errno",
            "int64_t dcf_tb_last_errno",
        ),
        (
            "a status",
            "typedef int32_t dcf_tb_status;",
            "typedef int64_t dcf_tb_status;",
        ),
        (
            "a handle",
            "typedef uint64_t dcf_tb_stream;",
            "typedef uint32_t dcf_tb_stream;",
        ),
        (
            "a callback",
            "(*dcf_tb_log_callback)(int32_t",
            "(*dcf_tb_log_callback)(int64_t",
        ),
        (
            "a function less",
            "dcf_tb_status dcf_tb_stream_finish(dcf_tb_stream stream);",
            "",
        ),
        (
            "a plugin's function",
            "int (*shutdown)(struct ITransport *self);",
            "void (*shutdown)(struct ITransport *self);",
        ),
        (
            "a plugin's object",
            "    uint64_t transport;\n} dcf_tb_plugin;",
            "    uint32_t transport;\n} dcf_tb_plugin;",
        ),
    ] {
        let report = report_with(from, to);
        assert!(
            !breaks(&report).is_empty(),
            "{what} was not found: {report}"
        );
    }
}

#[test]
fn what_the_policy_allows_is_allowed() {
    for (what, from, to) in [
        (
            "a longer config",
            "    uint32_t remember_peers;",
            "    uint32_t remember_peers;\n    uint64_t more;\n    uint64_t even_more;",
        ),
        (
            "longer statistics",
            "    uint64_t peers_not_reported;",
            "    uint64_t peers_not_reported;\n    uint64_t more;",
        ),
        (
            "a longer summary",
            "    uint64_t max_ns;",
            "    uint64_t max_ns;\n    uint64_t more;",
        ),
        (
            "a new function",
            "dcf_tb_status dcf_tb_reset_stats",
            "dcf_tb_status dcf_tb_new(void);\ndcf_tb_status dcf_tb_reset_stats",
        ),
    ] {
        let report = report_with(from, to);
        assert_eq!(breaks(&report), Vec::<&str>::new(), "{what}: {report}");
    }
}

/// A program that was compiled with the structs of the first header.
#[test]
fn a_caller_of_the_first_header_is_served() {
    CProgram::new("first_caller", Dialect::C99).run();
    CProgram::new("first_caller", Dialect::Cpp17).run();
}

/// A program that was compiled with the structs of some later version.
#[test]
fn a_caller_of_a_later_header_is_served() {
    CProgram::new("later_caller", Dialect::C99).run();
    CProgram::new("later_caller", Dialect::Cpp17).run();
}
