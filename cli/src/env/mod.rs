//! `dcf-tb env`: environment variables that make distributed engines use this cable.

mod addresses;
mod engines;

use clap::Args;

use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interface::is_plain;
use crate::interrupt;
use crate::output;
use crate::peer::check_peer;
use addresses::Addresses;
use engines::Engine;

/// Print settings that make distributed engines use this cable and no other network.
///
/// The output is for a shell, eval "$(dcf-tb env nccl)"; its comments explain what no variable can set. Most
/// engines cannot use link-local addresses, so the first lines show how to give both ends another address; both
/// machines choose the same pair. Each block names the documentation that it follows.
#[derive(Debug, Args)]
pub struct Options {
    /// The engines. If omitted, all of them.
    #[arg(value_name = "ENGINE")]
    engines: Vec<Engine>,

    /// The peer. If omitted, the only one on the link, if there is one.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    check_peer(options.peer.as_deref())?;
    let transport = connect::client(common, options.peer.as_deref())?;
    let peer = match connect::peer(&transport, common, options.peer.as_deref()) {
        Ok(peer) => Some(peer.name),
        Err(failure) if options.peer.is_none() && failure.exit != Exit::Interrupted => {
            output::note(&format!(
                "# {}: the peer's address is not filled in",
                failure.text
            ));
            None
        }
        Err(failure) => return Err(failure),
    };
    let interface = transport.interface();
    if !is_plain(&interface) {
        let text = format!(
            "the interface name {interface:?} is not safe in a shell command: rename the interface"
        );
        return Err(Failure::new(Exit::Failed, text));
    }
    let addresses = Addresses::of(&interface, peer.as_deref())?;
    let engines = match options.engines.is_empty() {
        true => Engine::all(),
        false => &options.engines,
    };
    addresses.lines().iter().for_each(|line| output::line(line));
    for engine in engines {
        output::line("");
        engine
            .lines(&addresses)
            .iter()
            .for_each(|line| output::line(line));
    }
    Ok(Exit::Done)
}
