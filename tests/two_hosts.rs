//! Two hosts on one cable.

mod common;

use common::FarHost;
use testkit::{CProgram, Cable, Dialect, Faults, Host, LossyCable};

fn main_things(dialect: Dialect) {
    let cable = Cable::new();
    let far = FarHost::start(cable.b());
    CProgram::new("two_hosts", dialect)
        .arg(cable.b().address())
        .on(cable.a())
        .run();
    far.stop();
}

#[test]
fn messages_streams_round_trips_and_discovery_as_c99() {
    main_things(Dialect::C99);
}

#[test]
fn messages_streams_round_trips_and_discovery_as_cpp17() {
    main_things(Dialect::Cpp17);
}

#[test]
fn a_peer_without_the_program_and_one_that_is_not_there() {
    let cable = Cable::new();
    CProgram::new("refused", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a())
        .run();
}

#[test]
fn every_form_of_a_peer_string() {
    let cable = Cable::new();
    CProgram::new("addresses", Dialect::C11)
        .arg(cable.a().address())
        .on(cable.a())
        .run();
}

#[test]
fn no_data_is_accepted_from_other_interfaces() {
    let cable = Cable::new();
    CProgram::new("bound", Dialect::C11)
        .arg(cable.a().address())
        .on(cable.a())
        .run();
}

/// Sources that are neither link-local nor loopback, and pongs from elsewhere.
#[test]
fn only_permitted_sources_are_served() {
    let host = Host::alone();
    for address in ["fe80::5/64", "fd00::5/64"] {
        host.ip(&["address", "add", address, "dev", "lo", "nodad"]);
    }
    CProgram::new("sources", Dialect::C11).on(&host).run();
}

#[test]
fn a_link_that_loses_corrupts_and_goes_silent() {
    let cable = LossyCable::new();
    cable.set_neighbours();
    let far = FarHost::start(cable.b());
    let program = CProgram::new("faulty_link", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a());
    program.serve(|request| {
        match request {
            "lose" => cable.set_faults(Faults {
                drop: 0.1,
                corrupt: 0.02,
                duplicate: 0.05,
                reorder: 0.05,
                delay: 0.02,
                seed: 77,
            }),
            "cut" => cable.cut(),
            "mend" => {
                cable.set_faults(Faults::default());
                cable.mend();
            }
            unknown => panic!("asked for {unknown}"),
        }
        "done".to_owned()
    });
    let udp = cable.a_to_b().record().udp;
    assert!(
        udp.dropped > 0 && udp.corrupted > 0 && udp.cut > 0,
        "{udp:?}"
    );
    far.stop();
}
