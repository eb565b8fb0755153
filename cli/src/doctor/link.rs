//! Checks the trained rate of the cable and its error counters.

use super::finding::Finding;
use super::sysroot::SysRoot;
use crate::units::count;

/// Speed in Gb/s per lane, and number of lanes, in one direction.
fn trained(sys: &SysRoot, domain: &str, way: &str) -> Option<(f64, u64)> {
    let speed = sys.read(&format!("{domain}/{way}_speed"))?;
    let lanes = sys.number(&format!("{domain}/{way}_lanes"))?;
    let number: f64 = speed.split_whitespace().next()?.parse().ok()?;
    // A speed of zero or NaN is no trained speed.
    let is_trained = number.is_finite() && number > 0.0 && lanes > 0;
    is_trained.then_some((number, lanes))
}

/// The rate of the link in its slower direction, in Gb/s.
pub fn gigabits(sys: &SysRoot, name: &str) -> Option<f64> {
    let domain = connection(name);
    let total = |way| trained(sys, &domain, way).map(|(speed, lanes)| speed * lanes as f64);
    Some(total("rx")?.min(total("tx")?))
}

/// The interface's device is a service of the connection between the hosts (an "XDomain"), which has speed and
/// lanes.
pub fn connection(name: &str) -> String {
    format!("sys/class/net/{name}/device/..")
}

pub fn rate(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "rate";
    let domain = connection(name);
    let (Some(receives), Some(sends)) = (trained(sys, &domain, "rx"), trained(sys, &domain, "tx"))
    else {
        return Finding::note(
            CHECK,
            "sysfs does not report the trained rate of the cable (Linux 5.11 or later does)",
        );
    };
    let way = |(speed, lanes): (f64, u64)| {
        let word = if lanes == 1 { "lane" } else { "lanes" };
        format!("{lanes} {word} of {speed} Gb/s")
    };
    let text = match receives == sends {
        true => format!("{} each way", way(receives)),
        false => format!("in: {}, out: {}", way(receives), way(sends)),
    };
    let (speed, lanes) = if receives.0 < sends.0 {
        receives
    } else {
        sends
    };
    if speed < 10.0 || receives.1.min(lanes) < 2 {
        return Finding::warning(CHECK, format!("{text}: slower than Thunderbolt 3 (2 lanes of 10 or 20 Gb/s)"))
            .advise("use a 40 Gb/s cable, at most 0.8 m long if it is passive, without a hub or dock; plug it in again");
    }
    Finding::good(CHECK, text)
}

/// Counters that should be zero.
const ERRORS: [&str; 8] = [
    "rx_errors",
    "tx_errors",
    "rx_crc_errors",
    "rx_length_errors",
    "rx_over_errors",
    "rx_missed_errors",
    "rx_dropped",
    "tx_dropped",
];

pub fn errors(sys: &SysRoot, name: &str) -> Finding {
    const CHECK: &str = "errors";
    let value = |counter: &&str| sys.number(&format!("sys/class/net/{name}/statistics/{counter}"));
    let read: Vec<(&str, u64)> = ERRORS
        .iter()
        .filter_map(|counter| Some((*counter, value(counter)?)))
        .collect();
    if read.is_empty() {
        return Finding::unknown(CHECK, "cannot read the counters");
    }
    let wrong: Vec<String> = read
        .iter()
        .filter(|(_, value)| *value > 0)
        .map(|(counter, value)| format!("{counter} {}", count(*value)))
        .collect();
    let damaged = |(counter, value): &(&str, u64)| *value > 0 && counter.ends_with("errors");
    if wrong.is_empty() {
        let names: Vec<&str> = read.iter().map(|(counter, _)| *counter).collect();
        Finding::good(
            CHECK,
            format!("zero since the interface was created: {}", names.join(", ")),
        )
    } else if read.iter().any(damaged) {
        Finding::warning(CHECK, wrong.join(", "))
            .advise("if they grow, try another cable or another port")
    } else {
        Finding::note(CHECK, wrong.join(", ")).advise(
            "packets were dropped because they arrived too fast, or no program received them",
        )
    }
}
