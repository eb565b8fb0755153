//! `dcf-tb`: find, measure, check and copy between two machines on a Thunderbolt cable.
//!
//! Each subcommand is a module with its options and a `run` function. Code that several subcommands share is in
//! the modules beside them. Results go to standard output, everything else to standard error.

mod bench;
mod common;
mod connect;
mod countdown;
mod deadline;
mod discover;
mod doctor;
mod echo;
mod env;
mod event;
mod exit;
mod failure;
mod handshake;
mod hints;
mod histogram;
mod interface;
mod interrupt;
mod listen;
mod map;
mod options;
mod output;
mod own_addresses;
mod paced_reader;
mod pages;
mod peer;
mod pending_streams;
mod ping;
mod push;
mod receive;
mod send;
mod service;
mod silence;
mod throttle;
mod transfer;
mod units;
mod usage;

use std::process::ExitCode;

use exit::Exit;
use failure::Failure;
use options::{Command, Options};

fn main() -> ExitCode {
    let options = match usage::parse() {
        Ok(options) => options,
        Err(exit) => return exit.into(),
    };
    output::set_verbosity(options.common.verbosity());
    match run(options) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

fn run(options: Options) -> Result<Exit, Failure> {
    let common = &options.common;
    match options.command {
        Command::Discover(options) => discover::run(common, &options),
        Command::Map(options) => map::run(common, &options),
        Command::Ping(options) => ping::run(common, &options),
        Command::Listen(options) => listen::run(common, &options),
        Command::Send(options) => send::run(common, &options),
        Command::Receive(options) => receive::run(common, options),
        Command::Push(options) => push::run(common, &options),
        Command::Doctor(options) => doctor::run(common, &options),
        Command::Bench(options) => bench::run(common, &options),
        Command::Env(options) => env::run(common, &options),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { directory } => pages::man(&directory),
    }
}
