//! The library as a plugin of DCF's hosts. Each program has a host of its own, so that ports can have
//! their usual numbers.

use testkit::{CProgram, Dialect, Host};

fn passes(program: &str, dialect: Dialect) {
    let host = Host::alone();
    CProgram::new(program, dialect).on(&host).run();
}

#[test]
fn v1_and_the_old_loader_as_c99() {
    passes("plugin_v1", Dialect::C99);
}

#[test]
fn v1_and_the_old_loader_as_cpp17() {
    passes("plugin_v1", Dialect::Cpp17);
}

#[test]
fn the_design_document_as_c11() {
    passes("plugin_v1_1", Dialect::C11);
}

#[test]
fn the_design_document_as_cpp17() {
    passes("plugin_v1_1", Dialect::Cpp17);
}

#[test]
fn v2_as_c99() {
    passes("plugin_v2", Dialect::C99);
}

#[test]
fn v2_as_cpp17() {
    passes("plugin_v2", Dialect::Cpp17);
}

fn large(scene: &str) {
    let host = Host::alone();
    CProgram::new("plugin_large", Dialect::C11)
        .arg(scene)
        .on(&host)
        .run();
}

#[test]
fn large_messages_of_every_size() {
    large("sizes");
}

#[test]
fn large_messages_of_four_threads() {
    large("threads");
}

#[test]
fn large_messages_in_both_directions() {
    large("both ways");
}

#[test]
fn a_peer_that_does_not_receive() {
    large("stuck");
}

#[test]
fn a_shutdown_in_the_middle_of_a_large_message() {
    large("shutdown");
}

#[test]
fn idle_connections_are_closed() {
    large("idle");
}

#[test]
fn nonsense_on_the_data_port() {
    passes("plugin_hostile", Dialect::C11);
}

#[test]
fn silence_on_the_data_port() {
    let host = Host::alone();
    CProgram::new("plugin_hostile", Dialect::C11)
        .arg("silence")
        .on(&host)
        .run();
}
