//! doctor on recordings: a healthy one, and one for each fault. The output is compared with snapshots;
//! `INSTA_UPDATE=always cargo test` writes new ones.

mod common;

use std::os::unix::fs::symlink;

use common::recording::{doctor, line, on_host, trees, HEALTHY};
use common::{local, run, tool, Ended, Tool};
use testkit::{wait_until, Cable, GENEROUS};

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
        // Only the lines that differ from the healthy recording are of interest.
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
        .contains("no interface thunderbolt9; this host has eth0, lo, thunderbolt0"));
    other.with(12);
}

#[test]
fn fix_refuses_to_change_a_recording() {
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
fn fix_repairs_the_reported_faults() {
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
    let mut asks = on_host(cable.a(), &["--fix"]);
    asks.env("PATH", &path);
    let asks = run(asks);
    assert!(asks.err.contains("--fix --yes"), "{asks:?}");
    asks.with(2);
    let mut command = on_host(cable.a(), &["--fix", "--yes"]);
    command.env("PATH", path);
    let fixed = run(command);
    for line in [
        "    ip link set dev thunderbolt0 nomaster\n",
        "\nfixed: bridge: it is not part of a bridge or bond\n",
        "\nfixed: mtu: 65520 on this host\n",
    ] {
        assert!(fixed.out.contains(line), "{line}: {}", fixed.out);
    }
    // A stand-in for sysctl ends with 0 and changes nothing.
    for line in ["NOT fixed: ", "no effect"] {
        let said = format!("{}{}", fixed.out, fixed.err);
        let has_faults = found.contains("sudo sysctl") && fixed.code != 0;
        assert!(said.contains(line) == has_faults, "{line}: {fixed:#?}");
    }
    let again = run(on_host(cable.a(), &[])).out;
    assert!(line(&again, "bridge").starts_with("good"), "{again}");
    assert!(line(&again, "mtu").starts_with("good"), "{again}");
}

/// Creates each fault of a host, and fixes it by the commands of the report, exactly as it prints them.
#[test]
fn each_printed_command_repairs_its_fault() {
    let cable = Cable::new();
    let host = cable.a();
    let interface = "thunderbolt0";
    let sysctl = |setting: &str| {
        let output = host.command("sysctl").args(["-w", setting]).output();
        assert!(output.unwrap().status.success(), "{setting}");
    };
    let link =
        |words: &[&str]| drop(host.ip(&[&["link", "set", "dev", interface], words].concat()));
    let conf = |setting: &str| sysctl(&format!("net.ipv6.conf.{interface}.{setting}"));
    let faults: [(&str, &str, &dyn Fn()); 8] = [
        ("mtu", "warning", &|| link(&["mtu", "1500"])),
        ("up", "PROBLEM", &|| link(&["down"])),
        ("address", "PROBLEM", &|| conf("disable_ipv6=1")),
        ("address", "PROBLEM", &|| {
            drop(host.ip(&["address", "flush", "dev", interface]));
        }),
        ("address", "PROBLEM", &|| {
            conf("addr_gen_mode=1");
            link(&["down"]);
            link(&["up"]);
        }),
        ("bridge", "PROBLEM", &|| {
            host.ip(&["link", "add", "br1", "type", "bridge"]);
            link(&["master", "br1"]);
        }),
        ("slow start", "note", &|| {
            sysctl("net.ipv4.tcp_slow_start_after_idle=1")
        }),
        ("tcp buffers", "warning", &|| {
            sysctl("net.ipv4.tcp_rmem=4096 100000 1000000");
            sysctl("net.ipv4.tcp_wmem=4096 16384 1000000");
        }),
    ];
    for (check, verdict, break_it) in faults {
        break_it();
        let found = run(on_host(host, &[])).out;
        assert!(line(&found, check).starts_with(verdict), "{check}: {found}");
        let after = found.split(line(&found, check)).nth(1).unwrap();
        let more = after
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("    "));
        let fixes: Vec<&str> = more
            .filter_map(|line| line.trim().strip_prefix("sudo "))
            .collect();
        assert!(!fixes.is_empty(), "{check}: {found}");
        for fix in fixes {
            // Run by a shell, as a person would paste it.
            let output = host.command("sh").args(["-c", fix]).output().unwrap();
            assert!(output.status.success(), "{fix}: {output:?}");
        }
        wait_until(&format!("{check} is mended"), GENEROUS, || {
            let again = run(on_host(host, &[])).out;
            line(&again, check).starts_with("good")
        });
    }
    let values = host
        .command("sysctl")
        .args(["-n", "net.ipv4.tcp_rmem"])
        .output()
        .unwrap();
    let values = String::from_utf8_lossy(&values.stdout).into_owned();
    assert!(
        values.starts_with("4096\t100000\t"),
        "the others stay: {values}"
    );
}

