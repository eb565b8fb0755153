//! `dcf-tb env`: what makes the engines that people already run use this cable.

mod addresses;
mod engines;

use clap::Args;

use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use addresses::Addresses;
use engines::Engine;

/// Print what makes distributed engines use this cable and no other network.
///
/// The output is for a shell, eval "$(dcf-tb env nccl)", and to be read: what no variable can say stands in its
/// comments. Most engines cannot do with link-local addresses, so it says first how to give both ends another
/// one; the two machines agree on who is who. Every block names the documentation that it follows.
#[derive(Debug, Args)]
pub struct Options {
    /// Which ones; without any all of them.
    #[arg(value_name = "ENGINE")]
    engines: Vec<Engine>,

    /// The peer; without it the only one on the cable, if there is one.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    connect::check_peer(options.peer.as_deref())?;
    let transport = connect::client(common, options.peer.as_deref())?;
    let peer = match connect::peer(&transport, common, options.peer.as_deref()) {
        Ok(peer) => Some(peer.name),
        Err(failure) if options.peer.is_none() && failure.exit != Exit::Interrupted => {
            output::note(&format!(
                "# {}: the peer's address is left open",
                failure.text
            ));
            None
        }
        Err(failure) => return Err(failure),
    };
    let interface = transport.interface();
    if !connect::is_plain(&interface) {
        let text = format!("{interface:?} cannot stand in a shell's command: give it another name");
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
