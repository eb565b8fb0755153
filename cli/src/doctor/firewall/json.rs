//! Parses the output of `nft -j list ruleset` (libnftables-json(5)).

use serde_json::Value as Json;

use super::json_values::{beside, field, has_word, value, word};
use super::names::way;
use super::packet::Field;
use super::rules::{Base, Chain, Rule, Step, Test, Values, Verdict};

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

fn unknown() -> Rule {
    vec![Step::Test(Test::unknown()), Step::Unknown]
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
