//! `dcf-tb map`: shows which host is at the end of which cable.

mod dot;
mod hosts;
mod measure;
mod text;

use std::path::PathBuf;

use clap::Args;

use crate::common::Common;
use crate::doctor::SysRoot;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Show which hosts are connected to this one, and by which cables.
///
/// For each cable: the interface, the trained rate and the maximum of the port, the MTU, and the round trip to each
/// peer that answers (a host answers that runs `dcf-tb listen`, `dcf-tb receive`, or another program with this
/// transport on the same control port). Cables to the same host are listed together.
#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Print a graph in the DOT language of Graphviz: `dcf-tb map --dot | dot -Tsvg > map.svg`.
    #[arg(long, conflicts_with = "json")]
    dot: bool,

    /// Read a copy of /sys and /proc in this directory instead of this machine's. Peers are not measured.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        hide_default_value = true
    )]
    root: PathBuf,
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let sys = SysRoot::new(&options.root);
    let mut map = hosts::read(&sys, &common.interface)?;
    if sys.is_live() {
        measure::all(&mut map, common);
    }
    if options.json {
        output::json(&map);
    } else if options.dot {
        output::page(&dot::graph(&map));
    } else {
        text::print(&map);
    }
    Ok(Exit::Done)
}
