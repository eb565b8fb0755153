//! All advice can be followed: every command and option in texts and documents parses, and no text of the library
//! names a setting that this tool does not have.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, Parser};
use walkdir::WalkDir;

use super::*;
use crate::options::Options;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files below a directory, with one of these endings.
fn files(below: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let found = WalkDir::new(root().join(below)).into_iter();
    let paths = found.map(|entry| entry.unwrap().into_path());
    let paths = paths.filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending)));
    paths
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

/// The string literals of a source file, without those of its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut literals = Vec::new();
    for line in source.split('\n') {
        // Comments are not shown to users; doc comments of options are part of the help.
        if line.trim_start().starts_with("//") {
            continue;
        }
        literals.push(line);
    }
    let source = literals.join("\n").replace("'\"'", "").replace("b'\"'", "");
    let mut found = Vec::new();
    let mut letters = source.chars().peekable();
    let mut literal: Option<String> = None;
    while let Some(letter) = letters.next() {
        match (&mut literal, letter) {
            (Some(text), '\\') => match letters.next() {
                Some('\n') => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
                Some(escaped) => text.push(escaped),
                None => {}
            },
            (Some(_), '"') => found.extend(literal.take()),
            (Some(text), letter) => text.push(letter),
            (None, '"') => literal = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}

#[test]
fn every_setting_of_the_library_is_known_here() {
    let config = fs::read_to_string(root().join("transport/src/settings.rs")).unwrap();
    let settings = config.split("struct Settings {").nth(1).unwrap();
    let settings = settings.split('}').next().unwrap();
    let names = settings
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub "))
        .filter_map(|line| line.split(':').next())
        .filter(|name| !["config", "log_level"].contains(name));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(names_a_setting(name), "{name}");
    }
}

#[test]
fn texts_of_the_library_advise_nothing_that_only_programs_can_do() {
    let mut tried = 0;
    for (path, source) in files("transport/src", ".rs") {
        let is_test = path.to_str().unwrap().contains("test");
        for text in literals(&source).iter().filter(|_| !is_test) {
            // A name alone is not advice: an argument, or an option of the kernel.
            if !names_a_setting(text) || !text.contains(' ') {
                continue;
            }
            tried += 1;
            let said = in_tool(text);
            assert!(!names_a_setting(&said), "{}: {said}", path.display());
            assert!(!said.contains("raise it"), "{}: {said}", path.display());
            // A hint that is removed for this tool may disappear as a whole.
            let is_hint = text.starts_with(" (") && text.ends_with(')');
            assert!(is_hint || said.len() > 10, "{}: {said}", path.display());
        }
    }
    assert!(tried > 3, "there are such texts: {tried}");
}

#[test]
fn clauses_go_and_the_rest_stays() {
    for (text, said) in [
        (
            "refused a stream from [::1]:5: neither link-local nor loopback (allow_any_source serves all)",
            "refused a stream from [::1]:5: neither link-local nor loopback",
        ),
        (
            "5 data streams are open, and max_streams is 5: close some or raise it",
            "5 data streams are open",
        ),
        ("no memory (really), receive_queue is 5", "no memory (really)"),
        ("control_port is 0: it is a port, not none", "--control-port is 0: it is a port, not none"),
        ("nothing: of, that; sort (at all)", "nothing: of, that; sort (at all)"),
    ] {
        assert_eq!(in_tool(text), said);
    }
}

/// Placeholders in the printed texts.
fn filled_in(word: &str) -> &str {
    match word.trim_end_matches('…') {
        "DIR" | "PATH" | "FILE" | "FILE.html" => "x",
        "PEER" => "fe80::1%thunderbolt0",
        "ENGINE" => "nccl",
        "TEXT" => "hello",
        "NAME" => "thunderbolt0",
        other => other,
    }
}

/// Commands that need more words to be complete, where a text only mentions the command.
fn completed(words: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    if words.len() == 2 || words.iter().skip(2).all(|word| word.starts_with('-')) {
        let more: &[&str] = match words[1].as_str() {
            "push" => &["x"],
            "send" => &["hello", "fe80::1"],
            "completions" => &["bash"],
            _ => &[],
        };
        words.extend(more.iter().map(|word| (*word).to_owned()));
    }
    words
}

