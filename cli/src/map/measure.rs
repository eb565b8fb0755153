//! Measures the round trip to each peer that answers.

use std::thread;

use super::hosts::{Answer, Link, Map};
use crate::common::Common;
use crate::connect::{self, DISCOVERY};
use crate::failure::Failure;
use crate::output;
use crate::peer::Peer;
use crate::units::microseconds;

/// Searches all links that are up at the same time.
pub fn all(map: &mut Map, common: &Common) {
    let links = map.peers.iter_mut().flat_map(|host| &mut host.links);
    thread::scope(|scope| {
        for link in links.filter(|link| link.up) {
            scope.spawn(|| match search(link, common) {
                Ok(answers) => link.answers = answers,
                Err(failure) => output::note(&format!(
                    "{}: peers were not measured: {}",
                    link.interface, failure.text
                )),
            });
        }
    });
}

fn search(link: &Link, common: &Common) -> Result<Vec<Answer>, Failure> {
    let common = Common {
        interface: link.interface.clone(),
        ..common.clone()
    };
    let transport = connect::client(&common, None)?;
    let found = transport.discover_port(common.control_port, Some(DISCOVERY))?;
    let answer = |peer| Peer::found(peer, &common).name;
    let mut answers: Vec<_> = found
        .iter()
        .map(|peer| Answer {
            address: answer(peer),
            rtt_us: microseconds(peer.rtt),
        })
        .collect();
    answers.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(answers)
}
