//! The map as text for people, and the words that the graph shares with it.

use std::time::Duration;

use super::hosts::{Host, Link, Map};
use crate::output;
use crate::units::{plural, short_time};

pub fn print(map: &Map) {
    let own = match &map.uuids[..] {
        [] => String::new(),
        uuids => format!(" ({})", uuids.join(", ")),
    };
    output::line(&format!("{}{own}", map.host));
    for host in &map.peers {
        let links = plural(host.links.len() as u64, "link", "links");
        output::line(&format!("  {}: {links}", title(host)));
        for link in &host.links {
            let facts = [rate(link), mtu(link), Some(state(link))];
            let facts: Vec<_> = facts.into_iter().flatten().collect();
            output::line(&format!("    {}: {}", link.interface, facts.join(", ")));
        }
    }
}

/// The host at the other end.
fn title(host: &Host) -> String {
    let mut title = name(host);
    title.extend(host.vendor.as_ref().map(|vendor| format!(", {vendor}")));
    title.extend(host.uuid.as_ref().map(|uuid| format!(" ({uuid})")));
    title
}

pub fn name(host: &Host) -> String {
    host.name
        .clone()
        .unwrap_or_else(|| "unnamed host".to_owned())
}

pub fn rate(link: &Link) -> Option<String> {
    let rate = link.rate_gbps?;
    Some(match link.max_rate_gbps {
        Some(maximum) => format!("{rate} of {maximum} Gb/s"),
        None => format!("{rate} Gb/s"),
    })
}

pub fn mtu(link: &Link) -> Option<String> {
    link.mtu.map(|mtu| format!("MTU {mtu}"))
}

/// Whether the link works, and which peers answer on it.
fn state(link: &Link) -> String {
    let answers = link.answers.iter().map(|answer| {
        let rtt = round_trip(answer.rtt_us);
        format!("{} answers in {rtt}", answer.address)
    });
    let answers: Vec<_> = answers.collect();
    match &link.reason {
        Some(reason) => format!("down: {reason}"),
        None if answers.is_empty() => "up".to_owned(),
        None => answers.join(", "),
    }
}

pub fn round_trip(rtt_us: f64) -> String {
    short_time(Duration::from_secs_f64(rtt_us / 1e6))
}
