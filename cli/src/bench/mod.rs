//! `dcf-tb bench`: measures the cable with this transport.

mod chart;
mod latency;
mod machine;
mod messages;
mod page;
mod pattern;
mod progress;
mod results;
mod serve;
mod throughput;

pub use serve::{serve, Counting};

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::common::{seconds, Common};
use crate::connect;
use crate::doctor::{self, SysRoot};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use machine::Machine;
use progress::Progress;
use results::Results;
use throughput::{Directions, Load};

/// Measure the cable to a peer that runs `dcf-tb listen`.
///
/// Measures round trips on an idle link and under load, message rates, and streams: out, in, both ways at once,
/// and several. All stream data is verified. Rates are compared with the trained rate of the cable, where sysfs
/// reports it.
#[derive(Debug, Args)]
pub struct Options {
    /// The peer. If omitted, the only one on the link.
    peer: Option<String>,

    /// The duration of each measurement.
    #[arg(long, short, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    time: Duration,

    /// The number of streams when several are measured.
    #[arg(long, value_name = "COUNT", default_value = "4")]
    streams: NonZeroU16,

    /// Print only the result, as JSON.
    #[arg(long)]
    json: bool,

    /// Write an HTML page with charts of the round trips and of the streams over time.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    if let Some(file) = &options.report {
        // Fail before the benchmark, not after it.
        page::check(file)?;
    }
    let transport = connect::client(common, options.peer.as_deref())?;
    let peer = connect::peer(&transport, common, options.peer.as_deref())?;
    let interface = transport.interface();
    let progress = Progress::new();

    progress.step("streams: out");
    let load = Load::new(&transport, common, &peer, options.time);
    let out = load.run(Directions::OUT, &progress)?;
    progress.step("streams: in");
    let into = load.run(Directions::IN, &progress)?;
    progress.step("streams: both ways");
    let both = load.run(Directions::BOTH, &progress)?;
    progress.step("streams: several");
    let several = load.run(Directions::several(options.streams.get()), &progress)?;
    progress.step("round trips");
    let quiet = latency::quiet(&transport, &peer, options.time)?;
    progress.step("round trips under load");
    let loaded = latency::loaded(&transport, &peer, &load, &progress)?;
    progress.step("messages");
    let messages = messages::run(&transport, common, &peer, options.time)?;
    drop(progress);

    let results = Results {
        peer: peer.name.clone(),
        trained_gbps: doctor::gigabits(&SysRoot::live(), &interface),
        machine: Machine::new(&interface),
        interface,
        seconds: options.time.as_secs_f64(),
        round_trips: quiet,
        round_trips_under_load: loaded,
        messages,
        streams: vec![out, into, both, several],
    };
    if options.json {
        output::json(&results);
    } else {
        results.lines().iter().for_each(|line| output::prose(line));
    }
    if let Some(file) = &options.report {
        page::write(&results, file)?;
    }
    match results.is_right() {
        true => Ok(Exit::Done),
        false => Err(Failure::new(
            Exit::Damaged,
            "the received data differs from the data that was sent",
        )),
    }
}