#[test]
fn an_interface_with_a_dot_in_its_name_is_repaired_too() {
    let cable = Cable::new();
    let name = "tb.7";
    cable
        .a()
        .ip(&["link", "set", "dev", "thunderbolt0", "down"]);
    cable
        .a()
        .ip(&["link", "set", "dev", "thunderbolt0", "name", name]);
    cable.a().ip(&["link", "set", "dev", name, "up"]);
    let output = cable
        .a()
        .command("sysctl")
        .args(["-w", "net/ipv6/conf/tb.7/disable_ipv6=1"])
        .output();
    assert!(output.unwrap().status.success());
    let found = run(on_host(cable.a(), &["--interface", name])).out;
    let fix = "sysctl -w net/ipv6/conf/tb.7/disable_ipv6=0";
    assert!(found.contains(fix), "{found}");
    let output = cable.a().command("sh").args(["-c", fix]).output();
    assert!(output.unwrap().status.success());
    wait_until("it has an address", GENEROUS, || {
        let again = run(on_host(cable.a(), &["--interface", name])).out;
        line(&again, "address").starts_with("good")
    });
}

#[test]
fn a_sys_of_another_namespace_gives_no_verdict() {
    let cable = Cable::new();
    // Without its own mount, it sees the interfaces of this test's network namespace.
    let said = run(tool(cable.a(), &["doctor"])).out;
    let found = line(&said, "interface");
    assert!(
        found.starts_with("unknown") && found.contains("another network namespace"),
        "{said}"
    );
    assert!(!said.contains("mtu"), "{said}");
}

#[test]
fn a_program_that_hangs_is_not_waited_for() {
    let cable = Cable::new();
    let folder = tempfile::tempdir().unwrap();
    for name in ["nft", "ip"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "#!/bin/sh\nprintf '\\033[2J' >&2\nexec sleep 100\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = on_host(cable.a(), &[]);
    command.env("PATH", &path);
    // The program has its own limit; the test's limit is the general one.
    let mut tool = Tool::start(command);
    tool.wait_out("firewall");
    let said = tool.end();
    let found = line(&said.out, "firewall");
    assert!(
        found.starts_with("unknown") && found.contains("no end within 10 s"),
        "{said:?}"
    );
    assert!(
        !said.out.contains('\x1b') && !said.err.contains('\x1b'),
        "{said:?}"
    );

    // A signal ends it at once, whatever it waits for.
    let mut command = on_host(cable.a(), &[]);
    command.env("PATH", &path);
    let tool = Tool::start(command);
    wait_until("it asks", GENEROUS, || {
        children(tool.id()).contains(&"sleep".to_owned())
    });
    tool.interrupt();
    assert_eq!(tool.end().code, -1, "by the signal itself");
}

/// The names of a process's children.
fn children(process: u32) -> Vec<String> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let name = |child: &str| std::fs::read_to_string(format!("/proc/{child}/comm")).ok();
    let names = children.split_whitespace().filter_map(name);
    names.map(|name| name.trim().to_owned()).collect()
}

/// Fake programs without effect, in place of those that would change the whole machine.
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
