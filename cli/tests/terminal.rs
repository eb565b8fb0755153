//! Output on terminals only: bars and colours; and verbosity.

mod common;

use common::folders::{content, fast, slow, Folders};
use common::terminal::Terminal;
use common::{run, tool, Tool};
use testkit::Cable;

const ESCAPE: char = '\x1b';
const SIZE: usize = 32 << 20;

/// How often a bar was drawn with a percentage, a rate and the remaining time.
fn bars(shown: &str) -> usize {
    let is_bar = |part: &&str| part.contains("% ") && part.contains("b/s");
    shown.split(['\r', '\n']).filter(is_bar).count()
}

#[test]
fn a_push_and_its_receiver_show_a_bar() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", content(SIZE));
    let receiver = Terminal::start(cable.b(), &["receive", "--once", &folders.at("in")], &[]);
    receiver.wait_shown("that it listens", |shown| shown.contains("listening on"));
    slow(cable.a());
    let pusher = Terminal::start(cable.a(), &["push", &file, cable.b().address()], &[]);
    for end in [&pusher, &receiver] {
        end.wait_shown("a bar that grows", |shown| {
            bars(shown) > 2 && shown.contains('█')
        });
        assert!(end.shown().contains("file"), "{}", end.shown());
    }
    fast(cable.a());
    for (terminal, last) in [(pusher, "1 file pushed"), (receiver, "1 file received")] {
        let (code, shown) = terminal.end();
        assert_eq!(code, 0, "{shown}");
        // The bar is removed before the last line.
        let words = shown.rsplit(last).next().unwrap();
        assert!(shown.contains(last) && bars(words) == 0, "{shown}");
    }
}

#[test]
fn no_bar_with_quiet_or_into_a_pipe() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", content(SIZE));
    let _receiver = folders.receive(cable.b(), &["--force"]);
    let quiet = Terminal::start(cable.a(), &["push", "--quiet", &file], &[]);
    assert_eq!(quiet.end(), (0, String::new()));
    let piped = run(tool(cable.a(), &["push", &file]));
    assert!(
        !piped.err.contains(ESCAPE) && bars(&piped.err) == 0,
        "{}",
        piped.err
    );
    piped.with(0);
}

#[test]
fn ctrl_c_in_a_terminal_leaves_it_clean() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", content(SIZE));
    let _receiver = folders.receive(cable.b(), &[]);
    slow(cable.a());
    let mut pusher = Terminal::start(cable.a(), &["push", &file, cable.b().address()], &[]);
    pusher.wait_shown("a bar", |shown| bars(shown) > 1);
    pusher.interrupt();
    let (code, shown) = pusher.end();
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("dcf-tb:"), "{shown}");
    // No hidden cursor stays behind.
    let (hidden, back) = (shown.rfind("\x1b[?25l"), shown.rfind("\x1b[?25h"));
    assert!(hidden <= back, "{shown:?}");
    assert!(!folders.names("in").contains(&"file".to_owned()));
}

#[test]
fn bench_shows_its_current_step() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let bench = Terminal::start(cable.a(), &["bench", "--time", "0.5"], &[]);
    for step in [
        "streams: out",
        "streams: both ways",
        "round trips",
        "messages",
    ] {
        bench.wait_shown(step, |shown| shown.contains(step));
    }
    let (code, shown) = bench.end();
    assert_eq!(code, 0, "{shown}");
}

/// LANG=C has neither a micro sign nor blocks.
#[test]
fn an_ascii_terminal_gets_only_ascii() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/d/\u{fc}", content(SIZE));
    folders.write("out/d/b", "b");
    let ascii = [("LC_ALL", "C")];
    let receiver = Terminal::start(cable.b(), &["receive", "--once", &folders.at("in")], &ascii);
    receiver.wait_shown("that it listens", |shown| shown.contains("listening on"));
    let shown = |words: &[&str]| {
        let (code, shown) = Terminal::start(cable.a(), words, &ascii).end();
        assert_eq!(code, 0, "{words:?}: {shown}");
        assert!(shown.is_ascii(), "{words:?}: {shown}");
        shown
    };
    let pinged = shown(&["ping", "-c", "30", "-i", "0.001"]);
    assert!(pinged.contains(" us") && pinged.contains('#'), "{pinged}");
    shown(&["--help"]);
    slow(cable.a());
    let pusher = Terminal::start(cable.a(), &["push", &folders.at("out/d")], &ascii);
    pusher.wait_shown("a bar with an end and a count", |shown| {
        bars(shown) > 2 && shown.contains("[#") && shown.contains("/2 files")
    });
    fast(cable.a());
    for terminal in [pusher, receiver] {
        let (code, shown) = terminal.end();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }
    drop(file);
    // JSON is UTF-8 in any locale.
    let mut command = tool(
        cable.a(),
        &["doctor", "--json", "--root", &folders.at("out")],
    );
    command.env("LC_ALL", "C");
    let _: serde_json::Value = serde_json::from_str(&run(command).out).unwrap();
}

#[test]
fn colour_is_only_used_on_terminals_and_respects_no_color() {
    let cable = Cable::new();
    let wrong = ["ping", "-c", "1", "fe80::zz"];
    let coloured = |environment: &[(&str, &str)]| {
        let (code, shown) = Terminal::start(cable.a(), &wrong, environment).end();
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains("fe80::zz"), "{shown}");
        shown.contains("\x1b[")
    };
    assert!(coloured(&[]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(!coloured(&[("TERM", "dumb")]));
    assert!(!run(tool(cable.a(), &wrong)).err.contains(ESCAPE));
}

#[test]
fn verbose_prints_more() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let said = |flags: &[&str]| {
        let arguments = [&["ping", "-c", "1"], flags].concat();
        let ended = run(tool(cable.a(), &arguments));
        let lines = ended.err.lines().count() + ended.out.lines().count();
        ended.with(0);
        lines
    };
    let (quiet, normal, verbose) = (said(&["-q"]), said(&[]), said(&["-v"]));
    assert!(quiet < normal && normal < verbose && verbose <= said(&["-vv"]));
}

#[test]
fn environment_variables_work_like_options() {
    let cable = Cable::new();
    let ports = [
        ("DCF_TB_CONTROL_PORT", "6100"),
        ("DCF_TB_DATA_PORT", "6101"),
    ];
    let mut command = tool(cable.b(), &["listen"]);
    command.envs(ports);
    let mut listener = Tool::start(command);
    listener.wait_err("control port 6100, data port 6101");
    let mut ping = tool(cable.a(), &["ping", "-c", "1"]);
    ping.envs(ports);
    run(ping).with(0);
    // An option overrides the environment.
    let mut ping = tool(cable.a(), &["--control-port", "5000", "ping", "-c", "1"]);
    ping.envs(ports);
    run(ping).with(4);
    let mut wrong = tool(cable.a(), &["discover"]);
    wrong.env("DCF_TB_CONTROL_PORT", "none");
    run(wrong).with(2);
    let mut nowhere = tool(cable.a(), &["discover"]);
    nowhere.env("DCF_TB_INTERFACE", "thunderbolt7");
    run(nowhere).with(3);
}
