//! doctor on rule sets: recorded ones in both formats of nft, and rules in a host's kernel, where its verdict is
//! compared with the packets that arrive.
//!
//! `rulesets/NAME.nft` starts with the correct verdicts; `NAME.json` is the output of nft 1.0.6 for it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::recording::{doctor, line, on_host, trees, HEALTHY};
use common::{run, tool, Tool};
use testkit::{wait_until, Cable, GENEROUS};

struct Rules {
    name: String,
    path: PathBuf,
    right: Vec<String>,
    text: String,
    json: String,
}

fn rulesets() -> Vec<Rules> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rulesets");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().unwrap() == "nft")
        .collect();
    paths.sort();
    assert!(paths.len() > 30);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let (right, text) = text.split_once('\n').unwrap();
        let right = right.trim_start_matches("# ").split(' ');
        Rules {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            right: right.map(str::to_owned).collect(),
            text: text.to_owned(),
            json: fs::read_to_string(path.with_extension("json")).unwrap(),
            path,
        }
    };
    paths.into_iter().map(read).collect()
}

fn verdict(report: &str) -> &str {
    line(report, "firewall").split_whitespace().next().unwrap()
}

/// A line of a recording.
fn recorded(path: &str, content: &str) -> String {
    let content = content.replace('\n', "\\n").replace('\t', "\\t");
    format!("{path} = {content}")
}

#[test]
fn recorded_rules_get_the_right_verdicts() {
    let trees = trees();
    let healthy = &trees.iter().find(|(name, _)| name == HEALTHY).unwrap().1;
    for rules in rulesets() {
        let name = &rules.name;
        let json = recorded("commands/nft--j-list-ruleset", &rules.json);
        let text = recorded("commands/nft-list-ruleset", &rules.text);
        let said = doctor(&[healthy, &json], &[]).out;
        let of_json = verdict(&said).to_owned();
        assert!(rules.right.contains(&of_json), "{name}: {said}");
        // The text format gives the same verdict, or *unknown*.
        let said = doctor(&[healthy, &text], &[]).out;
        let of_text = verdict(&said);
        assert!(
            of_text == "unknown" || rules.right.iter().any(|right| right == of_text),
            "{name}: {said}"
        );
        // With another port and interface name: no verdict depends on the name thunderbolt0.
        let renamed = json.replace("thunder", "wonder");
        let said = doctor(&[healthy, &renamed], &[]).out;
        let names_it = rules.text.contains("thunder");
        assert!(names_it || verdict(&said) == of_json, "{name}: {said}");
        if said.contains("sudo nft") {
            assert!(said.contains("thunderbolt0 accept"), "{name}: {said}");
        }
    }
}

#[test]
fn tables_of_iptables_are_read_from_its_own_programs() {
    let trees = trees();
    let healthy = &trees.iter().find(|(name, _)| name == HEALTHY).unwrap().1;
    let xt = r#"{"nftables": [{"chain": {"family": "ip6", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}, {"rule": {"family": "ip6", "table": "filter", "chain": "INPUT", "expr": [{"xt": {"type": "match", "name": "conntrack"}}, {"accept": null}]}}]}"#;
    let xt = recorded("commands/nft--j-list-ruleset", xt);
    let said = doctor(&[healthy, &xt], &[]).out;
    assert_eq!(verdict(&said), "unknown", "{said}");
    let begin = "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw6-user-input - [0:0]\n:ufw6-user-limit - [0:0]\n\
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
        -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT\n\
        -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m comment --comment \"a -j DROP\" -j ACCEPT\n\
        -A INPUT -j ufw6-user-input\n";
    for (rules, right) in [
        ("", "PROBLEM"),
        ("-A ufw6-user-input -i thunderbolt0 -j ACCEPT\n", "good"),
        ("-A INPUT -i thunder+ -j ACCEPT\n", "good"),
        ("-I x\n-A INPUT -p icmpv6 -j ACCEPT\n-A ufw6-user-input -i thunderbolt0 -j ACCEPT\n", "good"),
        ("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT ! -i lo -p udp -m multiport --dports 53,5000:5005 -j DROP\n-A INPUT -j ACCEPT\n", "PROBLEM"),
        ("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -i eth0 -j DROP\n-A INPUT -s fe80::/10 -j ACCEPT\n", "good"),
        ("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 5001 -j ACCEPT\n-A INPUT -p udp -m udp --dport 5000 -j ACCEPT\n", "warning"),
        ("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -m recent --update --seconds 30 -j DROP\n-A INPUT -j ACCEPT\n", "unknown"),
        ("-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -i thunderbolt0 -j NFQUEUE --queue-num 1\n-A INPUT -j ACCEPT\n", "unknown"),
    ] {
        let save = recorded("commands/ip6tables-save", &format!("{begin}{rules}COMMIT"));
        let said = doctor(&[healthy, &xt, &save], &[]).out;
        assert_eq!(verdict(&said), right, "{rules} {said}");
        let legacy = recorded("commands/ip6tables-legacy-save", &format!("{begin}{rules}COMMIT"));
        let names = "proc/net/ip6_tables_names = filter";
        let said = doctor(&[healthy, names, &legacy], &[]).out;
        assert_eq!(verdict(&said), right, "{rules} {said}");
    }
}

