//! The library as a plugin of DCF's hosts. Each program has a host of its own, so that it can use the
//! standard ports.

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
fn malformed_data_on_the_data_port() {
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

/// A host with the addresses fe80::d:0 to fe80::d:190: its own, and those of 400 strangers.
fn slow(scene: &str, which: &str) {
    let host = Host::alone();
    for number in 0..=400 {
        let address = format!("fe80::d:{number:x}/64");
        host.ip(&["address", "add", &address, "dev", "lo", "nodad"]);
    }
    CProgram::new("plugin_slow", Dialect::C11)
        .arg(scene)
        .arg(which)
        .on(&host)
        .run();
}

#[test]
fn strangers_that_send_a_byte_each_8_seconds() {
    slow("crowd", "0");
}

#[test]
fn slow_strangers_with_many_addresses() {
    slow("crowd", "1");
}

#[test]
fn slow_strangers_with_the_address_of_an_honest_host() {
    slow("crowd", "2");
}

#[test]
fn strangers_that_send_bytes_without_a_pause() {
    slow("crowd", "3");
}

#[test]
fn strangers_that_send_more_than_fits_and_stop() {
    slow("crowd", "4");
}

#[test]
fn strangers_that_are_just_fast_enough() {
    slow("crowd", "5");
}

#[test]
fn strangers_that_wait_for_memory() {
    slow("crowd", "6");
}

#[test]
fn slow_messages_end_even_when_no_other_waits() {
    slow("alone", "");
}

#[test]
fn strangers_do_not_take_all_places() {
    slow("places", "");
}

#[test]
fn peers_that_read_slowly_hold_only_what_is_sent_to_them() {
    slow("readers", "");
}
