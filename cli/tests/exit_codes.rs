//! The documented exit codes: each event with each command that it can affect. The same event has the same code.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use common::folders::Folders;
use common::{local, run, tool, Tool};
use testkit::{Cable, Host};

/// A command, its arguments and its exit code.
type Row<'a> = (&'a [&'a str], i32);

/// Runs each command on a host, and lists those with another exit code.
#[track_caller]
fn table(event: &str, host: &Host, rows: &[Row<'_>]) {
    let mut wrong = String::new();
    for (arguments, code) in rows {
        let ended = run(tool(host, arguments));
        let is_explained = ended.code == 0 || !(ended.err.is_empty() && ended.out.is_empty());
        if ended.code != *code || !is_explained {
            wrong += &format!("{arguments:?}: {code} expected: {ended:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{event}:\n{wrong}");
}

/// Commands that contact a peer once and end soon.
fn asking<'a>(peer: &'a str, file: &'a str) -> [Vec<&'a str>; 5] {
    let named = |mut words: Vec<&'a str>| {
        words.extend((!peer.is_empty()).then_some(peer));
        words
    };
    [
        named(vec!["ping", "-c", "1", "-W", "0.2"]),
        named(vec!["bench", "--time", "0.1"]),
        named(vec!["push", "--wait", "0", file]),
        vec!["discover", "--wait", "0.2"],
        vec![
            "send",
            "text",
            if peer.is_empty() { "fe80::1" } else { peer },
        ],
    ]
}

#[test]
fn no_interface_and_no_link() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let peer = cable.b().address();
    let all = |code| {
        let with = [asking(peer, &file), asking("", &file)].concat();
        with.into_iter().map(move |words| (words, code))
    };
    // env needs an interface, but no link.
    let check = |event: &str, env: i32| {
        let mut rows: Vec<(Vec<&str>, i32)> = all(3).collect();
        rows.push((vec!["env", "nccl"], env));
        rows.push((vec!["doctor", "--quiet"], 12));
        let rows: Vec<Row> = rows
            .iter()
            .map(|(words, code)| (&words[..], *code))
            .collect();
        table(event, cable.a(), &rows);
    };
    cable.b().ip(&["link", "set", "thunderbolt0", "down"]);
    check("no carrier", 0);
    cable.b().ip(&["link", "set", "thunderbolt0", "up"]);
    cable.a().ip(&["link", "set", "thunderbolt0", "down"]);
    check("switched off", 0);
    cable.unplug();
    check("no interface", 3);
}

#[test]
fn no_peer_and_several_peers() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let peer = cable.b().address();
    let nobody = "fe80::dead%thunderbolt0";
    table(
        "nobody is there",
        cable.a(),
        &[
            (&["discover", "--wait", "0.2"], 4),
            (&["ping", "-c", "1"], 4),
            (&["bench"], 4),
            (&["push", &file], 4),
            (&["bench", peer], 4),
            (&["push", &file, peer], 4),
            (&["ping", "-c", "1", "-W", "0.2", peer], 1),
            (&["send", "text", peer], 0),
            (&["env", "nccl"], 0),
        ],
    );
    // No host has the address: the kernel reports that after some seconds.
    table(
        "nobody has the address",
        cable.a(),
        &[(&["bench", nobody], 4), (&["push", &file, nobody], 4)],
    );

    // A second address of the same host answers as a second peer.
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let several = ["ping -c 1", "bench", "push"].map(|words| {
        let mut words: Vec<&str> = words.split(' ').collect();
        if words[0] == "push" {
            words.push(&file);
        }
        words
    });
    let third = Third::join(&cable);
    let mut other = Tool::start(tool(&third.0, &["listen"]));
    other.wait_err("listening");
    let rows: Vec<Row> = several.iter().map(|words| (&words[..], 4)).collect();
    table("several answer", cable.a(), &rows);
    table(
        "several answer",
        cable.a(),
        &[(&["discover"], 0), (&["env", "nccl"], 0)],
    );
}

/// `ping` says what is missing over there, and goes on until it is there.
#[test]
fn ping_names_the_port_without_a_listener() {
    let cable = Cable::new();
    let peer = cable.b().address();
    let mut ping = Tool::start(tool(cable.a(), &["ping", "-i", "0.1", "-W", "0.5", peer]));
    ping.wait_out(&format!("nothing listens on UDP port 5000 of {peer}"));
    ping.wait_out("compare --control-port");
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    ping.wait_out("time=");
    ping.interrupt();
    ping.end().with(0);
}

