//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::processors::Halves;
use crate::work::Work;

/// Measures dcf_thunderbolt against C and against other tools, on two hosts that are network
/// namespaces of this machine.
///
/// Exits with status 1 if a required ratio was missed, or a program failed.
#[derive(Debug, Parser)]
#[command(name = "dcf-bench", version)]
pub struct Options {
    /// Fewer rounds and shorter samples, of the same rows
    #[arg(long)]
    pub quick: bool,
    /// One quick round, only to check that everything works: missed ratios do not count
    #[arg(long, conflicts_with = "rounds")]
    pub check: bool,
    /// Measure only the rows whose ids begin with one of these
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub rows: Vec<String>,
    /// List the rows without measuring
    #[arg(long)]
    pub list: bool,
    /// Number of runs of each contestant [default: 7, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: Option<u16>,
    /// Processors of host a and of host b, as in 0-3:4-7 [default: two halves]
    #[arg(long, value_name = "A:B", conflicts_with = "no_pin")]
    pub cpus: Option<Halves>,
    /// Do not bind the hosts to processors; changes of the machine are then not detected
    #[arg(long)]
    pub no_pin: bool,
    /// Directory of the contestants' programs
    #[arg(long, value_name = "DIRECTORY", default_value = "target/bench")]
    pub programs: PathBuf,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the report as a web page with charts
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl Options {
    /// The requested number of rounds without noise.
    pub fn wanted(&self) -> usize {
        match self.rounds {
            Some(rounds) => rounds.into(),
            None if self.check => 1,
            None if self.quick => 3,
            None => 7,
        }
    }

    /// Whether samples are short.
    pub fn is_quick(&self) -> bool {
        self.quick || self.check
    }

    /// The processors of the hosts; `None` if they are not bound.
    pub fn halves(&self) -> Result<Option<Halves>, String> {
        match &self.cpus {
            _ if self.no_pin => Ok(None),
            Some(halves) => halves.check().map(|()| Some(halves.clone())),
            None => Halves::of_allowed(),
        }
    }

    /// The works that have chosen rows, with only those rows.
    pub fn choose(&self, mut works: Vec<Work>) -> Result<Vec<Work>, String> {
        if self.rows.is_empty() {
            return Ok(works);
        }
        for chosen in &self.rows {
            let mut ids = works.iter().flat_map(|work| &work.rows).map(|row| &row.id);
            if chosen.is_empty() || !ids.any(|id| id.starts_with(chosen)) {
                return Err(format!("no row's id begins with {chosen:?}; see --list"));
            }
        }
        for work in &mut works {
            work.rows
                .retain(|row| self.rows.iter().any(|chosen| row.id.starts_with(chosen)));
        }
        works.retain(|work| !work.rows.is_empty());
        Ok(works)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::rows::works;
    use clap::{CommandFactory, Parser};
    use std::path::Path;

    fn options(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["dcf-bench"], words].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_check_is_one_quick_round() {
        let check = options(&["--check"]).expect("options");
        assert_eq!((check.wanted(), check.is_quick()), (1, true));
        assert!(options(&["--check", "--rounds", "2"]).is_err());
    }

    #[test]
    fn rows_are_chosen_by_what_their_ids_begin_with() {
        let chosen = options(&["--rows", "rtt-default,stream-cpu"]).expect("options");
        let works = chosen.choose(works(Path::new("."), true)).expect("rows");
        let ids: Vec<&str> = works
            .iter()
            .flat_map(|work| &work.rows)
            .map(|row| row.id.as_str())
            .collect();
        assert_eq!(ids, ["rtt-default-p50", "rtt-default-p99", "stream-cpu"]);
    }

    #[test]
    fn bad_values_are_quoted() {
        for words in [
            ["--rounds", "0"],
            ["--rounds", "seven"],
            ["--cpus", "1:1"],
            ["--cpus", "x:1"],
            ["--speed", "high"],
        ] {
            let error = options(&words).expect_err(words[1]).to_string();
            assert!(error.contains(words[0]), "{error}");
            assert!(words[0] == "--speed" || error.contains(words[1]), "{error}");
        }
        let unknown = options(&["--rows", "rtt-defautl"]).expect("options");
        let error = unknown.choose(works(Path::new("."), true));
        assert!(error.is_err_and(|text| text.contains("rtt-defautl")));
    }
}
