//! Parses the format of ip6tables-save(8), which ufw uses, too.

use super::names::{named, prefix};
use super::packet::{Field, Way, TCP, UDP};
use super::rules::{Base, Chain, Rule, Step, Test, Value, Values, Verdict};

/// Parses the chains of all tables, whose names are prefixed by `family`. Base chains have names in capitals.
pub fn read(text: &str, family: &str) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = format!("{family} {}", name.trim());
        } else if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let drops = words.next() == Some("DROP");
            let way = match name.as_str() {
                "INPUT" | "PREROUTING" => Some(Way::In),
                "OUTPUT" | "POSTROUTING" => Some(Way::Out),
                _ => None,
            };
            chains.push(Chain {
                table: table.clone(),
                name,
                base: way.map(|way| Base {
                    way,
                    drops,
                    devices: None,
                }),
                rules: Vec::new(),
            });
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let words = words(rule);
            let Some((name, rest)) = words.split_first() else {
                continue;
            };
            let named = |chain: &&mut Chain| chain.table == table && chain.name == *name;
            if let Some(chain) = chains.iter_mut().find(named) {
                chain.rules.push(self::rule(rest));
            }
        }
    }
    chains
}

/// Splits a line into words; a quoted string is one word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for letter in line.chars() {
        match letter {
            _ if std::mem::take(&mut is_escaped) => word.get_or_insert_default().push(letter),
            '\\' => is_escaped = true,
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !is_quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Targets that do not affect the packet.
const HARMLESS: [&str; 9] = [
    "LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "AUDIT", "TCPMSS", "CLASSIFY", "SECMARK",
];

fn rule(words: &[String]) -> Rule {
    let mut rule = Rule::new();
    let mut protocol = None;
    let mut negated = false;
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(option) = words.next() {
        if option == "!" {
            negated = true;
            continue;
        }
        let value = match option.starts_with('-') {
            // The values of unknown options are skipped below.
            true => words.next_if(|next| !next.starts_with('-') && *next != "!"),
            false => None,
        };
        let value = value.unwrap_or_default();
        let field = match option {
            "-i" | "--in-interface" => Field::InInterface,
            "-o" | "--out-interface" => Field::OutInterface,
            "-p" | "--protocol" => Field::Protocol,
            "-s" | "--source" => Field::Source,
            "-d" | "--destination" => Field::Destination,
            "--sport" | "--source-port" | "--sports" | "--source-ports" => {
                Field::SourcePort(protocol)
            }
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                Field::DestinationPort(protocol)
            }
            "--icmpv6-type" => Field::IcmpType,
            "--ctstate" | "--state" => Field::State,
            "-m" | "--match" if KNOWN.contains(&value) => continue,
            "--comment" => continue,
            "-j" | "--jump" | "-g" | "--goto" => {
                rule.extend(target(option, value));
                // The remaining words belong to the target.
                return rule;
            }
            _ => Field::Unknown,
        };
        if field == Field::Protocol && !negated {
            protocol = match value {
                "tcp" | "6" => Some(TCP),
                "udp" | "17" => Some(UDP),
                _ => None,
            };
        }
        rule.push(Step::Test(Test {
            values: values(&field, value),
            field,
            negated: std::mem::take(&mut negated),
        }));
    }
    rule
}

/// Matches that have no effect except through their options.
const KNOWN: [&str; 9] = [
    "tcp",
    "udp",
    "icmp6",
    "icmpv6",
    "ipv6-icmp",
    "conntrack",
    "state",
    "multiport",
    "comment",
];

fn target(option: &str, name: &str) -> Vec<Step> {
    let verdict = match name {
        "ACCEPT" => Verdict::Accept,
        "DROP" | "REJECT" => Verdict::Drop,
        "RETURN" => Verdict::Return,
        "CT" => return vec![Step::Untrack],
        name if HARMLESS.contains(&name) => return Vec::new(),
        // An unknown target may be a module of the kernel with any effect.
        name if option == "-g" || option == "--goto" => Verdict::Goto(name.to_owned()),
        name => Verdict::Jump(name.to_owned()),
    };
    vec![Step::End(verdict)]
}

fn values(field: &Field, text: &str) -> Values {
    let mut values = Values::default();
    let each: Vec<&str> = match field {
        Field::InInterface | Field::OutInterface => vec![text],
        _ => text.split(',').collect(),
    };
    for text in each {
        match value(field, text) {
            Some(value) => values.each.push(value),
            None => values.more = true,
        }
    }
    values
}

fn value(field: &Field, text: &str) -> Option<Value> {
    match field {
        Field::SourcePort(_) | Field::DestinationPort(_) => {
            let (from, to) = text.split_once(':').unwrap_or((text, text));
            let port = |text: &str, or: u16| match text {
                "" => Some(or),
                text => text.parse::<u16>().ok(),
            };
            Some(Value::Range(
                port(from, 0)?.into(),
                port(to, u16::MAX)?.into(),
            ))
        }
        Field::Source | Field::Destination => {
            let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
            prefix(address, bits.parse().ok()?)
        }
        Field::InInterface | Field::OutInterface => {
            Some(Value::Text(match text.strip_suffix('+') {
                Some(begin) => format!("{begin}*"),
                None => text.to_owned(),
            }))
        }
        // A type may be followed by a code.
        Field::IcmpType if text.contains('/') => None,
        Field::State => Some(Value::Text(text.to_lowercase())),
        Field::Protocol if text == "all" || text == "0" => Some(Value::Range(0, 255)),
        field => named(field, text),
    }
}
