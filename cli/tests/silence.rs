//! Why nobody answers.

mod common;

use common::folders::Folders;
use common::{run, tool};
use testkit::{wait_until, Cable, GENEROUS};

/// Each cause of silence has its own advice.
#[test]
fn silence_has_a_reason() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let file = folders.write("out/file", "content");
    let peer = cable.b().address();
    let bare = peer.split('%').next().unwrap();
    let said = |why: &str, commands: &[&[&str]]| {
        for words in commands {
            // The kernel of a busy machine may send no ICMP messages for seconds, see transport/tests/link/refused.rs.
            wait_until(&format!("{words:?} says: {why}"), GENEROUS, || {
                let ended = run(tool(cable.a(), words));
                assert_eq!(ended.code, 4);
                ended.err.contains(why)
            });
        }
    };
    let no_program = format!("the host {bare}%thunderbolt0 is up, but no dcf-tb runs there");
    said(
        &no_program,
        &[
            &["discover", "--wait", "0.1"],
            &["push", &file],
            &["push", &file, peer],
            &["bench", peer],
        ],
    );
    // A firewall that drops everything for the transport, but not ICMPv6.
    let rules = "table ip6 t { chain c { type filter hook input priority 0; \
                 meta l4proto { udp, tcp } drop; }; }";
    let status = cable.b().command("nft").arg(rules).status().unwrap();
    assert!(status.success());
    said(
        "is up, but a firewall drops UDP port 5000",
        &[&["discover", "--wait", "0.1"], &["push", &file, peer]],
    );
    assert!(cable
        .b()
        .command("nft")
        .args(["flush", "ruleset"])
        .status()
        .unwrap()
        .success());
    let ignore = [
        "-w",
        "net.ipv6.icmp.echo_ignore_all=1",
        "net.ipv6.icmp.echo_ignore_multicast=1",
    ];
    assert!(cable
        .b()
        .command("sysctl")
        .args(ignore)
        .output()
        .unwrap()
        .status
        .success());
    said(
        "the other machine is off or asleep",
        &[&["discover", "--wait", "0.1"], &["bench"]],
    );
    said(
        "the other machine is off or asleep",
        &[&["push", &file, "fe80::dead%thunderbolt0"]],
    );
}