/// A third host on the link: host a's interface becomes a port of a bridge with its name.
struct Third(Host);

impl Third {
    fn join(cable: &Cable) -> Self {
        let third = Host::alone();
        let a = cable.a();
        a.ip(&["link", "set", "thunderbolt0", "down"]);
        a.ip(&["link", "set", "thunderbolt0", "name", "port0"]);
        a.ip(&["link", "add", "thunderbolt0", "type", "bridge"]);
        let end = [
            "link",
            "add",
            "port1",
            "type",
            "veth",
            "peer",
            "name",
            "thunderbolt0",
            "netns",
        ];
        a.ip(&[&end[..], &[&third.path()]].concat());
        for port in ["port0", "port1"] {
            a.ip(&["link", "set", port, "master", "thunderbolt0", "up"]);
        }
        third.ip(&["link", "set", "thunderbolt0", "up"]);
        a.ip(&["link", "set", "thunderbolt0", "up"]);
        cable.wait_for_addresses();
        third.wait_for_address();
        Self(third)
    }
}

/// What a server other than dcf-tb does with a connection.
type Serve = fn(TcpStream);

#[test]
fn a_peer_that_is_not_dcf_tb() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let peer = cable.b().address();
    let others: [(&str, &str, Serve); 8] = [
        ("echo", "echoes the request", |mut stream| {
            let mut copy = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut copy, &mut stream);
        }),
        ("silent", "sent no answer within 5 s", |mut stream| {
            let _ = stream.read_to_end(&mut Vec::new());
        }),
        ("closes at once", "", drop),
        (
            "reads and closes",
            "closed the stream without an answer",
            |mut stream| {
                let _ = stream.read(&mut [0; 16]);
            },
        ),
        ("resets", "", |stream| {
            let socket = socket2::Socket::from(stream);
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }),
        ("speaks first", "sent an unknown answer", |mut stream| {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }),
        (
            "says little and waits",
            "sent an unknown answer",
            |mut stream| {
                let _ = stream.write_all(b"220");
                let _ = stream.read_to_end(&mut Vec::new());
            },
        ),
        ("another version", "speaks version 9", |mut stream| {
            let _ = stream.write_all(b"DCFTBANS\x09\x01\0\0\0\0\0\0");
            let _ = stream.read_to_end(&mut Vec::new());
        }),
    ];
    for (what, words, serve) in others {
        let listener = cable.b().run(|| TcpListener::bind("[::]:5001").unwrap());
        let server = thread::spawn(move || {
            // Two commands, one connection each.
            for _ in 0..2 {
                serve(listener.accept().unwrap().0);
            }
        });
        for arguments in [&["bench", peer][..], &["push", &file, peer]] {
            let ended = run(tool(cable.a(), arguments));
            assert!(ended.err.contains(words), "{what}: {ended:#?}");
            assert_eq!(ended.code, 4, "{what}, {arguments:?}: {ended:#?}");
            if what == "silent" {
                assert!(ended.err.contains("has not answered yet"), "{ended:#?}");
            }
        }
        server.join().unwrap();
    }
}

#[test]
fn a_peer_with_another_service() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    table("no receiver", cable.a(), &[(&["push", &file], 4)]);
    drop(listener);
    let _receiver = folders.receive(cable.b(), &[]);
    table(
        "no listener",
        cable.a(),
        &[
            (&["bench"], 4),
            (&["ping", "-c", "1"], 0),
            (&["discover"], 0),
        ],
    );
}

#[test]
fn a_listener_that_ends_in_the_middle() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let bench = Tool::start(tool(cable.a(), &["bench", "--time", "60"]));
    let traffic = || {
        let shown = cable.b().ip(&["-s", "link", "show", "thunderbolt0"]);
        let received = shown
            .lines()
            .skip_while(|line| !line.contains("RX:"))
            .nth(1);
        let received = received.and_then(|line| line.split_whitespace().next()?.parse().ok());
        received.unwrap_or(0_u64)
    };
    testkit::wait_until("the stream runs", testkit::GENEROUS, || {
        traffic() > 10 << 20
    });
    drop(listener);
    bench.end().with(4);
}

