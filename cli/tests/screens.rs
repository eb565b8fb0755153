//! The output of each command in terminals of 80 and of 50 columns: no line is wider, except words that cannot be
//! broken, and lines for programs.

mod common;

use common::folders::{content, fast, slow, Folders};
use common::recording::{trees, unpack, HEALTHY};
use common::terminal::Terminal;
use common::{local, tool, Tool};
use testkit::Cable;

const WIDTHS: [u16; 2] = [80, 50];

/// The lines on the screen, without colours and without what was overwritten.
fn lines(shown: &str) -> Vec<String> {
    let plain = anstream::adapter::strip_str(shown).to_string();
    let last = |line: &str| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or_default().to_owned()
    };
    plain.split('\n').map(last).collect()
}

#[track_caller]
fn fits(what: &str, columns: u16, shown: &str) {
    for line in lines(shown) {
        let is_long = line.chars().count() > columns.into();
        // A line of one word, such as an address, cannot be broken.
        let has_words = line.trim().contains(' ');
        assert!(
            !(is_long && has_words),
            "{what} at {columns}: {line:?} in {shown}"
        );
    }
}

#[test]
fn help_fits() {
    for columns in WIDTHS {
        for words in [
            &["--help"][..],
            &["push", "--help"],
            &["receive", "-h"],
            &["doctor", "--help"],
            &["bench", "--help"],
            &["nothing"],
        ] {
            let (_, shown) = Terminal::of(&local(words), columns, &[]).end();
            fits(&words.join(" "), columns, &shown);
        }
    }
}

#[test]
fn a_report_of_doctor_fits() {
    let trees = trees();
    let of = |wanted: &str| &trees.iter().find(|(name, _)| name == wanted).unwrap().1;
    for fault in [
        HEALTHY,
        "small-buffers",
        "no-carrier",
        "ufw",
        "usual-settings",
        "no-cable",
    ] {
        let root = tempfile::tempdir().unwrap();
        unpack(of(HEALTHY), root.path());
        unpack(of(fault), root.path());
        for columns in WIDTHS {
            let doctor = local(&["doctor", "--root", root.path().to_str().unwrap()]);
            let (_, shown) = Terminal::of(&doctor, columns, &[]).end();
            // A command whose words are quoted is not broken.
            let lines = lines(&shown);
            let lines = lines.iter().filter(|line| !line.contains('\''));
            let shown: String = lines.map(|line| format!("{line}\n")).collect();
            fits(fault, columns, &shown);
        }
    }
}

#[test]
fn results_and_errors_fit() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file with a name", content(1 << 20));
    for columns in WIDTHS {
        let screen = |words: &[&str]| {
            let (_, shown) = Terminal::of(&tool(cable.a(), words), columns, &[]).end();
            fits(&words.join(" "), columns, &shown);
            shown
        };
        screen(&["discover", "--wait", "0.1"]);
        screen(&["push", &file]);
        screen(&["ping", "otherbox"]);
        let mut listener = Tool::start(tool(cable.b(), &["listen"]));
        listener.wait_err("listening");
        screen(&["discover"]);
        screen(&["bench", "--time", "0.1"]);
        let pinged = screen(&["ping", "-q", "-c", "100", "-i", "0"]);
        assert!(pinged.contains('█'), "{pinged}");
        drop(listener);
        let receiver = folders.receive(cable.b(), &["--force"]);
        screen(&["push", &file]);
        drop(receiver);
    }
}

#[test]
fn bars_fit() {
    for columns in WIDTHS {
        let (cable, folders) = (Cable::new(), Folders::new());
        folders.write(
            "out/d/a file with a long name, which is cut",
            content(32 << 20),
        );
        folders.write("out/d/b", "b");
        let receive = tool(cable.b(), &["receive", "--once", &folders.at("in")]);
        let receiver = Terminal::of(&receive, columns, &[]);
        receiver.wait_shown("that it listens", |shown| shown.contains("control port"));
        slow(cable.a());
        let push = tool(cable.a(), &["push", &folders.at("out/d")]);
        let pusher = Terminal::of(&push, columns, &[]);
        for end in [&pusher, &receiver] {
            end.wait_shown("a bar", |shown| shown.matches("% ").count() > 3);
        }
        fast(cable.a());
        for terminal in [pusher, receiver] {
            let (code, shown) = terminal.end();
            assert_eq!(code, 0, "{shown}");
            let plain = anstream::adapter::strip_str(&shown).to_string();
            plain
                .split(['\r', '\n'])
                .for_each(|line| fits("a bar", columns, line));
        }
    }
}

#[test]
fn ctrl_c_has_a_line_of_its_own() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let mut ping = Terminal::of(&tool(cable.a(), &["ping", "-i", "0.05"]), 80, &[]);
    ping.wait_shown("an answer", |shown| shown.contains("seq=2 time="));
    ping.interrupt();
    let (code, shown) = ping.end();
    assert_eq!(code, 0, "{shown}");
    let statistics = lines(&shown)
        .into_iter()
        .find(|line| line.contains("statistics"));
    assert!(statistics.unwrap().starts_with("---"), "{shown}");
    // One unit for the whole run.
    assert!(!shown.contains(" ms"), "{shown}");
}

/// --fix asks for each change, and anything but yes is no.
#[test]
fn doctor_asks_before_it_changes_something() {
    let cable = Cable::new();
    cable
        .a()
        .ip(&["link", "set", "thunderbolt0", "mtu", "1500"]);
    let command = common::recording::on_host(cable.a(), &["--fix"]);
    let mut doctor = Terminal::of(&command, 80, &[]);
    doctor.wait_shown("a question", |shown| shown.contains("run this? [y/N]"));
    doctor.types(b"n\nn\nn\nn\nn\nn\nn\nn\n");
    let (_, shown) = doctor.end();
    assert!(shown.contains("not changed"), "{shown}");
    let mtu = cable.a().ip(&["link", "show", "thunderbolt0"]);
    assert!(mtu.contains("mtu 1500"), "{mtu}");
}
