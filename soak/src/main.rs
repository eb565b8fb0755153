//! Runs two hosts for an hour with random faults, and checks that nothing is lost. See
//! `soak/README.md`.

mod cli;
mod fault;
mod host_process;
mod journal;
mod judge;
mod report;
mod resources;
mod round;
mod schedule;
mod status;
mod summary;
mod testbed;

use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use testkit::Host;

use crate::cli::Options;
use crate::journal::Journal;
use crate::schedule::Schedule;
use crate::summary::Summary;
use crate::testbed::Testbed;

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    // A panic is reported at the end, with everything else.
    panic::set_hook(Box::new(|_| ()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(&options, seed)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_default())
    });
    match outcome {
        Ok(()) => {
            println!("soak: PASSED (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            println!(
                "soak: FAILED (seed {seed}); the logs are in {}",
                options.logs.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, seed: u64) -> Result<(), String> {
    let program = options
        .host
        .canonicalize()
        .map_err(|error| format!("{}: {error}; `make soak` builds it", options.host.display()))?;
    let mut journal = Journal::new(&options.logs)?;
    let (began, duration) = (journal.began(), options.duration());
    journal.plain(&format!("soak: {} s, seed {seed}", duration.as_secs()));
    let mut schedule = Schedule::new(seed, options.chosen_faults());
    let mut summary = Summary::new(began);
    let mut testbed = Testbed::new(program, options.logs.clone(), seed, journal)?;
    let mut last = false;
    while !last {
        // The last round has no fault: everything must work as before.
        last = began.elapsed() >= duration;
        let faults = if last { Vec::new() } else { schedule.next() };
        let reports = round::run(&mut testbed, &faults)?;
        summary.add(&faults, &reports);
        summary.tell(&mut testbed);
    }
    let table = summary.table(&testbed);
    testbed.journal.plain(&table);
    close(testbed)
}

/// Closes the transports, and checks that nothing is left of them.
fn close(mut testbed: Testbed) -> Result<(), String> {
    for (memory, host) in testbed.memory.iter().zip(&testbed.processes) {
        memory.check(host.name())?;
    }
    for host in &mut testbed.processes {
        let after = host.command("close")?;
        resources::check_closed(host, &after)?;
    }
    for host in 0..2 {
        check_ports(testbed.host(host), testbed.processes[host].name())?;
    }
    let [a, b] = testbed.processes;
    a.end();
    b.end();
    Ok(())
}

/// Checks that the ports of the resident and of the transients are free.
fn check_ports(host: &Host, name: &str) -> Result<(), String> {
    host.run(|| {
        for port in [5000, 6000] {
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))
                .map(drop)
                .and_then(|()| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port + 1)).map(drop))
                .map_err(|error| format!("{name}: ports {port} and {}: {error}", port + 1))?;
        }
        Ok(())
    })
}
