//! Untrusted text in all output: none reaches a terminal unescaped.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use common::recording::{doctor, trees, unpack, HEALTHY};
use common::{local, run, tool, Ended, Tool};
use testkit::Cable;

/// Terminal escapes, line ends, bidirectional and hidden characters, and shell metacharacters.
const HOSTILE: &str = "a\x1b[2J\x1b]0;t\x07\rb\u{7f}\u{85}\u{9b}31m\u{9d}c\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\
    \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{e0041}$(id);`id`'\"d";

/// Characters that must not reach a terminal. The test has its own list, independent of the program's.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || "\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{2060}\u{feff}"
            .contains(letter)
        || ('\u{202a}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter)
        || ('\u{e0000}'..='\u{e007f}').contains(&letter)
}

/// `Tool` decodes lossily: invalid UTF-8 becomes U+FFFD.
#[track_caller]
fn is_harmless(what: &str, ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        let hidden = text
            .chars()
            .find(|letter| *letter != '\n' && is_hidden(*letter));
        assert_eq!(hidden, None, "{what}: {text:?}");
        assert!(!text.contains('\u{fffd}'), "{what}: {text:?}");
    }
}

/// As above, for a program that quotes something.
#[track_caller]
fn quotes_harmlessly(what: &str, command: Command) {
    let ended = run(command);
    is_harmless(what, &ended);
    let said = ended.out + &ended.err;
    assert!(said.contains("\\u{1b}[2J"), "{what} quotes it: {said}");
}

fn recorded(path: &str, content: &str) -> String {
    let content = content.replace('\n', "\\n");
    format!("{path} = {content}")
}

