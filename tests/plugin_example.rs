//! The host of `c_examples`, as all four loaders of DCF, on two hosts and under valgrind.

use std::process::Command;

use testkit::{library_directory, CProgram, Cable, Dialect};

const CONTRACTS: [&str; 4] = ["old loader", "v1", "design document 5.2", "v2"];

/// The example program, with the path of the library as its first argument.
fn program<'a>() -> CProgram<'a> {
    let library = library_directory().join("libdcf_thunderbolt.so.1");
    let library = library.to_str().expect("paths here are UTF-8");
    CProgram::example("dcf_plugin_host", Dialect::C99).arg(library)
}

/// Runs each contract `rounds` times on host a, with an echo on host b.
fn plays(near: CProgram<'_>, host: fn(&Cable) -> &str, rounds: u32) {
    let cable = Cable::new();
    let far = program().arg("-").arg("5000").arg("echo").on(cable.b());
    let far = far.start();
    let printed = near
        .arg(host(&cable))
        .arg("5000")
        .arg(cable.b().address())
        .arg(rounds.to_string())
        .on(cable.a())
        .run();
    for contract in CONTRACTS {
        let begins = format!("{contract}\n  dlopen(");
        assert!(printed.contains(&begins), "{contract}:\n{printed}");
    }
    let whole = format!("all of it {rounds} times");
    assert_eq!(
        printed.matches(&whole).count(),
        CONTRACTS.len(),
        "{printed}"
    );
    // The program on host b must end with success on SIGTERM.
    let told = Command::new("kill").arg(far.id().to_string()).status();
    assert!(told.expect("procps or a shell's").success());
    far.finish();
}

#[test]
fn twenty_times_by_each_contract() {
    plays(program(), |_| "-", 20);
}

#[test]
fn twenty_times_on_an_address() {
    plays(program(), |cable| cable.a().address(), 20);
}

#[test]
fn under_valgrind() {
    plays(program().under_valgrind(), |_| "thunderbolt0", 2);
}
