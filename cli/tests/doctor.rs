//! doctor on recorded trees: a healthy one, and one for each fault. Snapshots of what it says:
//! `INSTA_UPDATE=always cargo test` takes new ones.

mod common;

use std::os::unix::fs::symlink;

use common::recording::{doctor, line, on_host, trees, HEALTHY};
use common::{local, run, tool, Ended, Tool};
use testkit::Cable;

#[test]
fn each_fault_is_found_and_nothing_else() {
    let trees = trees();
    let of = |wanted: &str| {
        let found = trees.iter().find(|(name, _)| name == wanted);
        found.map(|(_, recording)| recording.as_str()).unwrap()
    };
    let healthy = doctor(&[of(HEALTHY)], &[]);
    insta::assert_snapshot!(HEALTHY, report(&healthy));
    let usual: Vec<&str> = healthy.out.lines().collect();
    for (name, recording) in trees.iter().filter(|(name, _)| name != HEALTHY) {
        let ended = doctor(&[of(HEALTHY), recording], &[]);
        // What differs from the healthy one is what the recording is about.
        let others = ended.out.lines().filter(|line| !usual.contains(line));
        let others = others.map(|line| format!("{line}\n")).collect();
        insta::assert_snapshot!(
            name.as_str(),
            report(&Ended {
                out: others,
                ..ended
            })
        );
    }
}

fn report(ended: &Ended) -> String {
    assert_eq!(ended.err, "");
    format!("{}exit code {}", ended.out, ended.code)
}

#[test]
fn verdicts_are_exit_codes_and_json() {
    let trees = trees();
    let of = |wanted: &str| &trees.iter().find(|(name, _)| name == wanted).unwrap().1;
    for (fault, code, verdict) in [
        ("usual-settings", 0, "note"),
        ("firewall-unreadable", 10, "unknown"),
        ("one-lane", 11, "warning"),
        ("no-carrier", 12, "problem"),
    ] {
        let ended = doctor(&[of(HEALTHY), of(fault)], &["--json"]);
        let json: serde_json::Value = serde_json::from_str(&ended.with(code)).unwrap();
        assert_eq!(json["verdict"], verdict, "{fault}");
        assert_eq!(json["interface"], "thunderbolt0");
        assert!(json["findings"].as_array().unwrap().len() > 15);
    }
    let quiet = doctor(&[of(HEALTHY), of("switched-off")], &["--quiet"]);
    assert!(
        quiet.out.lines().next().unwrap().starts_with("PROBLEM"),
        "{quiet:?}"
    );
    let other = doctor(&[of(HEALTHY)], &["--interface", "thunderbolt9"]);
    assert!(other
        .out
        .contains("there is no thunderbolt9; this host has eth0, lo, thunderbolt0"));
    other.with(12);
}

#[test]
fn a_recording_cannot_be_mended() {
    let wrong = run(local(&["doctor", "--root", "/nowhere", "--fix"]));
    assert!(wrong.err.contains("cannot be used with"), "{}", wrong.err);
    wrong.with(2);
}

#[test]
fn on_a_cable_it_compares_the_mtu_with_the_peers() {
    let cable = Cable::new();
    let alone = run(on_host(cable.a(), &[])).out;
    assert!(line(&alone, "up").starts_with("good"), "{alone}");
    assert!(line(&alone, "carrier").starts_with("good"), "{alone}");
    assert!(line(&alone, "address").starts_with("good"), "{alone}");
    assert!(line(&alone, "peer").starts_with("note"), "{alone}");

    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let same = run(on_host(cable.a(), &[])).out;
    assert!(line(&same, "peer").starts_with("good"), "{same}");
    cable
        .b()
        .ip(&["link", "set", "thunderbolt0", "mtu", "9000"]);
    let smaller = run(on_host(cable.a(), &[cable.b().address()]));
    assert!(
        line(&smaller.out, "peer").starts_with("PROBLEM"),
        "{}",
        smaller.out
    );
    assert!(
        line(&smaller.out, "peer").contains("its MTU is about 9000"),
        "{}",
        smaller.out
    );
    smaller.with(12);
}

#[test]
fn it_mends_what_it_shows() {
    let cable = Cable::new();
    cable.a().ip(&["link", "add", "br0", "type", "bridge"]);
    cable.a().ip(&[
        "link",
        "set",
        "thunderbolt0",
        "master",
        "br0",
        "mtu",
        "1500",
    ]);
    let found = run(on_host(cable.a(), &[])).out;
    assert!(line(&found, "bridge").starts_with("PROBLEM"), "{found}");
    assert!(line(&found, "mtu").starts_with("warning"), "{found}");
    assert!(
        found.contains("sudo ip link set dev thunderbolt0 nomaster"),
        "{found}"
    );
    assert_eq!(
        cable
            .a()
            .ip(&["link", "show", "master", "br0"])
            .lines()
            .count(),
        2,
        "nothing is changed unasked"
    );

    let stand_ins = stand_ins();
    let path = format!(
        "{}:{}",
        stand_ins.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = on_host(cable.a(), &["--fix"]);
    command.env("PATH", path);
    let fixed = run(command);
    assert!(
        fixed
            .out
            .contains("# ip link set dev thunderbolt0 nomaster\n"),
        "{}",
        fixed.out
    );
    let again = run(on_host(cable.a(), &[])).out;
    assert!(line(&again, "bridge").starts_with("good"), "{again}");
    assert!(line(&again, "mtu").starts_with("good"), "{again}");
}

/// Stand-ins that do nothing, for what would change the whole machine.
fn stand_ins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "sysctl",
        "cpupower",
        "modprobe",
        "ethtool",
        "nft",
        "ufw",
        "firewall-cmd",
        "nmcli",
    ] {
        symlink("/bin/true", folder.path().join(name)).unwrap();
    }
    folder
}