#[test]
fn a_recorded_tree_with_any_content() {
    let trees = trees();
    let healthy = &trees.iter().find(|(name, _)| name == HEALTHY).unwrap().1;
    let mut tried = 0;
    for (name, tree) in &trees {
        let lines = tree.lines().filter(|line| !line.starts_with(['#', '-']));
        let paths = lines.filter_map(|line| Some(line.split_once(" = ")?.0));
        let changed = paths.map(|path| recorded(path, HOSTILE));
        let changed: Vec<String> = changed.collect();
        // The healthy recording file by file, others as a whole.
        let each: Vec<Vec<&str>> = match name == HEALTHY {
            true => changed.iter().map(|line| vec![line.as_str()]).collect(),
            false => vec![changed.iter().map(String::as_str).collect()],
        };
        for changed in each {
            tried += 1;
            let recordings = [&[healthy.as_str(), tree.as_str()], &changed[..]].concat();
            let said = doctor(&recordings, &[]);
            is_harmless(name, &said);
            let commands = said.out.lines().filter(|line| line.contains("sudo "));
            commands.for_each(|line| assert!(!line.contains("$(id)"), "{line}"));
            let said = doctor(&recordings, &["--json"]);
            is_harmless(name, &said);
            serde_json::from_str::<serde_json::Value>(&said.out).unwrap();
        }
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn a_recorded_tree_with_any_names() {
    let trees = trees();
    let healthy = &trees.iter().find(|(name, _)| name == HEALTHY).unwrap().1;
    let of = |wanted: &str| &trees.iter().find(|(name, _)| name == wanted).unwrap().1;
    let odd = HOSTILE.replace('\n', "");
    let chain = serde_json::json!({"nftables": [
        {"chain": {"family": "inet", "table": HOSTILE, "name": HOSTILE, "hook": "input", "type": "filter", "prio": 0, "policy": "drop"}}
    ]});
    let rules = serde_json::json!({"nftables": [
        {"chain": {"family": "inet", "table": "t", "name": "-f/tmp/x", "hook": "input", "type": "filter", "prio": 0, "policy": "drop"}}
    ]});
    for (what, line, quotes) in [
        (
            "chain",
            recorded("commands/nft--j-list-ruleset", &chain.to_string()),
            true,
        ),
        (
            "option",
            recorded("commands/nft--j-list-ruleset", &rules.to_string()),
            false,
        ),
        (
            "master",
            format!("sys/class/net/thunderbolt0/master -> ../{odd}"),
            true,
        ),
        (
            "driver",
            format!("sys/devices/domain0/0-0/0-1/0-1.0/driver -> ../{odd}"),
            false,
        ),
        (
            "another interface",
            format!("sys/class/net/{odd}/ifindex = 9"),
            false,
        ),
        (
            "holder",
            of("ports-taken").replace("shairport-sync", HOSTILE),
            true,
        ),
        (
            "our name",
            of("our-own-ports").replace("comm = dcf-tb", &format!("comm = dcf-tb{HOSTILE}")),
            true,
        ),
    ] {
        for arguments in [&[][..], &["--json"], &["--interface", "nothing"]] {
            let said = doctor(&[healthy, &line], arguments);
            is_harmless(what, &said);
            if quotes && arguments.is_empty() {
                assert!(said.out.contains("\\u{1b}[2J"), "{what}: {}", said.out);
            }
            let bad = ["sudo nft", "sudo ip"].iter().any(|begin| {
                said.out
                    .lines()
                    .any(|line| line.contains(begin) && line.contains("x1b"))
            });
            assert!(
                !bad && !said.out.contains("sudo nft insert rule inet t -f"),
                "{}",
                said.out
            );
        }
    }
    // The interface itself.
    let renamed = healthy.replace("/thunderbolt0/", &format!("/{odd}/"));
    for arguments in [&[][..], &["--interface", &odd], &["--json"]] {
        let said = doctor(&[&renamed], arguments);
        is_harmless("interface", &said);
        assert!(!said.out.contains("sudo ip"), "{}", said.out);
    }
}

#[test]
fn arguments_of_the_command_line() {
    let cable = Cable::new();
    let folder = tempfile::tempdir().unwrap();
    let bytes = [HOSTILE.as_bytes(), b"\xff\x9b2J"].concat();
    let odd = folder.path().join(OsStr::from_bytes(&bytes));
    let on = |words: &[&str], path: Option<&Path>| {
        let mut command = tool(cable.a(), words);
        command.args(path);
        command
    };
    let nowhere = odd.join("nowhere");
    quotes_harmlessly("push", on(&["push"], Some(&nowhere)));
    quotes_harmlessly("receive", on(&["receive"], Some(&nowhere)));
    quotes_harmlessly("send", on(&["send", "--file"], Some(&nowhere)));
    quotes_harmlessly("report", on(&["bench", "--report"], Some(&nowhere)));
    fs::write(&odd, "").unwrap();
    quotes_harmlessly("man", on(&["man"], Some(&nowhere)));
    quotes_harmlessly("receive a file", on(&["receive"], Some(&odd)));
    is_harmless("root", &run(on(&["doctor", "--root"], Some(&odd))));
    let text = HOSTILE;
    for words in [
        &["ping", "-c", "1", text][..],
        &["send", "x", text],
        &["env", "--peer", text],
        &["bench", text],
        &["--interface", text, "discover"],
        &["--interface", text, "env"],
        &["ping", "--interval", text],
        &["--control-port", text, "discover"],
        &["completions", text],
        &["env", text],
        &[text],
        &["send", "--hex", text],
    ] {
        quotes_harmlessly(&words.join(" "), on(words, None));
    }
    let with = |variable: &str| {
        let mut command = local(&["discover"]);
        command.env(variable, text);
        command
    };
    quotes_harmlessly("interface", with("DCF_TB_INTERFACE"));
    // Only the visible part of this one remains.
    is_harmless("port", &run(with("DCF_TB_CONTROL_PORT")));
}

#[test]
fn messages_of_peers() {
    let cable = Cable::new();
    let to = cable.b().address();
    let bytes = [HOSTILE.as_bytes(), b"\xff\x9b2J"].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for (content, options) in [
        (&bytes[..], &[][..]),
        (&bytes, &["--json"]),
        (HOSTILE.as_bytes(), &["--json"]),
        (&bytes, &["--hex"]),
    ] {
        fs::write(path, content).unwrap();
        let words = [&["listen", "--count", "1", "-vv"], options].concat();
        let mut listener = Tool::start(tool(cable.b(), &words));
        listener.wait_err("listening");
        run(tool(cable.a(), &["send", "--file", path, to])).with(0);
        let ended = listener.end();
        is_harmless("listen", &ended);
        if options == ["--json"] {
            let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
            assert_eq!(json["text"].as_str(), std::str::from_utf8(content).ok());
        }
    }
}

#[test]
fn names_of_pushed_files() {
    let cable = Cable::new();
    let folder = tempfile::tempdir().unwrap();
    let (out, to) = (folder.path().join("out"), folder.path().join("in"));
    let inside = out.join(OsStr::from_bytes(
        &[b"d".as_slice(), &HOSTILE.as_bytes()[1..]].concat(),
    ));
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(inside.join(HOSTILE), "content").unwrap();
    fs::write(inside.join(OsStr::from_bytes(b"x\xff\x9b2J")), "content").unwrap();
    symlink("/nowhere/else", inside.join(format!("link{HOSTILE}"))).unwrap();
    symlink(HOSTILE, inside.join("link")).unwrap();
    let mut receiver = Tool::start(tool(cable.b(), &["receive", "-vv", to.to_str().unwrap()]));
    receiver.wait_err("listening");
    let push = || run(tool(cable.a(), &["push", "-vv", out.to_str().unwrap()]));
    is_harmless("push", &push());
    // An error lists the existing names.
    fs::write(inside.join(HOSTILE), "another content").unwrap();
    let refused = push();
    is_harmless("push again", &refused);
    assert_ne!(refused.code, 0, "{refused:?}");
    receiver.interrupt();
    is_harmless("receive", &receiver.end());
}

#[test]
fn reasons_of_a_receiver() {
    let cable = Cable::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "content").unwrap();
    let why = [HOSTILE.as_bytes(), b"\n\nroot# "].concat();
    let listener = cable.b().run(|| TcpListener::bind("[::]:5001").unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(b"DCFTBANS\x01\x01\0\0\0\0\0\0").unwrap();
        let length = (why.len() as u32 + 1).to_be_bytes();
        let frame = [&[0x85][..], &length, &[8], &why].concat();
        stream.write_all(&frame).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let words = ["push", file.to_str().unwrap(), cable.b().address()];
    let refused = run(tool(cable.a(), &words));
    receiver.join().unwrap();
    is_harmless("refusal", &refused);
    assert!(refused.err.contains("\\u{1b}[2J"), "{}", refused.err);
    assert!(!refused.err.contains("\nroot#"), "{}", refused.err);
}

#[test]
fn the_recordings_can_be_unpacked() {
    // A line of this test that is in no recording would test nothing.
    let root = tempfile::tempdir().unwrap();
    unpack(&recorded("a/b", HOSTILE), root.path());
    let content = fs::read_to_string(root.path().join("a/b")).unwrap();
    assert_eq!(content.trim_end(), HOSTILE);
}