#[test]
fn a_wrong_command_line() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    table(
        "wrong words",
        cable.a(),
        &[
            (&["ping", "-c", "1", "fe80::zz"], 2),
            (&["bench", "fe80::zz"], 2),
            (&["send", "text", "fe80::zz"], 2),
            (&["send", "fe80::1", "text"], 2),
            (&["send"], 2),
            (&["send", "text", "--hex", "00", "fe80::1"], 2),
            (&["env", "--peer", "fe80::zz"], 2),
            (&["doctor", "fe80::zz"], 2),
            (&["ping", "-c", "1", "192.168.7.1"], 2),
            (&["bench", "192.168.7.1"], 2),
            (&["send", "text", "192.168.7.1"], 2),
            (&["ping", "-c", "1", "[fe80::1%thunderbolt0]:0"], 2),
            (&["push", "fe80::1%thunderbolt0"], 2),
            (&["push", &file, &file], 2),
            (&["push"], 2),
            (&["receive", "a", "b"], 2),
            (&["send", "fe80::1"], 2),
            (&["doctor", "--root", "/", "--fix"], 2),
            (&["env", "nothing"], 2),
        ],
    );
}

/// What was typed is quoted, and what may have been meant is named.
#[test]
fn a_wrong_argument_is_quoted_as_typed() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    for (words, code, said) in [
        (
            &["ping", "otherbox"][..],
            2,
            "\"otherbox\" is not a peer address",
        ),
        (
            &["push", &file, "otherbox"],
            1,
            "\"otherbox\" is neither a file here nor",
        ),
        (&["pign"], 2, "'ping'"),
        (&["bench", "--tiem", "1"], 2, "'--time'"),
        // The interface of the environment is no part of the usage.
        (&["send", "--hax"], 2, "Usage: dcf-tb send [OPTIONS] <TEXT|"),
        (
            &["push"],
            2,
            "Usage: dcf-tb push [OPTIONS] <PATH>... [PEER]",
        ),
        (&["bench", "--time"], 2, "--time <SECONDS>"),
    ] {
        let ended = run(tool(cable.a(), words));
        assert_eq!(
            (ended.code, &*ended.out),
            (code, ""),
            "{words:?}: {ended:#?}"
        );
        assert!(ended.err.contains(said), "{words:?}: {ended:#?}");
        assert!(!ended.err.contains("[otherbox]"), "{ended:#?}");
    }
    let mut auto = tool(cable.a(), &["ping"]);
    auto.env("DCF_TB_INTERFACE", "auto");
    let auto = run(auto);
    assert!(!auto.err.contains("\"auto\""), "{auto:#?}");
}

#[test]
fn a_port_in_use() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = folders.at("in");
    let rows: [Row; 2] = [(&["listen"], 1), (&["receive", &folder], 1)];
    let control = cable.a().run(|| UdpSocket::bind("[::]:5000").unwrap());
    table("the control port is taken", cable.a(), &rows);
    drop(control);
    let data = cable.a().run(|| TcpListener::bind("[::]:5001").unwrap());
    table("the data port is taken", cable.a(), &rows);
    // Clients use any port.
    let _listener = {
        let mut listener = Tool::start(tool(cable.b(), &["listen"]));
        listener.wait_err("listening");
        listener
    };
    table(
        "the data port is taken",
        cable.a(),
        &[
            (&["ping", "-c", "1"], 0),
            (&["discover"], 0),
            (&["bench", "--time", "0.05"], 0),
        ],
    );
    drop(data);
}

/// The documents, the man page and the program have the same list.
#[test]
fn the_codes_are_documented() {
    let directory = tempfile::tempdir().unwrap();
    run(local(&["man", directory.path().to_str().unwrap()])).with(0);
    let page = std::fs::read_to_string(directory.path().join("dcf-tb.1")).unwrap();
    let page: String = page.replace("\\-", "-").replace("\\*(Aq", "'");
    let document = include_str!("../../docs/DCF-TB.md");
    let section = document.split("## Exit codes").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let help = run(local(&["--help"])).with(0);
    let help: Vec<&str> = help.split_whitespace().collect();
    let help = help.join(" ");
    let mut codes = 0;
    for row in rows.filter(|row| row.starts_with(|first: char| first.is_ascii_digit())) {
        let (numbers, meaning) = row.split_once(" | ").unwrap();
        for number in numbers.split(", ") {
            let tagged = page.split(&format!("\\fB{number}\\fR\n")).nth(1);
            let meant = tagged.unwrap_or_else(|| panic!("the man page lacks {number}"));
            let meant = meant.lines().next().unwrap();
            let said = meaning.trim_end_matches(" |").replace("\\|", "|");
            assert_eq!(meant, said, "{number}");
            assert!(
                help.contains(&format!(" {number} {said}")),
                "{number}: {help}"
            );
            codes += 1;
        }
    }
    assert!(codes >= 13, "{codes}");
}
