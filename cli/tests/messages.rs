//! discover, ping, listen and send between two hosts.

mod common;

use std::fs;
use std::net::UdpSocket;

use common::{run, tool, Tool};
use testkit::{Cable, Host};

/// Starts `dcf-tb listen` on a host, and waits until it listens.
fn listen(host: &Host, arguments: &[&str]) -> Tool {
    let mut tool = Tool::start(tool(host, &[&["listen"], arguments].concat()));
    tool.wait_err("listening on thunderbolt0");
    tool
}

#[test]
fn discover_prints_one_address_per_line() {
    let cable = Cable::new();
    let nobody = run(tool(cable.a(), &["discover", "--wait", "0.2"]));
    assert!(nobody.err.contains("no peer answered on thunderbolt0"));
    assert_eq!(nobody.with(4), "");

    let _listener = listen(cable.b(), &[]);
    let found = run(tool(cable.a(), &["discover"]));
    assert_eq!(found.err, "");
    assert_eq!(found.with(0), format!("{}\n", cable.b().address()));

    let json = run(tool(cable.a(), &["discover", "--json"])).with(0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["address"], cable.b().address());
    assert!(json[0]["rtt_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn discover_reports_peers_that_appear_and_vanish() {
    let cable = Cable::new();
    let mut watch = Tool::start(tool(cable.a(), &["discover", "--watch", "--wait", "0.2"]));
    let listener = listen(cable.b(), &[]);
    watch.wait_out(cable.b().address());
    listener.interrupt();
    listener.end().with(130);
    watch.wait_err("is gone");
    cable.unplug();
    watch.wait_err("the link is down");
    cable.plug();
    let _listener = listen(cable.b(), &[]);
    let twice = format!("{0}\n{0}\n", cable.b().address());
    watch.wait_out(&twice);
    watch.interrupt();
    assert_eq!(watch.end().with(0), twice);
}

#[test]
fn clients_work_while_another_program_has_the_ports() {
    let cable = Cable::new();
    let holder = cable.a().run(|| UdpSocket::bind("[::]:5000").unwrap());
    let listener = listen(cable.b(), &[]);
    run(tool(cable.a(), &["ping", "--count", "1"])).with(0);
    drop(holder);
    let taken = run(tool(cable.b(), &["listen"]));
    let holder = format!("held by dcf-tb (process {})", listener.id());
    assert!(taken.err.contains(&holder), "{}", taken.err);
    assert!(taken.err.contains("UDP control port 5000"), "{}", taken.err);
    assert!(taken.err.contains("--control-port"), "{}", taken.err);
    taken.with(1);
}

#[test]
fn ping_prints_each_answer_and_a_summary() {
    let cable = Cable::new();
    let _listener = listen(cable.b(), &[]);
    let arguments = ["ping", "-c", "20", "-i", "0.01", cable.b().address()];
    let out = run(tool(cable.a(), &arguments)).with(0);
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with(&format!(
        "16 bytes from {}: seq=1 time=",
        cable.b().address()
    )));
    assert!(lines[19].contains("seq=20"));
    assert!(lines[21].starts_with("20 sent, 20 answered, 0.000% lost"));
    assert!(lines[22].starts_with("rtt min/avg/max/mdev = "));
    assert!(lines[23].starts_with("rtt p50/p90/p99/p99.9 = "));
    assert!(lines[24..].iter().any(|line| line.contains('█')), "{out}");
}

#[test]
fn ping_prints_json() {
    let cable = Cable::new();
    let _listener = listen(cable.b(), &[]);
    let out = run(tool(cable.a(), &["ping", "-c", "50", "-i", "0", "--json"])).with(0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["sent"], &json["received"]), (&50.into(), &50.into()));
    assert!(json["rtt"]["p50_us"].as_f64() <= json["rtt"]["p99_us"].as_f64());
    let bins = json["histogram"].as_array().unwrap();
    let total: u64 = bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum();
    assert_eq!(total, 50);
}

