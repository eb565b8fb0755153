//! Every setting that a message names is a member of `dcf_tb_config`, so its reader can set it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Words with an underscore in messages that are not settings: names from the kernel, and of functions,
/// types and arguments.
const OTHERS: [&str; 6] = [
    "gc_thresh3",
    "discover_port",
    "ip_local_port_range",
    "ip_unprivileged_port_start",
    "disable_ipv6",
    "addr_gen_mode",
];

/// Files without messages: tests, models, crate documentation.
const SKIPPED: [&str; 3] = ["tests", "model", "lib.rs"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("the sources").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !SKIPPED.iter().any(|part| name.contains(part)) {
            found.push(path);
        }
    }
}

/// The string literals of a source, without its comments and tests.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod ").next().expect("a part");
    let code: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code
        .join("\n")
        .replace("'\"'", "")
        .replace("\\\\", "")
        .replace("\\\"", "'");
    let parts = code.split('"').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The words of a message that have an underscore. Words in braces are variables.
fn names(message: &str) -> Vec<String> {
    let mut text = String::new();
    let mut depth = 0;
    for c in message.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.contains('_') && !word.starts_with("dcf_tb") && word.len() > 3)
        .map(str::to_owned)
        .collect()
}

fn settings() -> BTreeSet<String> {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/dcf_thunderbolt.h");
    let header = fs::read_to_string(header).expect("the header");
    let end = header.find("} dcf_tb_config;").expect("the type");
    let begin = header[..end].rfind("typedef struct").expect("its begin");
    let members = header[begin..end].lines().filter_map(|line| {
        let member = line.trim().strip_suffix(';')?;
        Some(member.rsplit([' ', '*']).next()?.to_owned())
    });
    members.collect()
}

#[test]
fn every_setting_that_a_message_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = settings();
    assert!(settings.contains("allow_any_source") && settings.contains("max_streams"));
    let (mut files, mut named) = (Vec::new(), BTreeSet::new());
    sources(&root.join("transport/src"), &mut files);
    sources(&root.join("src"), &mut files);
    for file in files {
        let source = fs::read_to_string(&file).expect("the sources");
        // A message has more than one word.
        for message in literals(&source).iter().filter(|text| text.contains(' ')) {
            for name in names(message) {
                assert!(
                    settings.contains(&name) || OTHERS.contains(&name.as_str()),
                    "{} names {name}, which is no setting: {message}",
                    file.display()
                );
                named.insert(name);
            }
        }
    }
    // Otherwise the search found no message at all.
    for known in [
        "allow_any_source",
        "max_streams",
        "receive_queue",
        "silent_after_ms",
    ] {
        assert!(named.contains(known), "{known} in {named:?}");
    }
}
