//! Parses the output of `nft -j list ruleset` (libnftables-json(5)).

use std::net::Ipv6Addr;

use serde_json::Value as Json;

use super::packet::{Field, Way, ICMPV6, IPV6, TCP, UDP};
use super::rules::{Base, Chain, Rule, Step, Test, Value, Values, Verdict};

/// Parses the chains for IPv6 packets. `None`: this is not a list of rules.
pub fn read(text: &str) -> Option<Vec<Chain>> {
    let all: Json = serde_json::from_str(text).ok()?;
    let all = all.get("nftables")?.as_array()?;
    let of = |kind: &'static str| all.iter().filter_map(move |entry| entry.get(kind));
    let sets: Vec<&Json> = of("set").chain(of("map")).collect();
    let flags = |table: &str| {
        let named = |entry: &&Json| key(entry, "name").as_deref() == Some(table);
        of("table")
            .find(named)
            .map_or_else(Vec::new, |entry| words(entry.get("flags")))
    };
    let mut chains: Vec<Chain> = Vec::new();
    for entry in of("chain") {
        let family = word(entry, "family");
        if !["inet", "ip6", "netdev"].contains(&family) {
            continue;
        }
        let table = key(entry, "table")?;
        let flags = flags(&table);
        let is_asleep = flags.iter().any(|flag| flag == "dormant");
        // Version 1.0.6 prints something else instead of a flag.
        let is_known = |flag: &String| ["owner", "persist"].contains(&flag.as_str());
        let may_sleep = !flags.iter().all(is_known);
        let base = entry.get("hook").filter(|_| !is_asleep);
        let base = base.and_then(Json::as_str).and_then(|hook| {
            Some(Base {
                way: way(hook)?,
                drops: word(entry, "policy") == "drop",
                devices: match hook {
                    "ingress" | "egress" => Some(words(entry.get("dev"))),
                    _ if may_sleep => Some(Vec::new()),
                    _ => None,
                },
            })
        });
        chains.push(Chain {
            table,
            name: word(entry, "name").to_owned(),
            base,
            rules: Vec::new(),
        });
    }
    for entry in of("rule") {
        let (table, name) = (key(entry, "table")?, word(entry, "chain"));
        let chain = chains
            .iter_mut()
            .find(|chain| chain.table == table && chain.name == name);
        let Some(chain) = chain else { continue };
        let reader = Reader {
            table: &table,
            sets: &sets,
        };
        let steps = entry.get("expr").and_then(Json::as_array);
        chain
            .rules
            .push(steps.map_or_else(unknown, |steps| reader.rule(steps)));
    }
    Some(chains)
}

/// The direction of packets at a hook. Forwarded packets are not this host's.
pub fn way(hook: &str) -> Option<Way> {
    match hook {
        "ingress" | "prerouting" | "input" => Some(Way::In),
        "egress" | "output" | "postrouting" => Some(Way::Out),
        _ => None,
    }
}

fn unknown() -> Rule {
    vec![Step::Test(Test::unknown()), Step::Unknown]
}

fn word<'a>(entry: &'a Json, key: &str) -> &'a str {
    entry.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// A name prefixed by its family.
fn key(entry: &Json, name: &str) -> Option<String> {
    Some(format!(
        "{} {}",
        entry.get("family")?.as_str()?,
        entry.get(name)?.as_str()?
    ))
}

fn words(list: Option<&Json>) -> Vec<String> {
    let list = list.map_or(&[][..], |list| match list {
        Json::Array(list) => list,
        other => std::slice::from_ref(other),
    });
    list.iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// The tables of iptables-nft: nft prints the matches that it does not know as `xt`.
pub fn of_iptables(text: &str) -> Vec<String> {
    let all: Json = serde_json::from_str(text).unwrap_or_default();
    let all = all.get("nftables").and_then(Json::as_array);
    let rules = all
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("rule"));
    let has_xt = |rule: &&Json| {
        let steps = rule.get("expr").and_then(Json::as_array);
        steps.is_some_and(|steps| steps.iter().any(|step| step.get("xt").is_some()))
    };
    let mut tables: Vec<String> = rules
        .filter(has_xt)
        .filter_map(|rule| key(rule, "table"))
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

fn has_word(list: Option<&Json>, word: &str) -> bool {
    match list {
        Some(Json::Array(words)) => words.iter().any(|each| each == word),
        Some(other) => other == word,
        None => false,
    }
}

/// Statements that do not affect the packet.
const HARMLESS: [&str; 12] = [
    "counter",
    "log",
    "comment",
    "ct helper",
    "ct timeout",
    "ct expectation",
    "dup",
    "flow",
    "last",
    "secmark",
    "map",
    "continue",
];

struct Reader<'a> {
    table: &'a str,
    sets: &'a [&'a Json],
}

