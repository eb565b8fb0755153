//! `dcf-tb discover`: lists the peers on the cable.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use crate::common::{seconds, Common};
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use crate::peer::Peer;
use crate::units::{microseconds, rounded, short_time};

/// List the peers on the cable, one address per line.
///
/// Every machine answers that runs `dcf-tb receive`, `dcf-tb listen` or another program with this transport on
/// the same control port.
#[derive(Debug, Args)]
pub struct Options {
    /// How long to wait for answers.
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    wait: Duration,

    /// Keep searching and print a line for each new peer. Peers that leave are reported on standard error.
    #[arg(long)]
    watch: bool,

    /// Print JSON with round trips; with --watch, one object per line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Found<'a> {
    address: &'a str,
    rtt_us: f64,
}

/// A peer counts as lost after this many rounds of `--watch` without an answer, because one answer may be lost.
const MISSES: u32 = 2;

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    if options.watch {
        return watch(common, options);
    }
    let transport = connect::client(common, None)?;
    let found = search(&transport, common, options.wait)?;
    if options.json {
        let found: Vec<_> = found
            .iter()
            .map(|(address, rtt)| Found {
                address,
                rtt_us: rounded(microseconds(*rtt)),
            })
            .collect();
        output::json(&found);
    } else {
        for (address, rtt) in &found {
            output::detail(&format!("{address} answered in {}", short_time(*rtt)));
            output::line(address);
        }
    }
    if found.is_empty() {
        return Err(connect::no_peer(&transport, common));
    }
    Ok(Exit::Done)
}

fn search(
    transport: &ThunderboltTransport,
    common: &Common,
    wait: Duration,
) -> Result<BTreeMap<String, Duration>, TransportError> {
    let found = transport.discover_port(common.control_port, Some(wait))?;
    Ok(found
        .iter()
        .map(|peer| (Peer::found(peer, common).name, peer.rtt))
        .collect())
}

fn watch(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let transport = connect::client_with(common, None, |builder| builder.wait_for_interface(true))?;
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    let mut link_was_up = true;
    while !interrupt::is_interrupted() {
        let started = Instant::now();
        let found = match search(&transport, common, options.wait) {
            Ok(found) => {
                link_was_up = true;
                found
            }
            Err(TransportError::LinkDown { reason, .. }) => {
                if std::mem::replace(&mut link_was_up, false) {
                    output::note(&format!("the link is down: {reason}"));
                }
                BTreeMap::new()
            }
            Err(TransportError::Shutdown) => break,
            Err(error) => return Err(error.into()),
        };
        for (address, rtt) in &found {
            if known.insert(address.clone(), 0).is_none() {
                print(address, *rtt, options.json);
            }
        }
        known.retain(|address, missed| {
            *missed += u32::from(!found.contains_key(address));
            let stays = *missed <= MISSES && link_was_up;
            if !stays {
                output::note(&format!("{address} is gone"));
            }
            stays
        });
        // While the link is down the search returns at once.
        interrupt::sleep(
            options
                .wait
                .max(Duration::from_millis(100))
                .saturating_sub(started.elapsed()),
        );
    }
    Ok(Exit::Done)
}

fn print(address: &str, rtt: Duration, json: bool) {
    if json {
        let rtt_us = rounded(microseconds(rtt));
        output::json_line(&Found { address, rtt_us });
    } else {
        output::line(address);
    }
}
