//! Two hosts on one cable, which also comes and goes.

use testkit::{CProgram, Cable, Dialect, Host, Running};

/// The other host: echoes messages and streams until it is dropped or stopped.
struct FarHost(Running);

impl FarHost {
    fn start(host: &Host) -> Self {
        let mut running = CProgram::new("far_host", Dialect::C11).on(host).start();
        assert_eq!(running.question(), "ready");
        Self(running)
    }

    /// It ends well, whatever happened to the cable.
    fn stop(mut self) {
        self.0.answer("end");
        self.0.finish();
    }
}

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
fn every_form_of_a_peer_string() {
    let cable = Cable::new();
    CProgram::new("addresses", Dialect::C11)
        .arg(cable.a().address())
        .on(cable.a())
        .run();
}

#[test]
fn nothing_comes_in_over_other_interfaces() {
    let cable = Cable::new();
    CProgram::new("bound", Dialect::C11)
        .arg(cable.a().address())
        .on(cable.a())
        .run();
}

/// Runs a program on host a that may have the cable pulled and plugged, beside an echoing host b.
fn with_a_cable_to_handle(program: &str) {
    let cable = Cable::new();
    let far = FarHost::start(cable.b());
    let program = CProgram::new(program, Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a());
    program.serve(|request| {
        match request {
            "unplug" => cable.unplug(),
            "plug" => cable.plug(),
            "carrier off" => cable.carrier(false),
            "carrier on" => cable.carrier(true),
            unknown => panic!("asked for {unknown}"),
        }
        "done".to_owned()
    });
    far.stop();
}

#[test]
fn a_cable_that_comes_and_goes() {
    with_a_cable_to_handle("links");
}

#[test]
fn a_cable_that_comes_and_goes_under_traffic() {
    with_a_cable_to_handle("cable_storm");
}

/// The other host is up long before the cable, and this one's address is checked for
/// duplicates first, as on real hosts.
#[test]
fn the_hosts_may_start_in_any_order() {
    let cable = Cable::unplugged();
    cable.duplicate_address_detection(true);
    let far = FarHost::start(cable.b());
    cable.plug_without_waiting();
    let program = CProgram::new("late", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a());
    program.run();
    far.stop();
}

/// Sources that are neither link-local nor loopback, and pongs from elsewhere.
#[test]
fn who_is_served() {
    let host = Host::alone();
    for address in ["fe80::5/64", "fd00::5/64"] {
        host.ip(&["address", "add", address, "dev", "lo", "nodad"]);
    }
    CProgram::new("sources", Dialect::C11).on(&host).run();
}