#[test]
fn impossible_rules_do_not_loop_forever() {
    let trees = trees();
    let healthy = &trees.iter().find(|(name, _)| name == HEALTHY).unwrap().1;
    let chain = |name: &str, hook: Option<&str>| serde_json::json!({"chain": {"family": "inet", "table": "t", "name": name, "hook": hook, "policy": "accept"}});
    let jump = |from: &str, to: &str| serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": from, "expr": [{"jump": {"target": to}}]}});
    let mut all = vec![
        chain("base", Some("input")),
        jump("base", "c0"),
        jump("base", "nowhere"),
    ];
    for number in 0..40 {
        all.push(chain(&format!("c{number}"), None));
        // Each chain jumps to all others, so there are too many paths to try.
        all.extend((0..40).map(|to| jump(&format!("c{number}"), &format!("c{to}"))));
    }
    let rules = serde_json::json!({"nftables": all}).to_string();
    let said = doctor(
        &[healthy, &recorded("commands/nft--j-list-ruleset", &rules)],
        &[],
    )
    .out;
    assert_eq!(verdict(&said), "unknown", "{said}");
    for broken in [
        "error",
        "table inet t { chain c { type filter hook input priority 0; policy drop; } }",
        "table inet t {\n\tchain c { type filter hook input priority 0; policy drop; }\n}",
    ] {
        let said = doctor(
            &[healthy, &recorded("commands/nft-list-ruleset", broken)],
            &[],
        )
        .out;
        assert_eq!(verdict(&said), "unknown", "{broken}: {said}");
    }
    for broken in [
        "",
        "{}",
        "[]",
        "{\"nftables\": [{\"rule\": {}}]}",
        "{\"nftables\": [{\"chain\": {\"family\": \"inet\"}}]}",
        "{\"nftables\": [{\"chain\": {\"family\": \"inet\", \"table\": \"t\", \"name\": \"c\", \"hook\": \"input\"}}, \
          {\"rule\": {\"family\": \"inet\", \"table\": \"t\", \"chain\": \"c\", \"expr\": [{\"new\": 1}]}}]}",
        "{\"nftables\": [{\"chain\": {\"family\": \"inet\", \"table\": \"t\", \"name\": \"c\", \"hook\": \"input\"}}, \
          {\"rule\": {\"family\": \"inet\", \"table\": \"t\", \"chain\": \"c\"}}]}",
    ] {
        let said = doctor(&[healthy, &recorded("commands/nft--j-list-ruleset", broken)], &[]).out;
        assert_eq!(verdict(&said), "unknown", "{broken}: {said}");
    }
}

#[test]
fn without_an_interface_there_is_no_verdict() {
    let trees = trees();
    let of = |wanted: &str| &trees.iter().find(|(name, _)| name == wanted).unwrap().1;
    let rules = rulesets();
    let json = |name: &str| {
        let rules = rules.iter().find(|rules| rules.name == name).unwrap();
        recorded("commands/nft--j-list-ruleset", &rules.json)
    };
    for (name, right) in [
        ("empty", "good"),
        ("drops-ipv4", "good"),
        ("accepts-the-interface", "unknown"),
        ("drops-by-default", "unknown"),
    ] {
        let said = doctor(&[of(HEALTHY), of("no-cable"), &json(name)], &[]).out;
        assert_eq!(verdict(&said), right, "{name}: {said}");
        assert!(!said.contains("iifname"), "{name}: {said}");
    }
}

/// With the rules in a host's kernel: "good" lets everything arrive, and a "problem" is fixed by the command that
/// doctor prints.
#[test]
fn verdicts_match_the_packets_on_a_host() {
    let cable = Cable::new();
    let nft = |words: &[&str]| {
        let output = cable.a().command("nft").args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "nft {words:?}: {said}");
    };
    let mut here = Tool::start(tool(cable.a(), &["listen"]));
    let mut there = Tool::start(tool(cable.b(), &["listen"]));
    here.wait_err("listening");
    there.wait_err("listening");
    let (a, b) = (cable.a().address(), cable.b().address());
    let arrives = |command: Command| run(command).code == 0;
    let works = || {
        // Both must resolve each other's address again.
        for host in [cable.a(), cable.b()] {
            host.ip(&["neigh", "flush", "dev", "thunderbolt0"]);
        }
        arrives(tool(cable.b(), &["ping", "-q", "-c", "1", a]))
            && arrives(tool(cable.a(), &["ping", "-q", "-c", "1", b]))
            && arrives(tool(cable.b(), &["bench", "-q", "--time", "0.01", a]))
    };
    for rules in rulesets() {
        let name = &rules.name;
        nft(&["flush", "ruleset"]);
        nft(&["-f", rules.path.to_str().unwrap()]);
        let said = run(on_host(cable.a(), &[b])).out;
        let found = verdict(&said);
        assert!(
            rules.right.iter().any(|right| right == found),
            "{name}: {said}"
        );
        if found == "PROBLEM" || found == "warning" {
            let fixes = said
                .lines()
                .filter_map(|line| line.trim().strip_prefix("sudo nft "));
            let fixes: Vec<&str> = fixes.collect();
            assert!(!fixes.is_empty(), "{name}: {said}");
            for fix in fixes {
                nft(&fix.split(' ').collect::<Vec<_>>());
            }
            let again = run(on_host(cable.a(), &[b])).out;
            assert_eq!(verdict(&again), "good", "{name}: {again}");
        }
        if found != "unknown" {
            wait_until(&format!("all arrives with {name}"), GENEROUS, works);
            wait_until(&format!("{name}: a search finds"), GENEROUS, || {
                let found = run(tool(cable.a(), &["discover", "-q", "--wait", "0.3"]));
                found.out.contains(b)
            });
        }
    }
}
