//! Checks whether a packet filter of this host drops packets of this transport.

mod json;
mod packet;
mod rules;
mod save;
mod text;

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;
use packet::{Packet, Ports, Way};
use rules::{Chain, Judge, Outcomes};

const CHECK: &str = "firewall";
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
    // The legacy tables exist besides nftables. Only root can list them.
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

/// The outcome of a packet in all chains, and the chain with the worst outcome.
fn outcome<'a>(chains: &'a [Chain], packet: &Packet<'a>) -> (Outcomes, Option<&'a Chain>) {
    let mut judge = Judge::new(chains, packet.clone());
    let mut worst = (
        Outcomes {
            accept: true,
            ..Outcomes::default()
        },
        None,
    );
    for chain in chains {
        let Some(base) = &chain.base else { continue };
        let outcomes = judge.base(chain, base);
        if outcomes.drop && (worst.1.is_none() || !outcomes.accept) {
            worst = (outcomes, Some(chain));
            if !outcomes.accept {
                break;
            }
        }
    }
    worst
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

fn trust(name: &str) -> Fix {
    Fix::new([
        "firewall-cmd",
        "--zone=trusted",
        &format!("--change-interface={name}"),
    ])
}

fn has_ufw(sys: &SysRoot) -> bool {
    sys.read("etc/ufw/ufw.conf")
        .is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"))
}

/// The finding without the kernel's rules: it relies on what managers of rules have recorded.
fn unread(sys: &SysRoot, why: &str, interface: Option<&str>, ports: Ports) -> Finding {
    let unknown = || {
        Finding::unknown(
            CHECK,
            format!("the kernel's packet filter rules are unknown: {why}"),
        )
        .advise("run doctor as root, with nft installed, to read them")
    };
    let Some(name) = interface else {
        return unknown();
    };
    if has_ufw(sys) {
        let dropped = ufw_drops(sys, name, ports);
        return match dropped.is_empty() {
            false => Finding::problem(
                CHECK,
                format!("ufw is active and drops on {name}: {}", dropped.join(", ")),
            )
            .fixed_by(Fix::new(["ufw", "allow", "in", "on"]).names([name])),
            true => unknown(),
        };
    }
    if sys.exists("run/firewalld") {
        let zones = sys.ask(&["firewall-cmd", "--get-active-zones"]);
        return match zones {
            Ok(zones) if is_trusted(&zones, name) => Finding::note(
                CHECK,
                format!(
                    "firewalld has {name} in its zone \"trusted\"; other rules are unknown: {why}"
                ),
            ),
            Ok(_) => Finding::warning(
                CHECK,
                format!("firewalld is active, and {name} is not in its zone \"trusted\""),
            )
            .fixed_by(trust(name)),
            Err(_) => unknown(),
        };
    }
    unknown()
}

/// The packets that ufw's own list certainly drops, of those that start something and arrive here.
fn ufw_drops(sys: &SysRoot, name: &str, ports: Ports) -> Vec<String> {
    let rules = sys.read("etc/ufw/user6.rules").unwrap_or_default();
    let accepts = sys.read("etc/default/ufw").is_some_and(|text| {
        let policy = |line: &str| line.trim() == "DEFAULT_INPUT_POLICY=\"ACCEPT\"";
        text.lines().any(policy)
    });
    // Other chains of ufw jump to this list; its policy applies at the end.
    let rules = format!("*filter\n:ufw6-user-input -\n{rules}");
    let mut chains = save::read(&rules, "ip6");
    let list = chains
        .iter_mut()
        .find(|chain| chain.name == "ufw6-user-input");
    if let Some(list) = list {
        list.base = Some(rules::Base {
            way: Way::In,
            drops: !accepts,
            devices: None,
        });
    }
    let packets = packet::all(Some(name), ports);
    let begins = |packet: &&Packet| packet.state == "new" && !packet.is_answer_to_a_search;
    let is_dropped = |packet: &&Packet| {
        let (outcomes, _) = outcome(&chains, packet);
        outcomes.drop && !outcomes.accept
    };
    let dropped = packets.iter().filter(begins).filter(is_dropped);
    dropped.map(|packet| packet.what.clone()).collect()
}

/// Whether the zone "trusted" has this interface.
fn is_trusted(zones: &str, name: &str) -> bool {
    let mut trusted = false;
    for line in zones.lines() {
        if !line.starts_with(' ') {
            trusted = line.split_whitespace().next() == Some("trusted");
        } else if trusted && line.split_whitespace().any(|word| word == name) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn zones_are_followed_by_their_interfaces() {
        let zones = "public (default)\n  interfaces: eth0\ntrusted\n  interfaces: thunderbolt0 x\n";
        assert!(is_trusted(zones, "thunderbolt0"));
        assert!(!is_trusted(zones, "eth0") && !is_trusted("", "thunderbolt0"));
    }
}
