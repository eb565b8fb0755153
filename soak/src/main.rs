//! Two hosts at work for an hour, with random faults, and nothing lost: see `soak/README.md`.

mod cli;
mod fault;
mod journal;
mod judge;
mod report;
mod resources;
mod round;
mod schedule;
mod side;
mod stage;
mod status;
mod summary;

use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use testkit::Host;

use crate::cli::Options;
use crate::journal::Journal;
use crate::schedule::Schedule;
use crate::stage::Stage;
use crate::summary::Summary;

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    // What panics is told at the end, with all else.
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
    let mut stage = Stage::new(program, options.logs.clone(), seed, journal)?;
    let mut last = false;
    while !last {
        // The last round is calm: after all that, everything is as it was.
        last = began.elapsed() >= duration;
        let faults = if last { Vec::new() } else { schedule.next() };
        let reports = round::run(&mut stage, &faults)?;
        summary.add(&faults, &reports);
        summary.tell(&mut stage);
    }
    let table = summary.table(&stage);
    stage.journal.plain(&table);
    close(stage)
}

/// Closes the transports, and looks at what is left of them.
fn close(mut stage: Stage) -> Result<(), String> {
    for (memory, side) in stage.memory.iter().zip(&stage.sides) {
        memory.check(side.name())?;
    }
    for side in &mut stage.sides {
        let after = side.command("close")?;
        resources::check_closed(side, &after)?;
    }
    for side in 0..2 {
        check_ports(stage.host(side), stage.sides[side].name())?;
    }
    let [a, b] = stage.sides;
    a.end();
    b.end();
    Ok(())
}

/// Nobody holds the ports any more, of home and of guests.
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
