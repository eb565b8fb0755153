//! The options that every subcommand takes.

use std::time::Duration;

use clap::Args;

use crate::output::Verbosity;

/// Options of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Common {
    /// The network interface of the cable. `auto` uses the interface that PEER names, or else the only one of the
    /// driver thunderbolt-net.
    #[arg(
        long,
        short = 'I',
        global = true,
        value_name = "NAME",
        default_value = "auto",
        env = "DCF_TB_INTERFACE",
        hide_env_values = true
    )]
    pub interface: String,

    /// UDP port for control messages, pings and discovery.
    #[arg(
        long,
        global = true,
        value_name = "PORT",
        default_value_t = thunderbolt_transport::DEFAULT_CONTROL_PORT,
        value_parser = clap::value_parser!(u16).range(1..),
        env = "DCF_TB_CONTROL_PORT",
        hide_env_values = true
    )]
    pub control_port: u16,

    /// TCP port for data streams.
    #[arg(
        long,
        global = true,
        value_name = "PORT",
        default_value_t = thunderbolt_transport::DEFAULT_DATA_PORT,
        value_parser = clap::value_parser!(u16).range(1..),
        env = "DCF_TB_DATA_PORT",
        hide_env_values = true
    )]
    pub data_port: u16,

    /// Print results and errors only.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more details. Given twice, print debugging messages too.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Common {
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Everything,
        }
    }
}

/// Parses seconds with an optional fraction, as ping(8) does.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    // At most a day, so that no sum of times overflows.
    if (0.0..=86_400.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err("must be from 0 to 86400 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_a_fraction_and_a_bound() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["", "x", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