impl Reader<'_> {
    fn rule(&self, steps: &[Json]) -> Rule {
        steps.iter().flat_map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &Json) -> Vec<Step> {
        let Some((name, content)) = step.as_object().and_then(|step| step.iter().next()) else {
            return unknown();
        };
        match name.as_str() {
            name if HARMLESS.contains(&name) => Vec::new(),
            "match" => vec![Step::Test(self.test(content))],
            "vmap" => self.map(content),
            "notrack" => vec![Step::Untrack],
            // Match only up to a limit.
            "limit" | "quota" | "ct count" | "meter" => vec![Step::Test(Test::unknown())],
            "set" if content.get("stmt").is_none() => Vec::new(),
            "set" => vec![Step::Test(Test::unknown())],
            "mangle" if is_mark(content) => Vec::new(),
            name => match verdict(name, content) {
                Some(verdict) => vec![Step::End(verdict)],
                None => unknown(),
            },
        }
    }

    fn test(&self, content: &Json) -> Test {
        let field = content.get("left").map_or(Field::Unknown, field);
        let values = content
            .get("right")
            .map_or_else(Values::unknown, |right| self.values(&field, right));
        let (values, negated) = match word(content, "op") {
            "==" | "in" => (values, false),
            "!=" => (values, true),
            "<" => (beside(&values, false, false), false),
            "<=" => (beside(&values, false, true), false),
            ">" => (beside(&values, true, false), false),
            ">=" => (beside(&values, true, true), false),
            _ => (Values::unknown(), false),
        };
        Test {
            field,
            values,
            negated,
        }
    }

    fn map(&self, content: &Json) -> Vec<Step> {
        let field = content.get("key").map_or(Field::Unknown, field);
        let data = content.get("data");
        let named = data
            .and_then(Json::as_str)
            .and_then(|name| self.set(name))
            .filter(|set| !changes(set));
        let entries = match named {
            Some(set) => set.get("elem"),
            None => data.and_then(|data| data.get("set")),
        };
        let Some(entries) = entries.and_then(Json::as_array) else {
            return match named {
                // A map without elements has no effect.
                Some(_) => Vec::new(),
                None => unknown(),
            };
        };
        let entry = |entry: &Json| {
            let (value, of) = (entry.get(0)?, entry.get(1)?.as_object()?.iter().next()?);
            Some((self.values(&field, value), verdict(of.0, of.1)?))
        };
        match entries.iter().map(entry).collect() {
            Some(entries) => vec![Step::Map(field, entries)],
            None => unknown(),
        }
    }

    fn set(&self, name: &str) -> Option<&Json> {
        let name = name.strip_prefix('@')?;
        let is_it = |set: &&&Json| {
            self.table == format!("{} {}", word(set, "family"), word(set, "table"))
                && word(set, "name") == name
        };
        self.sets.iter().find(is_it).copied()
    }

    fn values(&self, field: &Field, right: &Json) -> Values {
        let list = match right {
            Json::String(name) if name.starts_with('@') => match self.set(name) {
                Some(set) if !changes(set) => match set.get("elem") {
                    Some(elements) => elements,
                    None => return Values::default(),
                },
                _ => return Values::unknown(),
            },
            other => other.get("set").unwrap_or(other),
        };
        let mut values = Values::default();
        let each = list
            .as_array()
            .map_or(std::slice::from_ref(list), Vec::as_slice);
        for each in each {
            match value(field, each) {
                Some(value) => values.each.push(value),
                None => values.more = true,
            }
        }
        values
    }
}

/// Whether rules or timeouts can change the elements of a set.
fn changes(set: &Json) -> bool {
    let flags = set.get("flags");
    has_word(flags, "dynamic") || has_word(flags, "timeout") || set.get("size").is_some()
}

/// Whether only a mark or the like is changed, not the packet's content or destination.
fn is_mark(content: &Json) -> bool {
    let key = content.get("key");
    ["meta", "ct", "tcp option"]
        .iter()
        .any(|kind| key.is_some_and(|key| key.get(kind).is_some()))
}

