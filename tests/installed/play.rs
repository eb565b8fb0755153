//! Runs the examples as intended: one on each of two hosts.

use std::fs;

use testkit::{Cable, Host, Temporary};

use crate::programs::Programs;
use crate::tree::{examples, Tree};

/// Runs every example that was built. A new example must be added here.
pub fn all(programs: &Programs, tree: &Tree) {
    let cable = Cable::new();
    for name in examples().iter().filter(|name| programs.has(name)) {
        println!("{name}");
        match name.as_str() {
            "message_send" | "ping" | "discover" | "stats" => against_echo(programs, &cable, name),
            "pull_loop" => pull_loop(programs, &cable),
            "stream_file_send" => file(programs, &cable),
            "gradient_exchange" => gradients(programs, cable.a(), cable.b(), "20000", "12"),
            "dlopen_host" | "dcf_plugin_host" => loading(programs, tree, name),
            "message_echo" | "stream_file_receive" => {} // run with the sender
            other => panic!("add {other} to this list"),
        }
    }
}

fn against_echo(programs: &Programs, cable: &Cable, name: &str) {
    let peer = cable.b().address();
    let (arguments, says): (&[&str], &str) = match name {
        "message_send" => (
            &[peer, "500", "1000"],
            "echoed   500 messages, 0 wrong, 0 missing",
        ),
        "ping" => (&[peer, "50", "0"], "50 answered"),
        // An answer may be late on a busy machine.
        "discover" => (&["3000"], peer),
        _ => (&[peer], "pongs_received"),
    };
    let mut echo = programs.start(cable.b(), "message_echo", &[]);
    echo.until("echoing on thunderbolt0, control port 5000");
    let printed = programs.start(cable.a(), name, arguments).finish();
    assert!(printed.contains(says), "{printed}");
    echo.terminate();
    let printed = echo.finish();
    assert!(
        printed.contains("dropped  0 by the library, 0 by the kernel"),
        "{printed}"
    );
}

fn pull_loop(programs: &Programs, cable: &Cable) {
    let mut echo = programs.start(cable.b(), "message_echo", &[]);
    echo.until("echoing");
    let mut pulling = programs.start(cable.a(), "pull_loop", &[cable.b().address()]);
    pulling.answer("typed");
    pulling.until(&format!("{}: typed", cable.b().address()));
    pulling.finish();
    echo.terminate();
    echo.finish();
}

fn file(programs: &Programs, cable: &Cable) {
    let content: Vec<u8> = (0..3_000_001_u32)
        .map(|i| (i * 7 + (i >> 11)) as u8)
        .collect();
    let sent = Temporary::new(&content);
    let arrived = Temporary::new(b"");
    let path = |file: &Temporary| file.0.to_str().expect("UTF-8").to_owned();
    let mut receiver = programs.start(cable.b(), "stream_file_receive", &[&path(&arrived)]);
    receiver.until("on thunderbolt0");
    let peer = cable.b().address();
    let sender = programs.start(cable.a(), "stream_file_send", &[peer, &path(&sent)]);
    let printed = sender.finish();
    assert!(
        printed.contains("sent 3000001 bytes, 3000001 arrived"),
        "{printed}"
    );
    receiver.finish();
    assert!(fs::read(&arrived.0).expect("it is there") == content);
}

/// Checks that both workers compute the same parameters. The workers check that those are right.
pub fn gradients(programs: &Programs, a: &Host, b: &Host, parameters: &str, steps: &str) {
    let work = |host: &Host, worker: &str, peer: &Host| {
        let arguments = [worker, peer.address(), parameters, steps];
        programs.start(host, "gradient_exchange", &arguments)
    };
    let workers = [work(a, "0", b), work(b, "1", a)];
    let checksums = workers.map(|worker| {
        let printed = worker.finish();
        let line = printed.lines().find(|line| line.starts_with("checksum"));
        line.unwrap_or_else(|| panic!("no result:\n{printed}"))
            .to_owned()
    });
    assert_eq!(checksums[0], checksums[1]);
}

fn loading(programs: &Programs, tree: &Tree, name: &str) {
    let host = Host::alone();
    let library = tree.libraries().join("libdcf_thunderbolt.so.1");
    let library = library.to_str().expect("UTF-8");
    let arguments: &[&str] = match name {
        "dlopen_host" => &[library, "lo", "::1"],
        _ => &[library, "lo", "5000", "::1", "1"],
    };
    let printed = programs.start(&host, name, arguments).finish();
    assert!(!printed.is_empty());
}
