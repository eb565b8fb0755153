//! Checks whether a packet filter of this host drops packets of this transport.

mod json;
mod json_values;
mod judge;
mod managers;
mod names;
mod packet;
mod rules;
mod save;
mod text;

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;
use judge::{outcome, Outcomes};
use managers::{has_ufw, trust, unread, CHECK};
use packet::{Packet, Ports, Way};
use rules::Chain;

/// The legacy tables of the kernel, and the programs that read and write them.
const LEGACY: &str = "ip6tables-legacy";
const LEGACY_SAVE: &str = "ip6tables-legacy-save";
/// The limits of this check.
const LIMITS: &str = "XDP, tc and BPF programs are not checked";

pub fn all(sys: &SysRoot, interface: Option<&str>, (control, data): (u16, u16)) -> Finding {
    let range = sys.read("proc/sys/net/ipv4/ip_local_port_range");
    let range = range.and_then(|range| {
        let (from, to) = range.split_once(char::is_whitespace)?;
        Some((from.parse().ok()?, to.trim().parse().ok()?))
    });
    let ports = Ports {
        control,
        data,
        chosen: range.unwrap_or(packet::CHOSEN),
    };
    match read(sys) {
        Ok(chains) => judged(sys, &chains, interface, ports),
        Err(why) => unread(sys, &why, interface, ports),
    }
}

/// All chains for IPv6 packets, or why they are unknown.
fn read(sys: &SysRoot) -> Result<Vec<Chain>, String> {
    let mut chains = nftables(sys)?;
    // The legacy tables exist beside nftables. Only root can list them.
    const NAMES: &str = "proc/net/ip6_tables_names";
    if sys.exists(NAMES) {
        let names = sys.read(NAMES);
        let names = names.ok_or_else(|| format!("cannot read /{NAMES}"))?;
        if !names.is_empty() {
            chains.extend(save::read(&sys.ask(&[LEGACY_SAVE])?, LEGACY));
        }
    }
    Ok(chains)
}

fn nftables(sys: &SysRoot) -> Result<Vec<Chain>, String> {
    let answer = sys.ask(&["nft", "-j", "list", "ruleset"]);
    let has_answered = answer.is_ok();
    let why = match answer {
        Ok(text) => match json::read(&text) {
            Some(chains) => return Ok(with_iptables(sys, chains, &json::of_iptables(&text))),
            None => "cannot parse the output of `nft -j list ruleset`".to_owned(),
        },
        Err(why) => why,
    };
    if let Ok(text) = sys.ask(&["nft", "list", "ruleset"]) {
        let unread = || "cannot parse the output of `nft list ruleset`".to_owned();
        return text::read(&text).ok_or_else(unread);
    }
    // A manager of rules has certainly made some.
    let is_managed = has_ufw(sys) || sys.exists("run/firewalld");
    match has_no_nftables(sys) && !is_managed && !has_answered {
        true => Ok(Vec::new()),
        false => Err(why),
    }
}

/// Replaces the tables of iptables-nft by the output of ip6tables-save, which knows all of their matches.
fn with_iptables(sys: &SysRoot, mut chains: Vec<Chain>, tables: &[String]) -> Vec<Chain> {
    if tables.is_empty() {
        return chains;
    }
    let saved = sys
        .ask(&["ip6tables-nft-save"])
        .or_else(|_| sys.ask(&["ip6tables-save"]));
    let saved = saved.map_or_else(|_| Vec::new(), |text| save::read(&text, "ip6"));
    for table in tables {
        let has_it = |chain: &Chain| chain.table == *table;
        if saved.iter().any(has_it) {
            chains.retain(|chain| !has_it(chain));
            chains.extend(saved.iter().filter(|chain| has_it(chain)).cloned());
        }
    }
    chains
}

/// Whether the kernel has no nfnetlink, without which there can be no nftables rules: its socket would be listed
/// (NETLINK_NETFILTER is 12).
fn has_no_nftables(sys: &SysRoot) -> bool {
    !sys.exists("sys/module/nf_tables")
        && sys.read("proc/net/netlink").is_some_and(|table| {
            let family = |line: &str| line.split_whitespace().nth(1)?.parse::<u8>().ok();
            let families: Vec<u8> = table.lines().filter_map(family).collect();
            !families.is_empty() && !families.contains(&12)
        })
}

