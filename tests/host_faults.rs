//! Faults of the process that hosts the library: it runs out of descriptors, memory or threads, its clock
//! jumps, signals interrupt it, its callbacks block. Each program causes the fault itself: an
//! executable's `malloc`, `pthread_create` and so on also replace those of the library.

use testkit::{CProgram, Cable, Dialect, Host};

fn passes(program: &str) {
    CProgram::new(program, Dialect::C11).run();
}

/// Runs a program on a host of its own. The program may ask for changes of the loopback interface.
fn passes_on_a_host(program: &str) {
    let host = Host::alone();
    CProgram::new(program, Dialect::C11)
        .on(&host)
        .serve(|request| {
            match request {
                "slow" => {
                    let queue = [
                        "root", "tbf", "rate", "8kbit", "burst", "1600", "limit", "1mb",
                    ];
                    host.traffic_control(&[&["qdisc", "add", "dev", "lo"], &queue[..]].concat());
                }
                state => drop(host.ip(&["link", "set", "lo", state])),
            }
            "done".to_owned()
        });
}

#[test]
fn no_descriptors() {
    passes_on_a_host("no_descriptors");
}

#[test]
fn a_cable_replugged_without_descriptors() {
    let cable = Cable::new();
    let mut far = CProgram::new("far_host", Dialect::C11)
        .on(cable.b())
        .start();
    assert_eq!(far.question(), "ready");
    CProgram::new("starved_replug", Dialect::C11)
        .arg(cable.b().address())
        .on(cable.a())
        .serve(|request| {
            match request {
                "unplug" => cable.unplug(),
                "plug" => cable.plug(),
                unknown => panic!("asked for {unknown}"),
            }
            "done".to_owned()
        });
    far.answer("end");
    far.finish();
}

#[test]
fn no_memory_for_any_allocation_of_any_call() {
    passes("no_memory");
}

#[test]
fn short_of_memory() {
    passes("short_of_memory");
}

#[test]
fn no_threads() {
    passes("no_threads");
}

#[test]
fn a_clock_that_jumps() {
    passes("clock");
}

#[test]
fn interruptions_of_every_call_that_blocks() {
    passes_on_a_host("interruptions");
}

#[test]
fn callbacks_that_block() {
    passes_on_a_host("held");
}

#[test]
fn many_transports() {
    passes("many");
}