#[test]
fn unmeasured_values_are_null_in_json() {
    let cable = Cable::new();
    let arguments = [
        "ping",
        "-c",
        "1",
        "-W",
        "0.1",
        "--json",
        cable.b().address(),
    ];
    let out = run(tool(cable.a(), &arguments)).with(1);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["sent"], &json["received"]), (&1.into(), &0.into()));
    let rtt = json["rtt"].as_object().unwrap();
    assert_eq!(rtt["count"], 0);
    let numbers = rtt.iter().filter(|(name, _)| *name != "count");
    assert_eq!(numbers.clone().count(), 8);
    numbers.for_each(|(name, value)| assert!(value.is_null(), "{name} {value}"));
    let text = run(tool(
        cable.a(),
        &["ping", "-c", "1", "-W", "0.1", cable.b().address()],
    ));
    assert!(!text.out.contains("rtt"), "{}", text.out);

    let nobody = run(tool(cable.a(), &["discover", "--json", "--wait", "0.2"])).with(4);
    assert_eq!(nobody, "[]\n");
}

#[test]
fn ping_reports_the_fault() {
    let cable = Cable::new();
    let silent = run(tool(
        cable.a(),
        &[
            "ping",
            "-c",
            "2",
            "-i",
            "0",
            "-W",
            "0.1",
            cable.b().address(),
        ],
    ));
    assert!(silent.out.contains("2 sent, 0 answered, 100.000% lost"));
    silent.with(1);
    let wrong = run(tool(cable.a(), &["ping", "-c", "1", "fe80::zz"]));
    assert!(wrong.err.contains("fe80::zz"), "{}", wrong.err);
    wrong.with(2);
    cable.unplug();
    let absent = run(tool(cable.a(), &["ping", "-c", "1", cable.b().address()]));
    assert!(
        absent.err.contains("\"thunderbolt0\" not found"),
        "{}",
        absent.err
    );
    absent.with(3);
}

#[test]
fn ping_runs_until_it_is_interrupted() {
    let cable = Cable::new();
    let _listener = listen(cable.b(), &[]);
    let mut ping = Tool::start(tool(cable.a(), &["ping", "-i", "0.02"]));
    ping.wait_out("seq=3");
    ping.interrupt();
    let ended = ping.end();
    assert!(ended.out.contains("0.000% lost"), "{ended:?}");
    ended.with(0);
}

#[test]
fn messages_are_printed_with_control_characters_escaped() {
    let cable = Cable::new();
    let mut listener = listen(cable.b(), &["--json", "--count", "3"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), vec![7; 65_507]).unwrap();
    let path = file.path().to_str().unwrap();
    let to = cable.b().address();
    run(tool(cable.a(), &["send", "Grüße", to])).with(0);
    listener.wait_out("Grüße");
    run(tool(cable.a(), &["send", "--hex", "1b 5b 32 4a"])).with(0);
    listener.wait_out("1b5b324a");
    run(tool(cable.a(), &["send", "--file", path, to])).with(0);
    let out = listener.end().with(0);
    let sizes: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["size"].clone())
        .collect();
    assert_eq!(sizes, [7, 4, 65_507]);

    let mut listener = listen(cable.b(), &["--count", "1"]);
    run(tool(cable.a(), &["send", to, "--hex", "1b5b324a"])).with(0);
    listener.wait_out("\\u{1b}[2J");
    listener.end().with(0);
}

#[test]
fn send_refuses_large_input_and_suggests_push() {
    let cable = Cable::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), vec![7; 65_508]).unwrap();
    let path = file.path().to_str().unwrap();
    let large = run(tool(
        cable.a(),
        &["send", cable.b().address(), "--file", path],
    ));
    assert!(large.err.contains("dcf-tb push"), "{}", large.err);
    large.with(1);
    run(tool(cable.a(), &["send", cable.b().address()])).with(2);
}
