//! env on two hosts, compared with snapshots, because each line follows other programs' documentation.

mod common;

use common::{run, tool, Tool};
use testkit::Cable;

#[test]
fn both_ends_print_matching_settings() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let here = run(tool(cable.a(), &["env"]));
    assert_eq!(here.err, "");
    insta::assert_snapshot!("all", here.with(0));
    drop(listener);
    let mut listener = Tool::start(tool(cable.a(), &["listen"]));
    listener.wait_err("listening");
    insta::assert_snapshot!(
        "the_other_end",
        run(tool(cable.b(), &["env", "gloo", "ray"])).with(0)
    );
}

#[test]
fn the_output_can_be_read_by_a_shell() {
    let cable = Cable::new();
    cable
        .a()
        .ip(&["address", "add", "10.1.2.1/30", "dev", "thunderbolt0"]);
    let alone = run(tool(cable.a(), &["env", "nccl", "pytorch"]));
    assert!(
        alone.err.contains("the peer's address is not filled in"),
        "{}",
        alone.err
    );
    let script = alone.with(0);
    assert!(
        script.starts_with("# thunderbolt0: 10.1.2.1 here, 10.1.2.2 there\n"),
        "{script}"
    );
    assert!(!script.contains("ip address add"), "{script}");
    let print = "echo $NCCL_SOCKET_IFNAME $GLOO_SOCKET_IFNAME $MASTER_ADDR";
    let shell = std::process::Command::new("sh")
        .args(["-ec", &format!("{script}{print}")])
        .output()
        .unwrap();
    assert!(
        shell.status.success() && shell.stderr.is_empty(),
        "{shell:?}"
    );
    assert_eq!(
        String::from_utf8_lossy(&shell.stdout),
        "=thunderbolt0 thunderbolt0 10.1.2.1\n"
    );
}

#[test]
fn an_unknown_engine_is_refused() {
    let cable = Cable::new();
    let wrong = run(tool(cable.a(), &["env", "smoke-signals"]));
    assert!(
        wrong
            .err
            .contains("possible values: nccl, gloo, ucx, mpi, ray, llama.cpp, libp2p"),
        "{}",
        wrong.err
    );
    wrong.with(2);
}

#[test]
fn a_name_with_shell_metacharacters_is_not_printed() {
    let cable = Cable::new();
    cable
        .a()
        .ip(&["link", "set", "thunderbolt0", "name", "$(id)"]);
    let odd = run(tool(cable.a(), &["--interface", "$(id)", "env", "nccl"]));
    assert!(
        odd.err.contains("is not safe in a shell command"),
        "{}",
        odd.err
    );
    assert_eq!(odd.with(1), "");
}
