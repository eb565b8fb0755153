//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::fault::Fault;

/// Runs two hosts, which are network namespaces of this machine, that use libdcf_thunderbolt while
/// faults of every kind happen. Checks that nothing is lost, and that everything works afterwards.
///
/// Exits with status 1, and prints the violated rule, if a check fails.
#[derive(Debug, Parser)]
#[command(name = "dcf-soak", version)]
pub struct Options {
    /// Duration in seconds
    #[arg(long, value_name = "N", default_value = "3600",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seconds: u64,
    /// Seed of faults and work; the same seed repeats the faults of a run [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Inject only these faults; "none" injects none
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = chosen)]
    pub faults: Vec<Choice>,
    /// Program to run on each host
    #[arg(long, value_name = "PROGRAM", default_value = "target/soak/soak_host")]
    pub host: PathBuf,
    /// Directory for the logs
    #[arg(long, value_name = "DIRECTORY", default_value = "target/soak")]
    pub logs: PathBuf,
}

/// One word of `--faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    None,
    One(Fault),
}

fn chosen(word: &str) -> Result<Choice, String> {
    if word == "none" {
        return Ok(Choice::None);
    }
    Fault::from_str(word, false).map(Choice::One).map_err(|_| {
        let all = Fault::all().map(Fault::name).collect::<Vec<_>>();
        format!("the faults are none, {}", all.join(", "))
    })
}

impl Options {
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The faults that may happen.
    pub fn chosen_faults(&self) -> Vec<Fault> {
        if self.faults.is_empty() {
            return Fault::all().collect();
        }
        let one = |choice: &Choice| match choice {
            Choice::None => None,
            Choice::One(fault) => Some(*fault),
        };
        self.faults.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Options};
    use clap::{CommandFactory, Parser};

    fn options(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["dcf-soak"], words].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn an_hour_of_every_fault_unless_told_otherwise() {
        let options = options(&[]).expect("options");
        assert_eq!(options.seconds, 3600);
        assert_eq!(options.chosen_faults(), Fault::all().collect::<Vec<_>>());
    }

    #[test]
    fn faults_are_chosen_by_name() {
        let some = options(&["--faults", "kill,cable"]).expect("options");
        assert_eq!(some.chosen_faults(), [Fault::Kill, Fault::Cable]);
        let none = options(&["--faults", "none"]).expect("options");
        assert!(none.chosen_faults().is_empty());
        let wrong = options(&["--faults", "kil"])
            .expect_err("no fault")
            .to_string();
        assert!(wrong.contains("kill"), "{wrong}");
    }
}