fn judged(sys: &SysRoot, chains: &[Chain], interface: Option<&str>, ports: Ports) -> Finding {
    let does_nothing = |chain: &Chain| {
        chain.rules.is_empty() && chain.base.as_ref().is_none_or(|base| !base.drops)
    };
    if chains.iter().all(does_nothing) {
        return Finding::good(
            CHECK,
            format!("no nftables or ip6tables rules for IPv6 ({LIMITS})"),
        );
    }
    let packets = packet::all(interface, ports);
    let outcomes: Vec<(&Packet, Outcomes, Option<&Chain>)> = packets
        .iter()
        .map(|packet| {
            let (outcomes, chain) = outcome(chains, packet);
            (packet, outcomes, chain)
        })
        .collect();
    let Some(name) = interface else {
        return match outcomes.iter().any(|(_, outcomes, _)| outcomes.drop) {
            true => Finding::unknown(CHECK, "there are rules, but no interface to check them for"),
            false => Finding::good(
                CHECK,
                format!("the rules accept all required packets on every interface ({LIMITS})"),
            ),
        };
    };
    let mut dropped: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcomes, _)| outcomes.drop && !outcomes.accept)
        .collect();
    // Packets that only discovery needs are reported only if everything else passes.
    let is_for_searches = |packet: &Packet| packet.is_answer_to_a_search;
    let only_searches = dropped.iter().all(|(packet, ..)| is_for_searches(packet));
    if !only_searches {
        dropped.retain(|(packet, ..)| !is_for_searches(packet));
    }
    let uncertain = outcomes
        .iter()
        .find(|(packet, outcomes, _)| outcomes.drop && outcomes.accept && !is_for_searches(packet));
    if dropped.is_empty() || (only_searches && uncertain.is_some()) {
        return match uncertain {
            Some((packet, _, chain)) => Finding::unknown(
                CHECK,
                format!(
                    "cannot determine from the rules whether {} passes {} on {name}",
                    packet.what,
                    chain.map_or_else(String::new, place)
                ),
            )
            .advise("test it: run `dcf-tb listen` on the other host, and `dcf-tb ping` and `dcf-tb discover` here"),
            None => Finding::good(
                CHECK,
                format!(
                    "the rules accept ICMPv6 neighbour discovery, UDP port {} and TCP port {} on {name} ({LIMITS})",
                    ports.control, ports.data
                ),
            ),
        };
    }
    let mut whats: Vec<String> = dropped
        .iter()
        .map(|(packet, ..)| {
            let way = if packet.way == Way::In { "in" } else { "out" };
            format!("{} {way}", packet.what)
        })
        .collect();
    whats.dedup();
    let mut places: Vec<&Chain> = dropped.iter().filter_map(|(_, _, chain)| *chain).collect();
    places.dedup_by_key(|chain| (&chain.table, &chain.name));
    let where_ = places.iter().map(|chain| place(chain));
    let text = format!(
        "{} drops on {name}: {}",
        where_.collect::<Vec<_>>().join(" and "),
        whats.join(", ")
    );
    let finding = match only_searches {
        true => Finding::warning(CHECK, text).advise(
            "`dcf-tb discover` finds no peers from here; a peer given by address is reached:",
        ),
        false => Finding::problem(CHECK, text),
    };
    mend(sys, &places, name)
        .into_iter()
        .fold(finding, Finding::fixed_by)
}

fn place(chain: &Chain) -> String {
    format!("the chain {} of table {}", chain.name, chain.table)
}

/// Commands that accept all packets on the interface, by the tool that made the rules.
fn mend(sys: &SysRoot, places: &[&Chain], name: &str) -> Vec<Fix> {
    if has_ufw(sys) {
        return vec![
            Fix::new(["ufw", "allow", "in", "on"]).names([name]),
            Fix::new(["ufw", "allow", "out", "on"]).names([name]),
        ];
    }
    if sys.exists("run/firewalld") {
        return vec![trust(name)];
    }
    let mend = |chain: &&Chain| {
        let is_in = chain.base.as_ref().is_none_or(|base| base.way == Way::In);
        let (family, table) = chain.table.split_once(' ').unwrap_or_default();
        if family == LEGACY {
            let option = if is_in { "-i" } else { "-o" };
            return Fix::new([LEGACY, "-t"])
                .names([table])
                .words(["-I"])
                .names([chain.name.as_str()])
                .words([option])
                .names([name])
                .words(["-j", "ACCEPT"]);
        }
        let field = if is_in { "iifname" } else { "oifname" };
        Fix::new(["nft", "insert", "rule"])
            .names([family, table, chain.name.as_str()])
            .words([field])
            .names([name])
            .words(["accept"])
    };
    places.iter().map(mend).collect()
}
