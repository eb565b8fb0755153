//! The map, from recordings and on hosts of the test. The output is compared with snapshots:
//! `INSTA_UPDATE=always cargo test` takes new ones.

mod common;

use std::fs;
use std::path::Path;

use common::recording::{seeing_its_own_sysfs, trees, unpack, HEALTHY};
use common::{local, run, tool, Tool};
use testkit::{Cable, Host};

/// `dcf-tb map` on a recording laid over the healthy one.
fn map(name: &str, arguments: &[&str]) -> String {
    let root = tempfile::tempdir().unwrap();
    let trees = trees();
    let healthy = trees.iter().find(|(name, _)| name == HEALTHY).unwrap();
    let file = format!("tests/maps/{name}.tree");
    let recording = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    unpack(&healthy.1, root.path());
    unpack(&recording, root.path());
    let root = root.path().to_str().unwrap();
    let ended = run(local(&[&["map", "--root", root], arguments].concat()));
    assert_eq!(ended.err, "");
    ended.with(0)
}

#[test]
fn cables_to_the_same_host_are_listed_together() {
    insta::assert_snapshot!("ring", map("ring", &[]));
    insta::assert_snapshot!("ring-json", map("ring", &["--json"]));
    insta::assert_snapshot!("ring-dot", map("ring", &["--dot"]));
    let one = map("ring", &["--interface", "thunderbolt2"]);
    assert!(one.contains("gamma") && !one.contains("beta"), "{one}");
}

#[test]
fn hosts_without_an_identifier_stay_apart_and_their_names_are_escaped() {
    insta::assert_snapshot!("hostile", map("hostile", &[]));
    insta::assert_snapshot!("hostile-dot", map("hostile", &["--dot"]));
}

fn on_host(host: &Host, arguments: &[&str]) -> std::process::Command {
    let mut command = seeing_its_own_sysfs(host, "map");
    command
        .env("DCF_TB_INTERFACE", "thunderbolt0")
        .args(arguments);
    command
}

#[test]
fn on_a_cable_it_measures_who_answers() {
    let cable = Cable::new();
    let alone = run(on_host(cable.a(), &[])).with(0);
    assert!(alone.ends_with("MTU 65520, up\n"), "{alone}");

    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let peer = cable.b().address();
    let text = run(on_host(cable.a(), &[])).with(0);
    assert!(text.contains(&format!("{peer} answers in ")), "{text}");
    let json = run(on_host(cable.a(), &["--json"])).with(0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let link = &json["peers"][0]["links"][0];
    assert_eq!(link["answers"][0]["address"], peer);
    assert!(link["answers"][0]["rtt_us"].as_f64().unwrap() > 0.0);

    cable.b().ip(&["link", "set", "thunderbolt0", "down"]);
    let down = run(on_host(cable.a(), &[])).with(0);
    assert!(down.contains("down: the link has no carrier"), "{down}");
}

#[test]
fn without_a_cable_it_says_so() {
    let host = Host::alone();
    let mut command = on_host(&host, &[]);
    command.env_remove("DCF_TB_INTERFACE");
    let ended = run(command);
    assert!(
        ended.err.contains("no interface uses the driver"),
        "{ended:?}"
    );
    ended.with(3);
}
