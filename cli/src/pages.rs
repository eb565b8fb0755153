//! Man pages and shell completions, generated from the description of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::builder::Resettable;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::roff::{bold, roman, Roff};
use clap_mangen::Man;

use crate::exit::{Exit, MEANINGS};
use crate::failure::Failure;
use crate::options::Options;
use crate::output;

/// clap_complete 4.6 sets one name for a program with a hyphen in a script for bash, and looks for the other, so no
/// option of a subcommand would be completed.
const WRONG: &str = "dcf__subcmd__tb";
const RIGHT: &str = "dcf__tb";

/// Prints a completion script.
pub fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "dcf-tb", &mut script);
    if shell == Shell::Bash {
        script = String::from_utf8_lossy(&script)
            .replace(WRONG, RIGHT)
            .into_bytes();
    }
    output::script(&script);
    Ok(Exit::Done)
}

/// Writes `dcf-tb.1` and a page for each subcommand.
pub fn man(directory: &Path) -> Result<Exit, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Failed,
            format!(
                "cannot write man pages to {}: {error}",
                output::shown(directory)
            ),
        )
    };
    fs::create_dir_all(directory).map_err(failed)?;
    // The pages have a section for exit codes instead.
    let mut root = Options::command().after_long_help(Resettable::Reset);
    root.build();
    page(&root, directory).map_err(failed)?;
    for command in root.get_subcommands() {
        if !command.is_hide_set() && command.get_name() != "help" {
            // The page calls the command by the page's name, `dcf-tb-ping(1)`.
            let name: &'static str = format!("dcf-tb-{}", command.get_name()).leak();
            page(&command.clone().name(name), directory).map_err(failed)?;
        }
    }
    Ok(Exit::Done)
}

fn page(command: &clap::Command, directory: &Path) -> io::Result<()> {
    let man = Man::new(command.clone()).manual("dcf_thunderbolt");
    let mut page = Vec::new();
    man.render(&mut page)?;
    exit_status().to_writer(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)
}

/// The exit codes, on every page.
fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (number, meaning) in MEANINGS {
        roff.control("TP", []);
        roff.text([bold(number)]);
        roff.text([roman(meaning)]);
    }
    roff
}
