//! Whether a firewall stands between.

use super::finding::Finding;
use super::tree::Tree;

const CHECK: &str = "firewall";

pub fn all(tree: &Tree, interface: Option<&str>, (control, data): (u16, u16)) -> Finding {
    let name = interface.unwrap_or("thunderbolt0");
    if tree
        .read("etc/ufw/ufw.conf")
        .is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"))
    {
        let rules = tree.read("etc/ufw/user6.rules").unwrap_or_default();
        return match rules.contains(name) || both(&rules, control, data) {
            true => Finding::good(CHECK, "ufw has a rule for the cable"),
            false => Finding::problem(CHECK, "ufw is on, and has no rule for the cable")
                .fix(format!("ufw allow in on {name}")),
        };
    }
    if tree.exists("run/firewalld") {
        let zones = tree
            .command(&["firewall-cmd", "--get-active-zones"])
            .unwrap_or_default();
        return match is_trusted(&zones, name) {
            true => Finding::good(CHECK, format!("firewalld trusts {name}")),
            false => Finding::warning(
                CHECK,
                format!("firewalld is on, and {name} is not in its zone \"trusted\""),
            )
            .fix(format!(
                "firewall-cmd --zone=trusted --change-interface={name}"
            )),
        };
    }
    let Some(rules) = tree.command(&["nft", "list", "ruleset"]) else {
        return match tree.exists("sys/module/nf_tables")
            || tree
                .read("proc/net/ip6_tables_names")
                .is_some_and(|names| !names.is_empty())
        {
            true => Finding::unknown(
                CHECK,
                "the kernel filters packets, and its rules cannot be read",
            )
            .advise("as root, with nft installed, they can"),
            false => Finding::good(CHECK, "the kernel filters no packets"),
        };
    };
    match chain_that_drops(&rules) {
        None => Finding::good(CHECK, "no chain for incoming packets drops by default"),
        Some(_) if rules.contains(name) || both(&rules, control, data) => Finding::good(
            CHECK,
            "nftables drops by default, and has a rule for the cable",
        ),
        Some((table, chain)) => Finding::problem(
            CHECK,
            format!("nftables drops by default in {table}, and has no rule for the cable"),
        )
        .fix(format!(
            "nft insert rule {table} {chain} iifname {name} accept"
        )),
    }
}

fn both(rules: &str, control: u16, data: u16) -> bool {
    let words: Vec<&str> = rules
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .collect();
    [control, data]
        .iter()
        .all(|port| words.contains(&port.to_string().as_str()))
}

/// Whether a zone "trusted" is followed by a line with this interface.
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

/// Table and name of an input chain whose policy is to drop, or that ends in dropping, for IPv6.
fn chain_that_drops(rules: &str) -> Option<(String, String)> {
    let (mut table, mut chain, mut is_input) = (String::new(), String::new(), false);
    for line in rules.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["table", family, name, ..] => {
                table = format!("{family} {name}");
                is_input = false;
            }
            ["chain", name, ..] => {
                chain = name.to_owned();
                is_input = false;
            }
            _ => {}
        }
        is_input |= line.contains("hook input");
        let drops = line.contains("policy drop") || matches!(words[..], ["drop" | "reject", ..]);
        if is_input && drops && (table.starts_with("inet ") || table.starts_with("ip6 ")) {
            return Some((table, chain));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n\
        table inet own {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n\
        \tchain in {\n\t\ttype filter hook input priority 0; policy accept;\n\t\ttcp dport 22 accept\n\t\treject with icmpx type port-unreachable\n\t}\n}";

    #[test]
    fn only_chains_for_incoming_ipv6_count() {
        let found = chain_that_drops(RULES);
        assert_eq!(found, Some(("inet own".to_owned(), "in".to_owned())));
        assert_eq!(
            chain_that_drops(&RULES.replace("reject with", "counter")),
            None
        );
    }

    #[test]
    fn both_ports_have_to_be_named() {
        assert!(both(
            "udp dport 5000 accept\ntcp dport { 22, 5001 }",
            5000,
            5001
        ));
        assert!(!both("udp dport 5000 accept; 15001", 5000, 5001));
    }

    #[test]
    fn zones_are_followed_by_their_interfaces() {
        let zones = "public (default)\n  interfaces: eth0\ntrusted\n  interfaces: thunderbolt0 x\n";
        assert!(is_trusted(zones, "thunderbolt0"));
        assert!(!is_trusted(zones, "eth0") && !is_trusted("", "thunderbolt0"));
    }
}
