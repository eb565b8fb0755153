//! Signals end each command with its exit code, unless they are ignored.

mod common;

use common::folders::Folders;
use common::{run, tool, Tool};
use nix::sys::signal::Signal;
use testkit::{Cable, Host};

#[test]
fn signals() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", vec![7; 64 << 20]);
    let folder = folders.at("in");
    common::folders::slow(cable.a());
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let receiver_ports = ["--control-port", "6000", "--data-port", "6001"];
    let receive = [&["receive", &folder][..], &receiver_ports].concat();
    let mut receiver = Tool::start(tool(cable.b(), &receive));
    receiver.wait_err("listening");
    let push = [&["push", "-v", &file][..], &receiver_ports].concat();
    let bench = ["bench", "-v", "--time", "60"];
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // Interrupted in the middle of its task.
        for arguments in [&push[..], &bench, &["discover", "--wait", "60"]] {
            let mut tool = Tool::start(tool(cable.a(), arguments));
            match arguments[0] {
                "discover" => {
                    testkit::wait_until("it runs", testkit::GENEROUS, || blocks_signals(tool.id()))
                }
                _ => tool.wait_err("found fe80::"),
            }
            tool.signal(signal);
            let ended = tool.end();
            assert_eq!(ended.code, 130, "{arguments:?}, {signal}: {ended:#?}");
        }
        // Servers: a service manager stops them with SIGTERM.
        let stopped = match signal {
            Signal::SIGTERM => 0,
            _ => 130,
        };
        let ports = ["--control-port", "6100", "--data-port", "6101"];
        for words in [&["listen"][..], &["receive", &folder]] {
            let mut server = Tool::start(tool(cable.b(), &[words, &ports].concat()));
            server.wait_err("listening");
            server.signal(signal);
            assert_eq!(server.end().code, stopped, "{words:?}, {signal}");
        }
        // A command that runs until it is stopped has completed its task.
        let mut ping = Tool::start(tool(cable.a(), &["ping", "-i", "0.02"]));
        ping.wait_out("seq=2");
        ping.signal(signal);
        ping.end().with(0);
        let mut watch = Tool::start(tool(cable.a(), &["discover", "--watch", "--wait", "0.1"]));
        watch.wait_out("fe80::");
        watch.signal(signal);
        watch.end().with(0);
    }
}

/// nohup(1) and a shell's `&` start programs that ignore signals.
#[test]
fn a_signal_that_is_ignored_at_the_start_stays_ignored() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = folders.at("in");
    for (name, signal, words) in [
        ("HUP", Signal::SIGHUP, &["receive", &folder][..]),
        ("HUP", Signal::SIGHUP, &["listen"]),
        ("INT", Signal::SIGINT, &["listen"]),
        ("TERM", Signal::SIGTERM, &["listen"]),
    ] {
        let mut server = Tool::start(shell(
            cable.b(),
            &format!("trap '' {name}; exec \"$@\""),
            words,
        ));
        server.wait_err("listening");
        server.signal(signal);
        // It still answers after it got the signal.
        run(tool(cable.a(), &["ping", "-c", "1"])).with(0);
        let other = match signal {
            Signal::SIGTERM => Signal::SIGINT,
            _ => Signal::SIGTERM,
        };
        server.signal(other);
        let stopped = if other == Signal::SIGTERM { 0 } else { 130 };
        assert_eq!(server.end().code, stopped, "{words:?}, {name}");
    }
}

/// `dcf-tb` that a shell starts by a script.
fn shell(host: &Host, script: &str, words: &[&str]) -> std::process::Command {
    let mut shell = host.command("sh");
    common::plain(&mut shell).env("DCF_TB_INTERFACE", "thunderbolt0");
    shell.args(["-c", script, "sh", common::TOOL]).args(words);
    shell
}

/// Whether a program handles signals yet: before that, they kill it.
fn blocks_signals(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let blocked = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGTERM is 15.
    blocked.is_some_and(|mask| mask & 1 << 14 != 0)
}