fn parse(at: &str, command: &str) {
    let command = command.split(['|', '#', '>']).next().unwrap();
    // `[--json]` and the like mark optional words.
    let command = command.replace(['[', ']', '\\', '"'], "");
    let words: Vec<&str> = command.split_whitespace().map(filled_in).collect();
    if words.len() < 2 || words[1].is_empty() || ["--help", "--version"].contains(&words[1]) {
        return;
    }
    let parsed = Options::try_parse_from(completed(&words));
    if let Err(error) = parsed {
        assert!(!error.use_stderr(), "{at}: `{command}`: {error}");
    }
}

/// All commands that a text says to run.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in text.split('`').enumerate() {
        let part = part.strip_prefix("sudo ").unwrap_or(part);
        if number % 2 == 1 && part.starts_with("dcf-tb ") && !part.contains('\n') {
            found.push(part.to_owned());
        }
    }
    for line in text.lines() {
        let line = line.trim_start();
        let line = ["here$", "there$", "$"]
            .iter()
            .find_map(|prompt| line.strip_prefix(prompt))
            .unwrap_or(line)
            .trim_start();
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        if line.starts_with("dcf-tb ") && !line.contains('`') {
            found.push(line.to_owned());
        }
    }
    found
}

#[test]
fn every_command_that_is_advised_is_one() {
    let mut tried = 0;
    let mut documents = files("docs", ".md");
    for name in [
        "README.md",
        "SECURITY.md",
        "BENCHMARKS.md",
        "CONTRIBUTING.md",
    ] {
        documents.push((name.into(), fs::read_to_string(root().join(name)).unwrap()));
    }
    for (path, text) in &documents {
        // Blocks of code have no backticks of their own.
        for command in commands(&text.replace("```", "")) {
            parse(path.to_str().unwrap(), &command);
            tried += 1;
        }
    }
    for (path, source) in files("cli/src", ".rs") {
        for text in literals(&source) {
            for command in commands(&text) {
                parse(path.to_str().unwrap(), &command);
                tried += 1;
            }
        }
    }
    each_help(&mut |name, help| {
        for command in commands(help) {
            parse(name, &command);
            tried += 1;
        }
    });
    assert!(tried > 40, "{tried}");
}

/// The long help of every command.
fn each_help(with: &mut impl FnMut(&str, &str)) {
    let mut root = Options::command();
    root.build();
    let help = root.render_long_help().to_string();
    with("dcf-tb", &help);
    for command in root.get_subcommands() {
        let help = command.clone().render_long_help().to_string();
        with(command.get_name(), &help);
    }
}

fn options(command: &Command) -> Vec<String> {
    let own = command
        .get_arguments()
        .filter_map(|argument| argument.get_long());
    let own = own.map(|name| format!("--{name}"));
    let below = command.get_subcommands().flat_map(options);
    own.chain(below)
        .chain(["--help".to_owned(), "--version".to_owned()])
        .collect()
}

#[test]
fn every_option_that_is_advised_is_there() {
    let mut command = Options::command();
    command.build();
    let there = options(&command);
    let check = |at: &str, text: &str| {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let words = text.split(|letter| !is_word(letter));
        let mut tried = 0;
        for word in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            if !word.starts_with("---") {
                assert!(
                    there.iter().any(|option| option == word),
                    "{at}: {word}: {text}"
                );
                tried += 1;
            }
        }
        tried
    };
    let mut tried = 0;
    for (path, source) in files("cli/src", ".rs") {
        let path = path.to_str().unwrap();
        // Options of other programs are checked by running them.
        let is_of_others = path.contains("doctor/") || path.contains("env/engines");
        let is_test = path.ends_with("tests.rs");
        for text in literals(&source)
            .iter()
            .filter(|_| !is_of_others && !is_test)
        {
            tried += check(path, text);
        }
    }
    each_help(&mut |name, help| tried += check(name, help));
    let page = fs::read_to_string(root().join("docs/DCF-TB.md")).unwrap();
    let of_others = ["commands", "systemctl"];
    let lines = page
        .lines()
        .filter(|line| !of_others.iter().any(|other| line.contains(other)));
    lines.for_each(|line| tried += check("DCF-TB.md", line));
    assert!(tried > 60, "{tried}");
}