fn verdict(name: &str, content: &Json) -> Option<Verdict> {
    let target = || content.get("target")?.as_str().map(str::to_owned);
    Some(match name {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

fn field(left: &Json) -> Field {
    let Some((kind, content)) = left.as_object().and_then(|left| left.iter().next()) else {
        return Field::Unknown;
    };
    match (kind.as_str(), word(content, "key")) {
        ("meta", "iif" | "iifname") => Field::InInterface,
        ("meta", "oif" | "oifname") => Field::OutInterface,
        ("meta", "l4proto") => Field::Protocol,
        ("meta", "nfproto" | "protocol") => Field::Family,
        ("ct", "state") => Field::State,
        ("payload", _) => header(word(content, "protocol"), word(content, "field")),
        ("fib", _) if word(content, "result") == "oif" => {
            let flags = content.get("flags");
            match has_word(flags, "saddr") && has_word(flags, "iif") {
                true => Field::RouteBack,
                false => Field::Unknown,
            }
        }
        _ => Field::Unknown,
    }
}

/// A field of a header, by its names in nft.
pub fn header(protocol: &str, field: &str) -> Field {
    let of = match protocol {
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        _ => None,
    };
    match (protocol, field) {
        ("tcp" | "udp" | "th", "sport") => Field::SourcePort(of),
        ("tcp" | "udp" | "th", "dport") => Field::DestinationPort(of),
        ("icmpv6", "type") => Field::IcmpType,
        ("ip6", "saddr") => Field::Source,
        ("ip6", "daddr") => Field::Destination,
        ("ip6", "nexthdr") => Field::Protocol,
        ("ether", "type") => Field::Family,
        ("ip" | "icmp" | "igmp" | "arp", _) => Field::Ipv4,
        _ => Field::Unknown,
    }
}

/// The range below or above a number.
fn beside(values: &Values, above: bool, with: bool) -> Values {
    let one = |value: &Value| match (value, above, with) {
        (Value::Range(number, _), true, true) => Some(Value::Range(*number, u128::MAX)),
        (Value::Range(number, _), true, false) => Some(Value::Range(number + 1, u128::MAX)),
        (Value::Range(number, _), false, true) => Some(Value::Range(0, *number)),
        (Value::Range(number, _), false, false) => Some(Value::Range(0, number.checked_sub(1)?)),
        (Value::Text(_), ..) => None,
    };
    let each: Option<Vec<Value>> = values.each.iter().map(one).collect();
    match each {
        Some(each) if values.each.len() == 1 && !values.more => Values { each, more: false },
        _ => Values::unknown(),
    }
}

fn value(field: &Field, value: &Json) -> Option<Value> {
    if let Some(inner) = value.get("elem") {
        return self::value(field, inner.get("val")?);
    }
    if let Some(range) = value.get("range") {
        let end = |at| match single(field, range.get(at)?)? {
            Value::Range(low, high) => Some((low, high)),
            Value::Text(_) => None,
        };
        return Some(Value::Range(end(0)?.0, end(1)?.1));
    }
    if let Some(prefix) = value.get("prefix") {
        let bits = u32::try_from(prefix.get("len")?.as_u64()?).ok()?;
        return self::prefix(word(prefix, "addr"), bits);
    }
    single(field, value)
}

fn single(field: &Field, value: &Json) -> Option<Value> {
    match value {
        Json::Number(number) => {
            let number = number.as_u64()?.into();
            Some(Value::Range(number, number))
        }
        Json::Bool(value) => Some(Value::Range((*value).into(), (*value).into())),
        Json::String(text) => named(field, text),
        _ => None,
    }
}

/// The range of addresses with a prefix.
pub fn prefix(address: &str, bits: u32) -> Option<Value> {
    let address = u128::from(address.parse::<Ipv6Addr>().ok()?);
    let rest = match bits {
        128 => 0,
        0..128 => u128::MAX >> bits,
        _ => return None,
    };
    Some(Value::Range(address & !rest, address | rest))
}

/// A value by its name.
pub fn named(field: &Field, text: &str) -> Option<Value> {
    let number = |number: u128| Some(Value::Range(number, number));
    match field {
        Field::Protocol => match text {
            "tcp" => number(TCP.into()),
            "udp" => number(UDP.into()),
            "ipv6-icmp" | "icmpv6" | "icmp6" => number(ICMPV6.into()),
            // Other protocols differ from these three.
            "icmp" => number(1),
            "udplite" => number(136),
            "esp" => number(50),
            "ah" => number(51),
            "sctp" => number(132),
            "dccp" => number(33),
            _ => number(text.parse::<u8>().ok()?.into()),
        },
        Field::IcmpType => number(icmp_type(text)?.into()),
        Field::Family => Some(Value::Text(match text {
            "ip6" | "ipv6" => IPV6.to_owned(),
            other => other.to_owned(),
        })),
        Field::Source | Field::Destination => prefix(text, 128),
        Field::SourcePort(_) | Field::DestinationPort(_) => {
            number(text.parse::<u16>().ok()?.into())
        }
        Field::InInterface | Field::OutInterface | Field::State => {
            Some(Value::Text(text.to_owned()))
        }
        Field::RouteBack | Field::Ipv4 | Field::Unknown => None,
    }
}

fn icmp_type(text: &str) -> Option<u8> {
    Some(match text {
        "destination-unreachable" => 1,
        "packet-too-big" => 2,
        "time-exceeded" | "ttl-exceeded" => 3,
        "parameter-problem" => 4,
        "echo-request" => 128,
        "echo-reply" => 129,
        "mld-listener-query" => 130,
        "mld-listener-report" => 131,
        "mld-listener-done" | "mld-listener-reduction" => 132,
        "nd-router-solicit" | "router-solicitation" => 133,
        "nd-router-advert" | "router-advertisement" => 134,
        "nd-neighbor-solicit" | "neighbour-solicitation" | "neighbor-solicitation" => 135,
        "nd-neighbor-advert" | "neighbour-advertisement" | "neighbor-advertisement" => 136,
        "nd-redirect" | "redirect" => 137,
        "router-renumbering" => 138,
        "ind-neighbor-solicit" => 141,
        "ind-neighbor-advert" => 142,
        "mld2-listener-report" => 143,
        other => other.parse().ok()?,
    })
}
