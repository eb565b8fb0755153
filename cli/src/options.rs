//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::common::Common;
use crate::{bench, discover, doctor, env, listen, map, ping, push, receive, send};

/// Two machines on a Thunderbolt or USB4 cable: find, measure, check, and copy files at link speed.
///
/// A peer is an address as `dcf-tb discover` prints it, fe80::…%thunderbolt0. If PEER is optional and omitted,
/// the only peer on the link is used.
#[derive(Debug, Parser)]
#[command(
    name = "dcf-tb",
    version,
    propagate_version = true,
    max_term_width = 100,
    subcommand_required = true,
    after_long_help = crate::exit::list()
)]
pub struct Options {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    Doctor(doctor::Options),
    Discover(discover::Options),
    Map(map::Options),
    Receive(receive::Options),
    Push(push::Options),
    Ping(ping::Options),
    Bench(bench::Options),
    Listen(listen::Options),
    Send(send::Options),
    Env(env::Options),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory.
    #[command(hide = true)]
    Man {
        /// The directory. It is created if it does not exist.
        directory: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }
}
